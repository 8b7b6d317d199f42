"""Samples with timestamps as OpenMetrics files, each family's samples together, each file one block of Prometheus.

Blocks last two hours times a power of three. A file spans the longest of them that holds few enough instants, so that
memory stays bounded; `promtool tsdb create-blocks-from openmetrics` makes one block of each.
"""

import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from exporter.errors import PredictionExporterError
from exporter.measures import Histogram, Sample
from exporter.names import FAMILIES, Family

BLOCK = 7_200
LONGEST = 3**4 * BLOCK  # 6.75 days; a Prometheus of 15 days' retention makes none longer either
_INSTANTS = 200  # a file; with a thousand series each, some 20 MB of lines


def block_length(step: float) -> int:
    """Seconds of the blocks that instants `step` seconds apart are written in."""
    length = BLOCK
    while length < LONGEST and 3 * length / step <= _INSTANTS:
        length *= 3
    return length


class Lines:
    """Writes samples of instants in order into files of `folder`, with `labels` on every series."""

    def __init__(self, folder: Path, labels: Mapping[str, str], step: float) -> None:
        self._folder, self._labels, self._length = folder, dict(labels), block_length(step)
        self._lines: dict[Family, list[str]] = {}
        self._heads: dict[tuple[Family, tuple[str, ...]], tuple[str, ...]] = {}
        self._block: int | None = None
        self.files: list[Path] = []
        self.samples = 0

    @property
    def hours(self) -> int:
        """Hours of each file's block."""
        return self._length // 3_600

    def file_of(self, at: float) -> int:
        """The number, rising with time, of the file that the instant `at` is written in."""
        return int(at // self._length)

    def write(self, at: float, samples: Iterable[Sample]) -> None:
        """Add what holds at the instant `at`; a file is written when the first instant of the next one comes."""
        block = self.file_of(at)
        if block != self._block:
            self.flush()
            self._block = block
        end = f" {at!r}\n"
        for sample in samples:
            heads = self._heads.get((sample.family, sample.labels))
            if heads is None:
                heads = self._heads[sample.family, sample.labels] = tuple(self._series(sample))
            lines = self._lines.setdefault(sample.family, [])
            self.samples += len(heads)
            if isinstance(sample.value, Histogram):
                numbers = (*sample.value.cumulative, sample.value.cumulative[-1], sample.value.total)
                lines += [f"{head}{number!r}{end}" for head, number in zip(heads, numbers, strict=True)]
            else:
                lines.append(f"{heads[0]}{sample.value!r}{end}")

    def flush(self) -> None:
        """Write what there is as a file of its own."""
        if not self._lines or self._block is None:
            return
        path = self._folder / f"history-{self._block * self._length}.om"
        with path.open("w", encoding="utf-8") as file:
            for family in dict.fromkeys((*FAMILIES, *self._lines)):
                if lines := self._lines.pop(family, None):
                    file.writelines((*_about(family), *lines))
            file.write("# EOF\n")
        self.files.append(path)

    def _series(self, sample: Sample) -> Iterator[str]:
        """What stands before the value of each of the sample's series: buckets, count and sum of a histogram."""
        family, value = sample.family, sample.value
        labels = {**dict(zip(family.labels, sample.labels, strict=True)), **self._labels}
        if isinstance(value, Histogram):
            for bound in (*map(str, value.bounds), "+Inf"):
                yield f"{family.name}_bucket{braced(labels | {'le': bound})} "
            yield f"{family.name}_count{braced(labels)} "
            yield f"{family.name}_sum{braced(labels)} "
        else:
            yield f"{family.name}{braced(labels)} "


def create_blocks(files: Iterable[Path], folder: Path, hours: int) -> None:
    """Let promtool make blocks of the files; PredictionExporterError with its words when it cannot."""
    program = shutil.which("promtool")
    if program is None:
        raise PredictionExporterError("promtool: not found; install Prometheus, or leave out --blocks")
    for file in files:
        options = ["--quiet", f"--max-block-duration={hours}h", "openmetrics", str(file), str(folder)]
        command = [program, "tsdb", "create-blocks-from", *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise PredictionExporterError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}".rstrip())


def _about(family: Family) -> Iterator[str]:
    name, kind = family.name, family.kind if family.kind in {"counter", "histogram"} else "gauge"
    if kind == "counter":
        name = name.removesuffix("_total")
    yield f"# HELP {name} {_escaped(family.help)}\n"
    yield f"# TYPE {name} {kind}\n"


def braced(labels: Mapping[str, str]) -> str:
    """Labels as they stand behind a name."""
    inner = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{inner}}}" if inner else ""


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
