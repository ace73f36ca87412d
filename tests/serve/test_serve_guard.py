"""Who may ask: hosts, tokens, other sites; and what every answer carries."""

import re
import socket
from pathlib import Path

import pytest
import uvicorn
from fastapi.testclient import TestClient
from served import TOKEN

import cardiolens.serve
from cardiolens.cli.serve import _run
from cardiolens.errors import CheckpointError, InputError, StoreError
from cardiolens.serve import Settings, make_app
from cardiolens.serve.guard import Sessions, address_of

EVERYWHERE = "0.0.0.0"  # noqa: S104 - nothing is bound
STATIC = Path(cardiolens.serve.__file__).parent / "static"


@pytest.fixture
def closed(serve):
    """A server that asks for a token."""
    return serve(host=EVERYWHERE, token=TOKEN, names=("viewer.hospital.example",))


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "8.8.8.8", "", "127.0.0.1.evil.example:8000"]
)
def test_a_foreign_host_name_is_refused_on_loopback(client, host):
    answer = client.get("/api/about", headers={"Host": host})
    assert answer.status_code == 421 and "host name" in answer.json()["error"]


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000", "LOCALHOST"])
def test_names_of_this_machine_are_answered(client, host):
    assert client.get("/api/about", headers={"Host": host}).status_code == 200


def test_a_named_host_is_answered_and_others_are_not(closed):
    header = {"Authorization": f"Bearer {TOKEN}"}
    assert closed.get("/api/about", headers={"Host": "viewer.hospital.example", **header}).status_code == 200
    assert closed.get("/api/about", headers={"Host": "10.1.2.3:8000", **header}).status_code == 200
    assert closed.get("/api/about", headers={"Host": "rebound.example", **header}).status_code == 421


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://["}, {"Sec-Fetch-Site": "cross-site"},
     {"Sec-Fetch-Site": "same-site"}, {"Origin": "http://127.0.0.1:9000"}],
)  # fmt: skip
def test_a_change_that_another_site_asks_for_is_refused(client, headers):
    answer = client.post("/api/jobs", json={"kind": "embed"}, headers=headers)
    assert answer.status_code == 403
    assert client.get("/api/jobs").json()["jobs"] == []


def test_a_change_from_the_own_page_is_taken(client):
    headers = {"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-origin"}
    assert client.post("/api/jobs", json={"kind": "map"}, headers=headers).status_code == 202


@pytest.mark.parametrize("path", ["/api/about", "/api/studies", "/api/openapi.json", "/static/study.js", "/docs", "/"])
def test_without_the_token_nothing_is_answered(closed, path):
    for header in ({}, {"Authorization": "Bearer wrong"}, {"Cookie": "cardiolens_session=guessed"}):
        answer = closed.get(path, headers=header)
        assert answer.status_code == 401 and "token" in answer.json()["error"]


