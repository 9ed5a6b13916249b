"""The app behind a real nginx under a path of its own, set up as docs/operations.md says."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urljoin

import pytest
import requests

from tests.webapp.serving import serving
from tests.webapp.stack import ROOT, free_port, wait_for
from webapp.app import create_app
from webapp.core.settings import Settings

NGINX = Path("/usr/sbin/nginx")
NAME, TOKEN = "clips.example.org", "a token of many characters"

pytestmark = pytest.mark.skipif(not NGINX.exists(), reason="nginx is missing: bash tests/ensure_programs.sh")

CONFIGURATION = """
daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{ listen 127.0.0.1:{port}; {location} }}
}}
"""


@pytest.fixture
def proxied(settings: Settings, tmp_path: Path) -> Iterator[str]:
    """The address at which nginx serves the app."""
    inner, outer = free_port(), free_port()
    settings = replace(settings, port=inner, proxies=1, hosts=NAME, token=TOKEN)
    app = create_app(settings)
    document = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    location = re.search(r"```nginx\n(.*?)```", document, re.DOTALL)[1]
    assert "http://127.0.0.1:5000/" in location
    location = location.replace(":5000/", f":{inner}/")
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(folder=tmp_path, port=outer, location=location))
    nginx = subprocess.Popen([NGINX, "-p", tmp_path, "-c", configuration], stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{outer}/motion/"

    def answers() -> bool:
        try:
            return requests.get(f"{address}healthz", headers={"Host": NAME}, timeout=5).ok
        except requests.ConnectionError:
            return False

    with serving(app, settings):
        wait_for(answers, 10)
        yield address
        nginx.terminate()
        nginx.wait(10)
    app.extensions["stillmotion"].database.close()


def test_the_app_works_under_a_path_behind_nginx(proxied: str, small_clip: Path) -> None:
    person = requests.Session()
    person.headers["Host"] = NAME
    first = person.get(proxied, allow_redirects=False, timeout=10)
    assert first.status_code in (302, 303)
    assert first.headers["Location"].startswith(("/motion/login", f"http://{NAME}/motion/login"))
    program = requests.Session()
    program.headers.update({"Host": NAME, "Authorization": f"Bearer {TOKEN}"})
    page = program.get(proxied, timeout=10)
    assert page.status_code == 200
    addresses = re.findall(r'(?:href|src)="([^"#]+)"', page.text)
    own = [address for address in addresses if not address.startswith("http")]
    assert len(own) > 5
    for address in own:
        assert program.get(urljoin(proxied, address), timeout=10).status_code == 200, address
    with small_clip.open("rb") as file:
        uploaded = program.post(f"{proxied}api/v1/clips", files={"file": file}, timeout=10)
    assert uploaded.status_code == 201, uploaded.text
    assert uploaded.headers["Location"].removeprefix(f"http://{NAME}").startswith("/motion/api/v1/clips/")
    started = program.post(
        f"{proxied}api/v1/runs", json={"clip": uploaded.json()["id"], "method": "lk"}, timeout=10
    )
    links = started.json()["links"]
    assert program.get(urljoin(proxied, links["self"]), timeout=10).json()["state"] == "queued"
    assert program.get(urljoin(proxied, links["page"]), timeout=10).status_code == 200
    program.headers["Host"] = "elsewhere.example.org"
    assert 400 <= program.get(proxied, timeout=10).status_code < 500
