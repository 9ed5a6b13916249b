"""Who may enter: host names, the token, the login page, and what is written down of removals."""

import dataclasses
import json
import stat
from pathlib import Path

import pytest
import requests
from flask.testing import FlaskClient

from tests.webapp.stack import Stack
from webapp.app import create_app
from webapp.core.settings import Settings, masked
from webapp.security.access import access_token, known_hosts

TOKEN = "0123456789abcdef-a-token"


@pytest.fixture
def guarded(settings: Settings) -> FlaskClient:
    app = create_app(dataclasses.replace(settings, token=TOKEN))
    yield app.test_client()
    app.extensions["stillmotion"].database.close()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:5000", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:5000", 200),
        ("evil.example", 400),
        ("evil.example:5000", 400),
        ("localhost.evil.example", 400),
        ("192.168.1.9", 400),
        ("[::1", 400),
    ],
)
def test_only_known_hosts_are_answered(client: FlaskClient, host: str, status: int) -> None:
    for path in ("/", "/api/v1/clips", "/healthz"):
        assert client.get(path, headers={"Host": host}).status_code == status


def test_a_rebound_name_deletes_nothing(client: FlaskClient) -> None:
    headers = {"Host": "evil.example", "Origin": "http://evil.example"}
    answer = client.delete("/api/v1/clips/0123456789abcdef", headers=headers)
    assert answer.status_code == 400
    assert "STILLMOTION_HOSTS" in answer.json["detail"]


def test_hosts_of_the_setting_and_of_the_machine() -> None:
    assert "clips.example" in known_hosts(Settings(hosts="clips.example, other.example"))
    assert "127.0.0.1" in known_hosts(Settings(host="0.0.0.0"))


