"""The web configuration: what is refused and how, TLS and basic authentication against a real server."""

import asyncio
import os
import shutil
import ssl
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bcrypt
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from exporter.errors import ConfigError
from exporter.web.listen import Running, serve_app
from exporter.web.toolkit import Address, Authenticator, LiveWebConfig, load_web_config, parse_listen

CHEAPEST = 4  # bcrypt's least cost: the tests' passwords are no secrets


def hashed(password: str, cost: int = CHEAPEST) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()


def basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def admits(authenticator: Authenticator, *headers: str | None) -> list[bool]:
    async def ask() -> list[bool]:
        return [await authenticator.admits(header) for header in headers]

    return asyncio.run(ask())


async def hello(_: Request) -> Response:
    return PlainTextResponse("hello", headers={"X-Frame-Options": "sameorigin"})


@contextmanager
def serving(web: LiveWebConfig | None) -> Iterator[Running]:
    running = serve_app(Starlette(routes=[Route("/", hello)]), [Address("127.0.0.1", 0)], web)
    try:
        yield running
    finally:
        running.stop()


def rewrite(path: Path, text: str) -> None:
    """Put `text` in the file's place as a careful editor does: a new file, renamed."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    os.replace(fresh, path)  # noqa: PTH105 - pathlib's replace does the same; the name says what is meant


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        (":9750", "", 9750),
        ("127.0.0.1:0", "127.0.0.1", 0),
        ("example.org:80", "example.org", 80),
        ("[::1]:9750", "::1", 9750),
    ],
)
def test_listen_addresses_are_read_as_prometheus_writes_them(text: str, host: str, port: int) -> None:
    assert parse_listen([text]) == (Address(host, port),)
    assert str(Address(host, port)) == text


def test_the_default_listens_on_every_interface() -> None:
    assert parse_listen([]) == (Address("", 9750),)


def test_every_bad_listen_address_is_named() -> None:
    with pytest.raises(ConfigError) as refused:
        parse_listen(["9750", ":9750", "::1:9750", "host:65536", "host:x"])
    assert len(refused.value.problems) == 4
    assert all("write host:port, :port or [ipv6]:port" in problem for problem in refused.value.problems)


def test_an_empty_file_asks_for_nothing(tmp_path: Path) -> None:
    (tmp_path / "web.yml").write_text("")
    config = load_web_config(tmp_path / "web.yml")
    assert (config.tls_server_config, config.headers, config.basic_auth_users) == (None, {}, {})


def test_every_problem_is_named_at_once_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "web.yml").write_text(
        "tls_server_config: {cert_file: absent.pem, key_file: absent.key, min_version: TLS10, cipher_suites: []}\n"
        "http_server_config: {http2: true, headers: {X-Frame-Options: allow, Server: me}}\n"
        "basic_auth_users: {ann: secret-in-the-clear, bob: 12345}\n"
        "rate_limit: {burst: 1}\n"
    )
    with pytest.raises(ConfigError) as refused:
        load_web_config(tmp_path / "web.yml")
    problems = dict(problem.split(": ", 1) for problem in refused.value.problems)
    assert set(problems) == {
        "tls_server_config.cert_file",
        "tls_server_config.key_file",
        "tls_server_config.min_version",
        "tls_server_config.cipher_suites",
        "http_server_config.http2",
        "http_server_config.headers.X-Frame-Options",
        "http_server_config.headers.Server",
        "basic_auth_users.ann",
        "basic_auth_users.bob",
        "rate_limit",
    }
    assert problems["tls_server_config.cert_file"].startswith("absent.pem: No such file")
    assert "unknown key" in problems["rate_limit"]
    assert "secret-in-the-clear" not in str(refused.value)
    assert "12345" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("basic_auth_users: {a: b", "line 1"),
        ("- a list", "dictionary"),
        ("rate: 1\nrate: 2", "stands twice"),
        ("basic_auth_users: {ann: $2y$99$" + "a" * 53 + "}", "bcrypt hash"),
        ('http_server_config: {headers: {X-XSS-Protection: "1\\r\\nSet-Cookie: a=b"}}', "on one line"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "web.yml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_web_config(tmp_path / "web.yml")


def test_a_missing_or_unreadable_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.yml").write_bytes(b"\xe9: 1")
    with pytest.raises(ConfigError, match="No such file"):
        load_web_config(tmp_path / "absent.yml")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_web_config(tmp_path / "latin.yml")


def test_the_right_password_and_no_other_is_admitted() -> None:
    authenticator = Authenticator({"ann": hashed("open sesame"), "bob": hashed("other")})
    assert admits(
        authenticator,
        basic("ann", "open sesame"),
        basic("ann", "open sesame"),  # now from memory
        basic("ann", "wrong"),
        basic("bob", "open sesame"),
        basic("eve", "other"),
        basic("eve", "open sesame"),
        basic("ann", ""),
        "bAsIc " + basic("bob", "other").removeprefix("Basic "),
    ) == [True, True, False, False, False, False, False, True]


@pytest.mark.parametrize("header", [None, "", "Basic", "Basic !!!", "Bearer abc", "Basic YW5u", "Basic /zpw"])
def test_a_header_that_holds_no_credentials_is_refused(header: str | None) -> None:
    assert admits(Authenticator({"ann": hashed("p")}), header) == [False]


def test_without_users_everybody_is_admitted() -> None:
    assert admits(Authenticator({}), None, basic("any", "thing")) == [True, True]


def test_a_password_longer_than_bcrypt_reads_is_refused_even_when_its_beginning_matches() -> None:
    authenticator = Authenticator({"ann": hashed("x" * 72)})
    assert admits(authenticator, basic("ann", "x" * 73), basic("ann", "x" * 72), basic("ann", "x\0")) == [
        False,
        True,
        False,
    ]


def test_bcrypt_is_paid_once_for_a_right_password_and_for_every_wrong_one(monkeypatch: pytest.MonkeyPatch) -> None:
    users = {"ann": hashed("right"), "bob": hashed("other", CHEAPEST + 1)}
    authenticator = Authenticator(users)
    asked: list[bytes] = []
    check = bcrypt.checkpw

    def counted(password: bytes, hashed_password: bytes) -> bool:
        asked.append(hashed_password)
        return check(password, hashed_password)

    monkeypatch.setattr(bcrypt, "checkpw", counted)
    admits(authenticator, *[basic("ann", "right")] * 5)
    assert asked == [users["ann"].encode()]
    admits(authenticator, *[basic("ann", "wrong")] * 2, *[basic("eve", "wrong")] * 2)
    # An unknown user costs what the dearest known one does.
    assert asked[1:] == [users["ann"].encode()] * 2 + [users["bob"].encode()] * 2


def test_the_server_asks_for_credentials_and_sets_the_headers(tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    file.write_text(
        f"basic_auth_users: {{ann: {hashed('right')}}}\n"
        "http_server_config: {headers: {X-Frame-Options: deny, X-Content-Type-Options: nosniff, "
        "X-XSS-Protection: ''}}\n"
    )
    with serving(LiveWebConfig(file)) as running:
        address = f"http://127.0.0.1:{running.port}"
        refused = httpx.get(address)
        admitted = httpx.get(address, auth=("ann", "right"))
    assert (refused.status_code, refused.headers["www-authenticate"].split(" ")[0]) == (401, "Basic")
    assert (admitted.status_code, admitted.text) == (200, "hello")
    for answer in (refused, admitted):
        assert answer.headers.get_list("x-frame-options") == ["deny"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "x-xss-protection" not in answer.headers


def test_a_changed_file_takes_effect_at_once_and_a_broken_one_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "web.yml"
    file.write_text(f"basic_auth_users: {{ann: {hashed('old')}}}\n")
    with serving(LiveWebConfig(file)) as running:
        address = f"http://127.0.0.1:{running.port}"
        assert httpx.get(address, auth=("ann", "old")).status_code == 200
        rewrite(file, "basic_auth_users: [")
        assert httpx.get(address, auth=("ann", "old")).status_code == 200
        assert httpx.get(address).status_code == 401
        assert [record.message for record in caplog.records if "not reloaded" in record.message] != []
        file.unlink()
        assert httpx.get(address).status_code == 401
        rewrite(file, f"basic_auth_users: {{ann: {hashed('new')}}}\n")
        assert httpx.get(address, auth=("ann", "old")).status_code == 401
        assert httpx.get(address, auth=("ann", "new")).status_code == 200


needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")


def certificate(folder: Path, name: str, san: str = "IP:127.0.0.1") -> tuple[Path, Path]:
    """A self-signed certificate and its key, both PEM files called `name`."""
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName={san}"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return cert, key


@pytest.fixture
def server(tmp_path: Path) -> Path:
    """A folder with a web.yml that serves TLS with `server.pem`."""
    certificate(tmp_path, "server")
    (tmp_path / "web.yml").write_text("tls_server_config: {cert_file: server.pem, key_file: server.key}\n")
    return tmp_path


def trusting(folder: Path, name: str = "server") -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(folder / f"{name}.pem"))


@needs_openssl
def test_tls_is_served_and_plain_http_is_not(server: Path) -> None:
    with serving(LiveWebConfig(server / "web.yml")) as running:
        answer = httpx.get(f"https://127.0.0.1:{running.port}", verify=trusting(server))
        assert answer.text == "hello"
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"http://127.0.0.1:{running.port}")


@needs_openssl
def test_a_version_below_the_minimum_is_refused(server: Path) -> None:
    rewrite(server / "web.yml", "tls_server_config: {cert_file: server.pem, key_file: server.key, min_version: TLS13}")
    old = trusting(server)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with serving(LiveWebConfig(server / "web.yml")) as running:
        assert httpx.get(f"https://127.0.0.1:{running.port}", verify=trusting(server)).status_code == 200
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"https://127.0.0.1:{running.port}", verify=old)


@needs_openssl
def test_a_renewed_certificate_is_shown_without_a_restart(server: Path) -> None:
    with serving(LiveWebConfig(server / "web.yml")) as running:
        address = f"https://127.0.0.1:{running.port}"
        old = trusting(server)
        assert httpx.get(address, verify=old).status_code == 200
        for file in certificate(server, "renewed"):
            shutil.copy(file, server / f"server{file.suffix}")
        assert httpx.get(address, verify=trusting(server, "renewed")).status_code == 200
        with pytest.raises(httpx.ConnectError):
            httpx.get(address, verify=old)


@needs_openssl
def test_a_certificate_without_its_key_keeps_the_old_pair_until_both_are_there(server: Path) -> None:
    with serving(LiveWebConfig(server / "web.yml")) as running:
        address = f"https://127.0.0.1:{running.port}"
        old = trusting(server)
        new_cert, new_key = certificate(server, "renewed")
        shutil.copy(new_cert, server / "server.pem")
        assert httpx.get(address, verify=old).status_code == 200
        shutil.copy(new_key, server / "server.key")
        assert httpx.get(address, verify=trusting(server, "renewed")).status_code == 200


@needs_openssl
def test_tls_does_not_go_away_while_serving(server: Path, caplog: pytest.LogCaptureFixture) -> None:
    with serving(LiveWebConfig(server / "web.yml")) as running:
        rewrite(server / "web.yml", "")
        answer = httpx.get(f"https://127.0.0.1:{running.port}", verify=trusting(server))
    assert answer.status_code == 200
    assert "restart the exporter" in caplog.text


@needs_openssl
@pytest.mark.parametrize(
    ("options", "name", "admitted"),
    [
        ("client_auth_type: RequireAndVerifyClientCert", "client", True),
        ("client_auth_type: RequireAndVerifyClientCert", None, False),
        ("client_auth_type: RequireAndVerifyClientCert", "stranger", False),
        ("client_auth_type: VerifyClientCertIfGiven", None, True),
        ("client_auth_type: VerifyClientCertIfGiven", "stranger", False),
        ("client_auth_type: RequireAndVerifyClientCert, client_allowed_sans: [prometheus]", "client", True),
        ("client_auth_type: RequireAndVerifyClientCert, client_allowed_sans: [grafana]", "client", False),
    ],
)
def test_client_certificates_are_held_against_the_policy(
    server: Path, options: str, name: str | None, *, admitted: bool
) -> None:
    certificate(server, "client", san="DNS:prometheus")
    certificate(server, "stranger", san="DNS:prometheus")
    tls = f"cert_file: server.pem, key_file: server.key, client_ca_file: client.pem, {options}"
    rewrite(server / "web.yml", f"tls_server_config: {{{tls}}}")
    context = trusting(server)
    if name:
        context.load_cert_chain(server / f"{name}.pem", server / f"{name}.key")
    with serving(LiveWebConfig(server / "web.yml")) as running:
        try:
            answered = httpx.get(f"https://127.0.0.1:{running.port}", verify=context).status_code == 200
        except httpx.HTTPError:
            answered = False
    assert answered == admitted


@needs_openssl
@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("client_auth_type: RequireAnyClientCert", "use RequireAndVerifyClientCert"),
        ("client_auth_type: RequireAndVerifyClientCert", "go together"),
        ("client_ca_file: server.pem", "go together"),
        ("client_allowed_sans: [a]", "needs client_auth_type"),
        ("min_version: TLS13, max_version: TLS12", "min_version must not lie above"),
        ("client_ca_file: empty.pem, client_auth_type: VerifyClientCertIfGiven", "client_ca_file: "),
    ],
)
def test_tls_settings_that_contradict_each_other_are_refused(server: Path, extra: str, message: str) -> None:
    (server / "empty.pem").write_text("")
    rewrite(server / "web.yml", f"tls_server_config: {{cert_file: server.pem, key_file: server.key, {extra}}}")
    with pytest.raises(ConfigError, match=message):
        load_web_config(server / "web.yml")


@needs_openssl
def test_a_key_that_is_not_the_certificates_or_is_encrypted_is_refused(server: Path) -> None:
    _, other = certificate(server, "other")
    rewrite(server / "web.yml", f"tls_server_config: {{cert_file: server.pem, key_file: {other.name}}}")
    with pytest.raises(
        ConfigError, match="cert_file, key_file: KEY_VALUES_MISMATCH; give PEM files that belong together"
    ):
        load_web_config(server / "web.yml")
    encrypt = ["openssl", "ec", "-aes256", "-passout", "pass:p", "-in", "server.key", "-out", "other.key"]
    subprocess.run(encrypt, cwd=server, check=True, capture_output=True)
    with pytest.raises(ConfigError, match="the key unencrypted"):
        load_web_config(server / "web.yml")
