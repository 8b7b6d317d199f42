"""The house rules: which way imports run, who may type a metric's name, how long files get, what texts may not name."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter import names

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {
    "exporter": ROOT / "exporter",
    "dashboards": ROOT / "dashboards",
    "alerting": ROOT / "alerting",
    "predlog": ROOT / "predlog/src/predlog",
}
VOCABULARY = ("exporter.names", "exporter.config", "exporter.errors", "exporter.labels")
OURS = (*PACKAGES, "bench", "tests")
LONGEST_FILE = 400
SKIPPED = re.compile(r"\.(?!ci$).*|.*\.egg-info|build|dist|state|node_modules|__pycache__")


def texts() -> Iterator[tuple[Path, str]]:
    """Every text file of the repository, but for those under folders of tools and of what they made."""
    for path in sorted(ROOT.rglob("*")):
        if any(SKIPPED.fullmatch(part) for part in path.relative_to(ROOT).parts[:-1]) or not path.is_file():
            continue
        try:
            yield path, path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def modules(package: str) -> Iterator[tuple[str, Path]]:
    """The dotted name and file of every module of a package."""
    folder = PACKAGES[package]
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        yield ".".join((package, *(part for part in parts if part != "__init__"))), path


def imports(source: str) -> set[str]:
    """The dotted names that a module's text imports, at its top or anywhere inside."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def trespasses(package: str, forbidden: tuple[str, ...], allowed: tuple[str, ...] = ()) -> list[str]:
    """What modules under `package` import of `forbidden` without it being `allowed`."""
    return [
        f"{module} imports {name}"
        for module, path in modules(package.partition(".")[0])
        if within(module, package)
        for name in sorted(imports(path.read_text()))
        if within(name, *forbidden) and not within(name, *allowed)
    ]


def literals(source: str) -> Iterator[str]:
    """The string literals of a module's text, f-strings' parts included, docstrings not."""
    tree = ast.parse(source)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    told = {
        id(node.value)
        for owner in ast.walk(tree)
        if isinstance(owner, documented)
        for node in owner.body
        if isinstance(node, ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield node.value


def test_every_import_form_is_seen() -> None:
    source = "import a.b as c\nfrom d import e\ndef f():\n    from g.h import i, j\n"
    assert imports(source) == {"a.b", "d.e", "g.h.i", "g.h.j"}


def test_literals_are_seen_and_docstrings_are_not() -> None:
    source = '"""doc"""\nA = "one"\ndef f():\n    """doc"""\n    return f"two{A}three"\n'
    assert set(literals(source)) == {"one", "two", "three"}


def test_the_walk_sees_every_package() -> None:
    for package in PACKAGES:
        assert len(list(modules(package))) > 1
    assert {"exporter.names", "exporter.stats"} <= {name for name, _ in modules("exporter")}


def test_profile_does_not_know_stats() -> None:
    assert trespasses("exporter.profile", ("exporter.stats",)) == []


@pytest.mark.parametrize("package", ["dashboards", "alerting"])
def test_generators_know_only_the_vocabulary_and_the_configuration(package: str) -> None:
    others = tuple(other for other in OURS if other != package)
    assert trespasses(package, others, VOCABULARY) == []


def test_the_exporter_does_not_know_its_generators() -> None:
    assert trespasses("exporter", ("dashboards", "alerting", "bench", "tests")) == []


def test_predlog_needs_only_the_standard_library_and_orjson_and_one_function_zstandard() -> None:
    foreign = [
        f"{module} imports {name}"
        for module, path in modules("predlog")
        for name in imports(path.read_text())
        if name.partition(".")[0] not in {*sys.stdlib_module_names, "orjson", "predlog"}
    ]
    assert foreign == ["predlog.segment imports zstandard"]
    at_the_top = ast.parse((PACKAGES["predlog"] / "segment.py").read_text()).body
    named = (alias.name for node in at_the_top if isinstance(node, ast.Import) for alias in node.names)
    assert "zstandard" not in set(named)


def test_a_metric_is_named_in_the_vocabulary_only() -> None:
    # A whole word, so that a query or a sentence that holds a name is found too.
    known = re.compile(r"\b(?:" + "|".join(family.name for family in names.FAMILIES) + r")(?:_bucket|_sum|_count)?\b")
    typed = [
        f"{module} types {text!r}"
        for package in PACKAGES
        for module, path in modules(package)
        if module != "exporter.names"
        for text in literals(path.read_text())
        if known.search(text)
    ]
    assert typed == []


def test_python_files_stay_short() -> None:
    lengths = {path: text.count("\n") for path, text in texts() if path.suffix == ".py"}
    assert lengths
    assert {str(path.relative_to(ROOT)): length for path, length in lengths.items() if length > LONGEST_FILE} == {}


# In pieces, or this file would hold what it forbids.
REGISTRIES = ("pypi" + ".org", "pythonhosted" + ".org", "npmjs" + ".org", "deb.debian" + ".org", "docker" + ".io")
PLACES = ("/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/", "/t" + "mp/venv", "/Us" + "ers/")


def test_texts_name_no_registry_and_no_path_of_one_machine() -> None:
    forbidden = re.compile("|".join(map(re.escape, REGISTRIES + PLACES)))
    found = [f"{path.relative_to(ROOT)}: {match[0]}" for path, text in texts() if (match := forbidden.search(text))]
    assert found == []


def test_the_walk_over_texts_sees_this_file_and_hidden_ones_that_count() -> None:
    seen = {str(path.relative_to(ROOT)) for path, _ in texts()}
    assert {"tests/test_house.py", ".ci/run", "Makefile", "deploy/prediction-exporter.yml"} <= seen