def test_programs_need_the_token(guarded: FlaskClient) -> None:
    refused = guarded.get("/api/v1/clips")
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert refused.content_type == "application/problem+json"
    for header in ("Bearer wrong", f"Basic {TOKEN}", "Bearer", f"Bearer {TOKEN}x", "Bearer \xff"):
        assert guarded.get("/api/v1/clips", headers={"Authorization": header}).status_code == 401
    for path in ("/api/v1/clips", "/"):
        assert guarded.get(path, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert guarded.get("/healthz").status_code == 200
    assert guarded.delete("/api/v1/clips/x").status_code == 401
    assert guarded.post("/api/v1/samples/drift").status_code == 401


def test_people_log_in(guarded: FlaskClient) -> None:
    away = guarded.get("/clips/x?a=1")
    assert away.status_code == 302
    assert away.location == "/login?next=/clips/x?a%3D1"
    assert guarded.get("/login").status_code == 200
    wrong = guarded.post("/login", data={"token": "wrong"})
    assert wrong.status_code == 403
    assert "not the token" in wrong.text
    assert guarded.get("/").status_code == 302
    right = guarded.post(away.location, data={"token": TOKEN})
    assert (right.status_code, right.location) == (302, "/clips/x?a=1")
    cookie = right.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert TOKEN not in cookie
    assert guarded.get("/api/v1/clips").status_code == 200
    assert "Log out" in guarded.get("/").text
    assert guarded.post("/logout").location == "/login"
    assert guarded.get("/api/v1/clips").status_code == 401


@pytest.mark.parametrize(
    "wanted",
    ["//evil.example", "https://evil.example", "/\\evil.example", "/\t/evil.example", "/\r\nX: y", ""],
)
def test_a_login_leads_nowhere_else(guarded: FlaskClient, wanted: str) -> None:
    answer = guarded.post("/login", query_string={"next": wanted}, data={"token": TOKEN})
    assert answer.location == "/"


def test_a_token_is_made_once_where_others_can_reach_the_app(tmp_path: Path) -> None:
    settings = Settings(instance=tmp_path, host="0.0.0.0")
    token, is_new = access_token(settings)
    assert is_new
    assert token is not None
    assert len(token) >= 32
    assert access_token(settings) == (token, False)
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
    assert access_token(dataclasses.replace(settings, is_open=1)) == (None, False)
    assert access_token(dataclasses.replace(settings, host="127.0.0.1")) == (None, False)


def test_the_whole_app_asks_and_says_its_token_once(tmp_path: Path, start_stack) -> None:
    stack: Stack = start_stack(STILLMOTION_HOST="0.0.0.0")
    token = (stack.instance / "token").read_text()
    assert stat.S_IMODE(stack.instance.stat().st_mode) == 0o700
    assert stack.get("/clips").status_code == 401
    assert stack.get("/clips", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    assert requests.get(stack.url, timeout=10).url.startswith(f"{stack.url}/login")
    stack.stop()
    assert stack.output.count(token) == 1
    stack.start()
    stack.stop()
    assert token not in stack.output


@pytest.mark.parametrize(
    "body",
    [
        '{"clip": "a\\u0000b"}',
        '{"clip": "\\ud800"}',
        '{"\\udfff": 1}',
        '{"clip": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"grid": ' + "9" * 5000 + "}",
    ],
    ids=["NUL", "surrogate", "surrogate in a name", "nesting", "digits"],
)
def test_odd_json_is_400(client: FlaskClient, body: str) -> None:
    answer = client.post("/api/v1/runs", data=body, content_type="application/json")
    assert answer.status_code == 400, answer.text
    assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize("path", ["runs", "datasets", "datasets/a/train", "clips/a/segment"])
def test_a_body_that_is_no_object_is_422(client: FlaskClient, path: str) -> None:
    answer = client.post(f"/api/v1/{path}", json=["a"])
    assert answer.status_code == 422, answer.text
    assert "The body must be a JSON object: {…}." in json.dumps(answer.json, ensure_ascii=False)


@pytest.mark.parametrize("path", ["/api/v1/runs/%00", "/api/v1/runs?clip=%00", "/clips/%00"])
def test_a_nul_in_an_address_is_400(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 400


def test_removals_are_written_down(client: FlaskClient, settings: Settings, small_clip: Path) -> None:
    clip = client.post("/api/v1/clips", data={"file": small_clip.open("rb")}).json["id"]
    run = client.post("/api/v1/runs", json={"clip": clip, "method": "lk"}).json["id"]
    assert client.delete(f"/api/v1/runs/{run}").status_code == 200  # cancelled, which removes nothing
    for deleted in (True, False):
        assert client.patch(f"/api/v1/runs/{run}", json={"deleted": deleted}).status_code == 200
    assert client.delete(f"/api/v1/clips/{clip}").status_code == 204
    assert client.delete(f"/api/v1/clips/{clip}").status_code == 404
    notes = [json.loads(line) for line in (settings.instance / "audit.log").read_text().splitlines()]
    assert [note["by"] for note in notes] == ["127.0.0.1", "127.0.0.1"]
    assert notes[0]["binned"] == f"/api/v1/runs/{run}"
    assert notes[1]["removed"] == f"/api/v1/clips/{clip}"


def test_behind_a_proxy_links_have_its_prefix_and_name(settings: Settings) -> None:
    headers = {
        "Host": "127.0.0.1:5000",
        "X-Forwarded-Host": "clips.example",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Prefix": "/motion",
    }
    behind = create_app(dataclasses.replace(settings, proxies=1, hosts="clips.example", token=TOKEN))
    client = behind.test_client()
    assert client.get("/clips/x", headers=headers).location == "/motion/login?next=/clips/x?"
    answer = client.post("/login?next=/clips/x", headers=headers, data={"token": TOKEN})
    assert answer.location == "/motion/clips/x"
    assert "Secure" in answer.headers["Set-Cookie"]
    assert 'data-root="/motion"' in client.get("/login", headers=headers).text
    behind.extensions["stillmotion"].database.close()
    alone = create_app(settings)
    assert 'data-root=""' in alone.test_client().get("/", headers=headers).text
    alone.extensions["stillmotion"].database.close()


def test_passwords_are_masked() -> None:
    assert masked("redis://user:secret@host:1/0") == "redis://user:***@host:1/0"
    assert masked("redis://host/0") == "redis://host/0"