def test_a_browser_without_the_token_is_led_to_the_login_page(closed):
    answer = closed.get("/study/a/b", headers={"Accept": "text/html"}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/study/a/b")
    assert closed.get("/login").status_code == 200


def test_the_login_gives_a_session_that_scripts_cannot_read_and_that_ends(closed):
    answer = closed.post("/login", data={"token": TOKEN, "next": "/cohort"}, follow_redirects=False)
    cookie = answer.headers["set-cookie"]
    assert answer.headers["location"] == "/cohort"
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and TOKEN not in cookie
    assert closed.get("/api/about").status_code == 200
    session = cookie.split(";")[0]
    closed.post("/logout")
    assert closed.get("/api/about", headers={"Cookie": session}).status_code == 401


@pytest.mark.parametrize(
    "there", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a\r\nX: y"]
)
def test_the_login_leads_to_pages_of_this_server_alone(closed, there):
    answer = closed.post("/login", data={"token": TOKEN, "next": there}, follow_redirects=False)
    assert answer.headers["location"] == "/"


def test_guessing_is_stopped_after_ten_wrong_tokens(closed):
    def leads(token):
        answer = closed.post("/login", data={"token": token, "next": "/cohort"}, follow_redirects=False)
        return answer.headers["location"]

    assert [leads("guess") for _ in range(10)] == ["/login?wrong=1&next=/cohort"] * 10
    assert leads(TOKEN) == "/login?wait=1&next=/cohort"
    assert closed.get("/api/about", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 429


def test_a_stranger_who_guesses_locks_out_himself_alone(closed):
    def of(address):
        return TestClient(closed.app, base_url="http://127.0.0.1:8000", client=(address, 5000))

    right = {"Authorization": f"Bearer {TOKEN}"}
    stranger, colleague = of("10.0.0.66"), of("10.0.0.7")
    for _ in range(10):
        stranger.post("/login", data={"token": "guess"}, follow_redirects=False)
    assert stranger.get("/api/about", headers=right).status_code == 429
    assert colleague.get("/api/about", headers=right).status_code == 200
    assert "wait" not in colleague.post("/login", data={"token": TOKEN}, follow_redirects=False).headers["location"]
    for i in range(10):  # one network of an IPv6 client, whatever the address in it
        of(f"2001:db8::{i:x}").get("/api/about", headers={"Authorization": "Bearer guess"})
    assert of("2001:db8::77").get("/api/about", headers=right).status_code == 429
    assert of("2001:db8:0:1::77").get("/api/about", headers=right).status_code == 200


def test_the_table_of_wrong_tokens_is_bounded():
    sessions = Sessions(TOKEN)
    for i in range(20_000):
        sessions.failed(address_of((f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}", 1)))
    assert len(sessions._failed) == 4096
    assert address_of(("::ffff:10.1.2.3", 1)) == address_of(("10.1.2.3", 2)) and address_of(None) == ""


@pytest.mark.parametrize("secure", [True, False])
def test_behind_https_the_session_is_sent_over_nothing_else(serve, secure):
    client = serve(token=TOKEN, secure=secure)
    cookie = client.post("/login", data={"token": TOKEN}, follow_redirects=False).headers["set-cookie"]
    assert ("; Secure" in cookie) is secure


def test_beyond_loopback_a_token_is_required_and_must_be_long(filled, engines, tmp_path):
    with pytest.raises(InputError, match="needs a token"):
        make_app(Settings(filled, tmp_path, host=EVERYWHERE), engines)
    with pytest.raises(InputError, match="16 characters"):
        make_app(Settings(filled, tmp_path, token="short"), engines)


@pytest.mark.parametrize("path", ["/", "/api/about", "/static/study.js", "/nowhere", "/docs"])
def test_every_answer_forbids_foreign_and_inline_scripts(client, path):
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "DENY"


def test_pages_hold_no_inline_script_and_name_no_other_server():
    for path in STATIC.iterdir():
        text = path.read_text(encoding="utf-8")
        assert not re.search(
            r"<script(?![^>]*\bsrc=)|\son\w+\s*=\s*[\"']|style=\"|innerHTML|insertAdjacentHTML|document\.write|eval\(",
            text,
        ), path
        assert set(re.findall(r"https?://[\w.]+", text)) <= {"http://www.w3.org", "http://HOST"}, path


def test_the_address_that_is_told_takes_connections_at_once(monkeypatch, capsys, tmp_path):
    asked = []

    def run(self, sockets):
        socket.create_connection(sockets[0].getsockname(), timeout=5).close()
        asked.append(sockets[0].getsockname()[1])

    monkeypatch.setattr(uvicorn.Server, "run", run)
    _run(object(), Settings(tmp_path, port=0), None, None, None)
    assert f":{asked[0]}/" in capsys.readouterr().out


def test_a_missing_model_or_store_is_told_at_the_start(filled, tmp_path, engines):
    with pytest.raises(CheckpointError, match="no-such-model"):
        make_app(Settings(filled, tmp_path, model="no-such-model"))
    with pytest.raises(StoreError, match="cardiolens ingest"):
        make_app(Settings(tmp_path / "none", tmp_path), engines)


def test_what_is_missing_names_the_extra(monkeypatch, filled):
    monkeypatch.setattr(cardiolens.serve, "_NEEDED", ("no_such_package",))
    with pytest.raises(InputError, match=r"pip install 'cardiolens\[serve\]'"):
        make_app(Settings(filled))


def test_only_uploads_may_be_large_and_every_length_is_told(client):
    large = client.post("/api/jobs", content=bytes(33 * 2**20), headers={"Content-Type": "application/json"})
    untold = client.post("/api/jobs", content=(b"x" for _ in range(3)), headers={"Content-Type": "application/json"})
    assert (large.status_code, untold.status_code) == (413, 411) and "32 MiB" in large.json()["error"]
