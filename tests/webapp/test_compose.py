"""The services of compose.yaml as ordinary processes, with Postgres and an S3 store; one worker is lost."""

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import psutil
import psycopg
import pytest
import redis
import requests
import yaml

from model.__main__ import main
from tests.media import moving_clip
from tests.webapp.conversion.converting import SETTINGS, shards
from tests.webapp.postgres import PROGRAMS, USER, PostgresServer
from tests.webapp.s3_server import S3Server
from tests.webapp.stack import ROOT, UNFINISHED, free_port, wait_for
from webapp.core.settings import Settings
from webapp.jobs.queue import served_queues
from webapp.processes.services import redis_program

TOKEN, BUCKET = "a token of many characters", "stillmotion"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(PROGRAMS is None, reason="Postgres is missing: bash tests/ensure_programs.sh"),
]


class Services:
    """Processes of compose.yaml's services; variables: those that it reads from its own environment."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
        filled = re.sub(r"\$\{(\w+):-([^}]*)\}", lambda found: variables.get(found[1]) or found[2], text)
        self.described: dict[str, Any] = yaml.safe_load(filled)["services"]
        self.port, self.redis_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self.running: dict[str, psutil.Popen] = {}

    def environment(self, name: str) -> dict[str, str]:
        """The variables of a service, with those of the Dockerfile."""
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("STILLMOTION_")},
            "STILLMOTION_INSTANCE": str(self._folder / "data"),
            "STILLMOTION_HOST": "0.0.0.0",
            "STILLMOTION_PORT": str(self.port),
            **self.described[name]["environment"],
            "REDIS_URL": f"redis://127.0.0.1:{self.redis_port}/0",
        }

    def start(self, name: str) -> None:
        """Start a service with its own command."""
        command = self.described[name]["command"]
        if name == "redis":
            options = ["--bind", "127.0.0.1", "--port", str(self.redis_port), "--dir", str(self._folder)]
            self.running[name] = psutil.Popen(
                [redis_program(), *command[1:], *options], stdout=subprocess.DEVNULL
            )
            with redis.Redis(port=self.redis_port) as client:
                wait_for(lambda: _pings(client))
        else:
            self.running[name] = psutil.Popen(
                [sys.executable, *command[1:]], cwd=ROOT, env=self.environment(name)
            )

    def is_healthy(self, name: str) -> bool:
        """Whether the service's own check passes."""
        kind, _, *arguments = self.described[name]["healthcheck"]["test"]
        assert kind == "CMD"
        # A busy machine may take longer than the 4 s.
        check = [part.replace("http://web:5000", self.url).replace("=4", "=60") for part in arguments]
        return subprocess.run([sys.executable, *check], check=False, capture_output=True).returncode == 0

    def end(self) -> None:
        """End them all."""
        for process in reversed(self.running.values()):
            process.kill()
            process.wait(10)


def _pings(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    server = PostgresServer()
    yield server
    server.end()


@pytest.fixture
def services(postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """All services of the profile “stores” but for the web server and the workers."""
    s3 = S3Server(tmp_path)
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    stores = {"DATABASE_URL": postgres.url, "STORAGE_URL": f"s3://{BUCKET}", "STILLMOTION_TOKEN": TOKEN}
    lent = Services(tmp_path, {**s3.environment, **stores})
    lent.start("redis")
    yield lent
    lent.end()
    s3.end()


def test_a_clip_and_a_conversion_get_through_though_a_worker_is_lost(
    services: Services, postgres: PostgresServer, tmp_path: Path, small_clip: Path
) -> None:
    for name in ("web", "worker", "worker-short"):
        services.start(name)
    (tmp_path / "videos").mkdir()
    video = moving_clip(tmp_path / "videos" / "a.mp4", frames=96, velocity=(0.4, 0.2))
    s3 = boto3.client("s3")
    s3.put_object(Bucket=BUCKET, Key="videos/a.mp4", Body=video.read_bytes())
    person = requests.Session()
    person.headers["Authorization"] = f"Bearer {TOKEN}"
    api = f"{services.url}/api/v1"
    wait_for(lambda: services.is_healthy("worker"), 240, pause=0.5)

    def ask(method: str, path: str, **options: Any) -> requests.Response:
        """The answer; a busy machine's S3 may seem away for a moment."""
        return wait_for(
            lambda: (
                answer
                if (answer := person.request(method, f"{api}{path}", timeout=60, **options)).status_code < 500
                else None
            )
        )

    arguments = [f"s3://{BUCKET}/videos", "--out", f"s3://{BUCKET}/set", *SETTINGS]
    made = psutil.Popen(
        [sys.executable, "-m", "webapp", "convert", *arguments], cwd=ROOT, env=services.environment("worker")
    )
    clips = {}
    for path in (small_clip, video):
        clips[path] = ask("POST", "/clips", files={"file": (path.name, path.read_bytes())}).json()["id"]
    runs = {}
    for path in (video, small_clip):
        wish = {"clip": clips[path], "method": "lk", "grid": 16, "frames": None}
        answer = ask("POST", "/runs", json=wish)
        assert answer.status_code == 202, answer.text
        runs[answer.json()["id"]] = answer.json()["frames"]
    wait_for(services.running["worker"].children, pause=0.005)
    services.running["worker"].kill()
    services.running["worker"].wait(10)
    services.start("worker")  # as “restart: unless-stopped” does

    assert made.wait(120) == 0
    for run in runs:
        wait_for(
            lambda run=run: person.get(f"{api}/runs/{run}", timeout=30).json()["state"] not in UNFINISHED
        )
    with psycopg.connect(host="127.0.0.1", port=postgres.port, user=USER, dbname=USER) as database:
        assert dict(database.execute("SELECT id, state FROM runs").fetchall()) == dict.fromkeys(runs, "done")
        assert database.execute("SELECT count(*) FROM clips").fetchone() == (2,)
    wait_for(lambda: not _keys(s3, "partial/"))
    stored = Counter(key.split("/")[1] for key in _keys(s3, "runs/"))
    assert stored == {run: frames + 1 for run, frames in runs.items()}  # each frame, and tracks.npz
    assert len(_keys(s3, "clips/")) == 2
    for run in runs:
        assert ask("GET", f"/runs/{run}/tracks.npz").status_code == 200
    assert main(["convert", str(video.parent), "--out", str(tmp_path / "set"), *SETTINGS]) == 0
    converted = {key.rsplit("/", 1)[-1]: _read(s3, key) for key in _keys(s3, "set/shards/")}
    assert converted == shards(tmp_path / "set")


def test_a_worker_with_a_gpu_is_a_profile_that_reserves_one(tmp_path: Path) -> None:
    services = Services(tmp_path, {})
    worker = services.described["worker-gpu"]
    [device] = worker["deploy"]["resources"]["reservations"]["devices"]
    assert (worker["profiles"], device["driver"], device["capabilities"]) == (["gpu"], "nvidia", ["gpu"])
    settings = Settings.from_environment(services.environment("worker-gpu"))
    assert settings.device == "cuda"
    assert served_queues(settings)[:2] == ["stillmotion-short-gpu", "stillmotion-long-gpu"]


def _keys(s3: Any, part: str) -> list[str]:
    listed = s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    return [found["Key"] for found in listed if part in found["Key"]]


def _read(s3: Any, key: str) -> bytes:
    content: bytes = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    return content
