"""The door of the service: host, origin and token, and headers of every answer."""

import httpx
import pytest
from serving import serving

from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.serve.settings import ServeSettings, is_loopback, read_token

EMOTIONS = "/v1/audio/emotions"
TOKEN = "a-token-of-some-length"  # noqa: S105
BEARER = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def guarded():
    with serving(token=TOKEN, allow_origins=("https://friend.example",)) as one:
        yield one


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:7860", "", "127.0.0.1.evil.example"]
)
def test_another_host_name_is_refused(running, example, host):
    """A page of evil.example, whose name leads to 127.0.0.1, gets nothing."""
    for method, path in (("POST", EMOTIONS), ("GET", "/v1/models")):
        answer = running.http.request(
            method, path, content=example.read_bytes(), headers={"host": host}
        )
        assert answer.status_code == 403
        assert answer.json()["error"] == "ForbiddenError"


@pytest.mark.parametrize("host", ["localhost:99", "LOCALHOST", "[::1]:1", "127.0.0.1"])
def test_names_of_this_machine_are_taken(running, host):
    assert running.http.get("/v1/models", headers={"host": host}).status_code == 200


def test_a_name_that_was_allowed_is_taken():
    with serving(allow_hosts=("Box.example",)) as running:
        for host, status in (("box.example", 200), ("localhost", 200), ("other.example", 403)):
            assert running.http.get("/v1/models", headers={"host": host}).status_code == status


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost:1", "file://", "http://[", ""]
)
def test_a_page_of_another_site_is_refused(running, example, origin):
    answer = running.http.post(EMOTIONS, content=example.read_bytes(), headers={"origin": origin})
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


def test_the_own_page_is_taken(running, example):
    origin = f"http://127.0.0.1:{running.port}"
    answer = running.http.post(EMOTIONS, content=example.read_bytes(), headers={"origin": origin})
    assert answer.status_code == 200


def test_a_friendly_site_may_use_the_service(guarded, example):
    friend = {"origin": "https://friend.example"}
    preflight = guarded.http.options(
        EMOTIONS, headers={**friend, "access-control-request-method": "POST"}
    )
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "https://friend.example"
    assert "authorization" in preflight.headers["access-control-allow-headers"]
    answer = guarded.http.post(EMOTIONS, content=example.read_bytes(), headers={**friend, **BEARER})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://friend.example"


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Bearer"}, {"authorization": "Bearer wrong"},
     {"authorization": f"Basic {TOKEN}"}, {"authorization": f"Bearer {TOKEN}x"},
     {"authorization": "Bearer \xff"}],
)  # fmt: skip
def test_without_the_token_there_is_no_answer(guarded, example, headers):
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    for method, path in (("POST", EMOTIONS), ("GET", "/v1/models"), ("GET", "/metrics"),
                         ("GET", "/v1/jobs/0"), ("GET", "/v2/models/x")):  # fmt: skip
        answer = guarded.http.request(method, path, headers=raw, params={"token": TOKEN})
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"] == "Bearer"
        assert TOKEN not in answer.text


def test_with_the_token_there_is(guarded, example):
    answer = guarded.http.post(EMOTIONS, content=example.read_bytes(), headers=BEARER)
    assert answer.status_code == 200


def test_probes_and_the_page_need_no_token(guarded):
    for path in ("/health/live", "/health/ready", "/", "/docs", "/openapi.json"):
        assert guarded.http.get(path).status_code == 200, path


def test_every_answer_has_the_policies(running):
    for path in ("/", "/docs", "/v1/models", "/nothing"):
        headers = running.http.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'self'")
        assert "script" not in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"].split("style-src")[0]
        assert headers["x-content-type-options"] == "nosniff"


def test_a_request_has_an_id(running):
    given = running.http.get("/health/live", headers={"x-request-id": "abc-1"})
    assert given.headers["x-request-id"] == "abc-1"
    odd = running.http.get("/health/live", headers={"x-request-id": "a b\tc"})
    assert len(odd.headers["x-request-id"]) == 32


def test_an_open_address_needs_a_token():
    for host in ("0.0.0.0", "::", "192.168.1.5", "box.local"):  # noqa: S104
        with pytest.raises(OptionError, match="token-file"):
            ServeSettings(host=host)
        assert ServeSettings(host=host, token=TOKEN).host == host
    assert all(map(is_loopback, ("127.0.0.1", "127.1.2.3", "::1", "localhost")))


@pytest.mark.parametrize(
    "text", ["", "short", "a" * 600, "sixteen characters and spaces", "ü" * 20]
)
def test_a_weak_token_is_refused(tmp_path, text):
    file = tmp_path / "token"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(OptionError, match="token"):
        read_token(file)


def test_a_token_is_one_line(tmp_path):
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n", encoding="utf-8")
    assert read_token(file) == TOKEN
    with pytest.raises(OptionError, match="No such file"):
        read_token(tmp_path / "none")
    assert TOKEN not in repr(ServeSettings(token=TOKEN))


def test_the_page_is_from_here_alone(running):
    page = running.http.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    for path in ("/page/../app.py", "/page/%2e%2e/app.py", "/page/none.js", "/page/", "/app.py"):
        answer = running.http.get(path)
        assert answer.status_code == 404, path


def test_without_a_page_there_is_none():
    with serving(page=False) as running:
        assert running.http.get("/").status_code == 404
        assert running.http.get("/docs").status_code == 200


def test_https(tmp_path, example):
    """A certificate made on the spot, by the system's openssl."""
    import shutil
    import ssl
    import subprocess

    if shutil.which("openssl") is None:
        pytest.skip("SKIPPED LOUDLY: there is no openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out",
         certificate, "-days", "1", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    with serving(certificate=certificate, key=key) as running:
        context = ssl.create_default_context(cafile=str(certificate))
        with httpx.Client(verify=context, trust_env=False) as client:
            url = f"https://127.0.0.1:{running.port}{EMOTIONS}"
            assert client.post(url, content=example.read_bytes()).status_code == 200
    with pytest.raises(OptionError, match="both"):
        ServeSettings(certificate=certificate)
    with (
        pytest.raises(OptionError, match="cannot be used"),
        serving(certificate=key, key=certificate),
    ):
        pass
