"""Training sets and videos on s3://, against a local S3 server: the bytes are those of local folders."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from model.__main__ import main
from tests.media import moving_clip, moving_frames, write_image
from tests.webapp.conversion.converting import SETTINGS, machines, shards
from tests.webapp.s3_server import S3Server
from tests.webapp.stack import ROOT, free_port

BUCKET = "films"


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which s3:// is a local server; it has one empty bucket."""
    server = S3Server(tmp_path_factory.mktemp("s3"))
    yield server.environment
    server.end()


class Bucket:
    """The bucket as another program sees it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._client = boto3.client(
            "s3",
            endpoint_url=environment["AWS_ENDPOINT_URL"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            region_name=environment["AWS_DEFAULT_REGION"],
        )
        self._client.create_bucket(Bucket=BUCKET)

    def put(self, path: Path, key: str) -> None:
        self._client.put_object(Bucket=BUCKET, Key=key, Body=path.read_bytes())

    def keys(self, prefix: str) -> list[str]:
        answer = self._client.list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        return [fact["Key"] for fact in answer.get("Contents", [])]

    def read(self, key: str) -> bytes:
        return self._client.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def shards(self, name: str) -> dict[str, bytes]:
        return {key.rsplit("/", 1)[-1]: self.read(key) for key in self.keys(f"{name}/shards/")}

    def close(self) -> None:
        self._client.close()


@pytest.fixture(scope="module")
def bucket(s3: dict[str, str]) -> Iterator[Bucket]:
    opened = Bucket(s3)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def single(bucket: Bucket, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process makes of local videos; the same videos lie in the bucket's folder `videos`."""
    videos = tmp_path_factory.mktemp("sources") / "videos"
    (videos / "images").mkdir(parents=True)
    moving_clip(videos / "a.mp4", frames=48, velocity=(0.4, 0.2))
    moving_clip(videos / "b.mp4", frames=24, velocity=(-0.5, 0.3))
    for number, picture in enumerate(moving_frames(12)):
        write_image(videos / "images" / f"{number}.png", picture)
    for path in videos.rglob("*.*"):
        bucket.put(path, f"videos/{path.relative_to(videos)}")
    out = videos.parent / "set"
    assert main(["convert", str(videos), "--out", str(out), *SETTINGS]) == 0
    return out


def convert(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run `python -m model convert`."""
    return subprocess.run(
        [sys.executable, "-m", "model", "convert", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


@pytest.mark.slow
def test_one_process_reads_from_s3_and_writes_to_it(s3: dict[str, str], bucket: Bucket, single: Path) -> None:
    arguments = (f"s3://{BUCKET}/videos", "--out", f"s3://{BUCKET}/one", *SETTINGS)
    made = convert(s3, *arguments)
    assert made.returncode == 0, made.stderr
    assert bucket.shards("one") == shards(single)
    assert bucket.read("one/dataset.json") == (single / "dataset.json").read_bytes()
    again = convert(s3, *arguments)
    assert "Everything was there already." in again.stdout


@pytest.mark.slow
def test_workers_read_from_s3_and_write_to_it(
    s3: dict[str, str], bucket: Bucket, single: Path, redis_url: str
) -> None:
    out = f"s3://{BUCKET}/many"
    with machines(redis_url, s3) as team:
        team.add_worker()
        made = team.run("convert", f"s3://{BUCKET}/videos", "--out", out, *SETTINGS)
        assert made.returncode == 0, made.stderr
        told = team.run("convert-status", "--out", out)
    assert bucket.shards("many") == shards(single)
    assert bucket.read("many/dataset.json") == (single / "dataset.json").read_bytes()
    assert json.loads(bucket.read("many/stats.json"))["verdict"] in told.stdout


@pytest.mark.slow
def test_a_bucket_that_does_not_exist_is_one_sentence(s3: dict[str, str], single: Path) -> None:
    nowhere = convert(s3, f"s3://{BUCKET}/videos", "--out", "s3://nowhere/set", *SETTINGS)
    assert nowhere.returncode == 2
    assert "s3://nowhere/set cannot be written to" in nowhere.stderr.splitlines()[-1]
    nothing = convert(s3, "s3://nowhere/videos", "--out", f"s3://{BUCKET}/none", *SETTINGS)
    assert nothing.returncode == 2
    assert "s3://nowhere/videos is not there" in nothing.stderr.splitlines()[-1]


@pytest.mark.slow
def test_storage_that_does_not_answer_is_one_sentence_and_no_video_is_given_up(
    s3: dict[str, str], single: Path, tmp_path: Path
) -> None:
    silent = {**s3, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}
    out = tmp_path / "set"
    made = convert(silent, f"s3://{BUCKET}/videos/a.mp4", "--out", str(out), *SETTINGS)
    assert made.returncode == 2
    assert "cannot be reached" in made.stderr.splitlines()[-1]
    assert not (out / "errors.jsonl").exists()
