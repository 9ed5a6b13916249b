"""Training sets of clips in the app: what is refused, and a conversion that outlives its worker."""

import io
import json
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient

from model.datasets.folder import DataFolder
from model.datasets.index import DatasetIndex
from model.datasets.summary import DatasetSummary
from tests.media import moving_clip, texture, write_image
from tests.model.datasets.example_sets import make_dataset
from tests.webapp.stack import Stack, is_alive, wait_for
from webapp.core.settings import Settings
from webapp.jobs.queue import WORK, RunQueue, record_killed
from webapp.jobs.reaper import Reaper
from webapp.rows.records import UNFINISHED, Job


def upload(client: FlaskClient, path: Path) -> str:
    data = {"file": (io.BytesIO(path.read_bytes()), path.name)}
    return str(client.post("/api/v1/clips", data=data).json["id"])


def ask(client: FlaskClient, clips: list[str], name: str = "cars", **settings: Any) -> Any:
    return client.post("/api/v1/datasets", json={"name": name, "clips": clips, "method": "lk", **settings})


def test_what_cannot_be_converted_is_refused_with_a_sentence(
    client: FlaskClient, settings: Any, small_clip: Path, tmp_path: Path
) -> None:
    clip = upload(client, small_clip)
    still = upload(client, write_image(tmp_path / "still.png", texture(40, 60, seed=1)))
    for clips, values, status, words in (
        (["nobody"], {}, 404, "no clip “nobody”"),
        ([], {}, 422, "Choose 1 to 500 clips"),
        ([still], {}, 422, "single picture"),
        ([clip], {"name": "../x"}, 422, "letters, digits"),
        ([clip], {"name": ".hidden"}, 422, "letters, digits"),
        ([clip], {"name": "  "}, 422, "1 to 60 characters"),
        ([clip], {"name": "a/b"}, 422, "letters, digits"),
        ([clip], {"method": "fcn"}, 422, "predicts"),
        ([clip], {"method": "raft"}, 422, "checkpoint"),
        ([clip], {"method": "lk", "weights": "/etc/passwd"}, 422, "takes no weights"),
        ([clip], {"grid": 65}, 422, "1 to 64"),
        ([clip], {"interval": 0.1, "frame_step": 2}, 422, "not both"),
        ([clip], {"interval": 0}, 422, "0.001 to 60"),
    ):
        answer = ask(client, clips, **values)
        assert (answer.status_code, words in answer.json["detail"]) == (status, True), (values, answer.json)
    assert list(settings.datasets.iterdir()) == []  # what was refused claims no name
    assert client.get("/api/v1/jobs").json["total"] == 0
    client.patch(f"/api/v1/clips/{clip}", json={"deleted": True})
    assert "in the bin" in ask(client, [clip]).json["detail"]


def test_a_name_is_taken_while_its_set_is_made_and_a_full_queue_takes_none(
    client: FlaskClient, app: Flask, small_clip: Path
) -> None:
    clip = upload(client, small_clip)
    first = ask(client, [clip, clip])
    assert (first.status_code, first.json["state"], first.json["settings"]["clips"]) == (
        202,
        "queued",
        [clip],
    )
    assert first.json["queue_position"] == 1
    taken = ask(client, [clip])
    assert (taken.status_code, taken.json["detail"]) == (409, "The name “cars” is taken; choose another one.")
    object.__setattr__(app.extensions["stillmotion"].queue.settings, "max_waiting", 1)
    full = ask(client, [clip], name="more")
    assert full.status_code == 429
    assert [path.name for path in app.extensions["stillmotion"].settings.datasets.iterdir()] == ["cars"]


def test_a_job_that_was_cancelled_can_be_continued_and_no_other(
    client: FlaskClient, small_clip: Path
) -> None:
    job = ask(client, [upload(client, small_clip)]).json
    again = f"{job['links']['self']}/continue"
    assert client.post(again).status_code == 409
    assert client.delete(job["links"]["self"]).json["state"] == "cancelled"
    assert client.delete(job["links"]["self"]).json["state"] == "cancelled"
    continued = client.post(again)
    assert (continued.status_code, continued.json["state"]) == (202, "queued")
    assert client.get("/api/v1/jobs?kind=convert&name=cars").json["items"][0]["id"] == job["id"]
    assert client.get("/api/v1/jobs?name=other").json["items"] == []
    assert client.get("/api/v1/jobs/nobody").status_code == 404


def test_a_job_is_removed_with_its_set_and_its_name_is_free_again(
    client: FlaskClient, settings: Settings, small_clip: Path
) -> None:
    clip = upload(client, small_clip)
    job = ask(client, [clip]).json
    make_dataset(settings.datasets / "cars")  # what the conversion would make
    training = client.post(
        "/api/v1/datasets/cars/train", json={"name": "mine", "steps": 4, "scene_motion": False}
    ).json
    refused = client.delete(f"{job['links']['self']}?remove=true")
    assert (refused.status_code, "A training reads" in refused.json["detail"]) == (422, True)
    for each in (training, job):
        assert client.delete(f"{each['links']['self']}?remove=true").json["id"] == each["id"]
        assert client.get(each["links"]["self"]).status_code == 404
    assert list(settings.datasets.iterdir()) == list(settings.predictors.iterdir()) == []
    assert (settings.instance / "audit.log").read_text().count("removed") == 2
    assert ask(client, [clip]).status_code == 202


def test_data_sets_count_for_the_quota(client: FlaskClient, app: Flask, small_clip: Path) -> None:
    clip = upload(client, small_clip)
    settings = app.extensions["stillmotion"].queue.settings
    object.__setattr__(settings, "quota_bytes", 1_000_000)
    settings.datasets.mkdir()
    (settings.datasets / "large").write_bytes(bytes(1_000_000))
    answer = ask(client, [clip])
    assert (answer.status_code, "may take 1,000,000 bytes" in answer.json["detail"]) == (507, True)
    assert not (settings.datasets / "cars").exists()


def test_work_on_the_long_queue_does_not_stand_before_short_runs(
    client: FlaskClient, small_clip: Path
) -> None:
    clip = upload(client, small_clip)
    job = ask(client, [clip]).json
    run = client.post("/api/v1/runs", json={"clip": clip, "method": "lk"}).json
    assert client.get(job["links"]["self"]).json["queue_position"] == 2
    assert run["queue_position"] == 1


@pytest.mark.parametrize("count", [1, 2, 3, 12])
def test_of_two_clips_or_more_one_is_for_validation(
    client: FlaskClient, app: Flask, tmp_path: Path, count: int
) -> None:
    from model.convert.settings import ConvertSettings
    from webapp.rows.records import Clip

    clips = [
        upload(client, moving_clip(tmp_path / f"{k}.mp4", frames=2, velocity=(k, 0))) for k in range(count)
    ]
    database = app.extensions["stillmotion"].database
    job = database.find(Job, ask(client, clips).json["id"])
    settings = ConvertSettings(**job.settings["convert"])
    splits = [settings.split_of(f"{id}.mp4", database.find(Clip, id).sha256) for id in clips]
    assert splits.count("validation") == (count > 1)
    assert splits.count("test") == (count == 12)


def dataset(stack: Stack, clips: list[str], name: str, **settings: Any) -> dict[str, Any]:
    wish = {"name": name, "clips": clips, "method": "lk", **settings}
    answer = requests.post(f"{stack.url}/api/v1/datasets", json=wish, timeout=30)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


def job_of(stack: Stack, job: dict[str, Any]) -> dict[str, Any]:
    return dict(stack.get(f"/jobs/{job['id']}").json())


def ended(stack: Stack, job: dict[str, Any]) -> dict[str, Any]:
    wait_for(lambda: job_of(stack, job)["state"] not in ("queued", "running"), 200, pause=0.1)
    return job_of(stack, job)


def test_a_conversion_outlives_a_cancel_and_its_killed_worker(
    start_stack: Callable[..., Stack], long_clip: Path, small_clip: Path, tmp_path: Path
) -> None:
    stack = start_stack()
    clips = [stack.upload(long_clip), stack.upload(small_clip)]
    job = dataset(stack, clips, "both ways", grid=16)
    wait_for(lambda: " shards, chunk " in job_of(stack, job)["stage"], 120)
    here = f"{stack.url}{job['links']['self']}"
    assert requests.delete(here, timeout=10).json()["state"] == "cancelled"
    listed = stack.get("/datasets").json()["items"][0]
    assert (listed["name"], listed["is_complete"]) == ("both ways", False)
    wait_for(lambda: requests.post(f"{here}/continue", timeout=10).status_code == 202)  # once it has ended

    folder = stack.instance / "datasets" / "both ways"
    first = wait_for(lambda: next(folder.glob("shards/*.json"), None), 120)
    made = first.stat().st_mtime_ns
    for process in (stack.horse(), stack.worker()):
        process.kill()
    done = ended(stack, job)
    assert (done["state"], done["error"]) == ("done", None)
    assert "queued again" in stack.output
    assert first.stat().st_mtime_ns == made  # what was finished was not done again

    summary = DatasetSummary.load(DataFolder.open(folder))
    assert summary.is_complete
    index = DatasetIndex.load(DataFolder.open(folder))
    assert len(index) == 63 + 2  # 500 frames in chunks of 8, the last of 4; and 16
    assert set(index.sources) == {long_clip.name, small_clip.name}
    splits = {index.sources[row["source"]]: row["split"] for row in index.rows}
    assert sorted(splits.values()) == [0, 1]  # one is for training, one for validation
    sample = next(each for each in index.read(range(60)) if each.facts.source == long_clip.name)
    moved = sample.displacement[-1].astype(np.float32).mean(axis=0)
    np.testing.assert_allclose(moved, [7 * 0.2, 7 * 0.1], atol=0.2)
    report = stack.get("/datasets/both ways/report.html")
    assert report.status_code == 200
    assert "attachment" in report.headers["Content-Disposition"]
    assert long_clip.name in report.text
    assert str(stack.instance) not in json.dumps(stack.get("/datasets/both ways").json())
    assert not list((stack.instance / "tmp").glob("run-*"))


@pytest.mark.slow
def test_a_cancelled_job_that_hangs_is_killed_and_frees_its_worker(
    start_stack: Callable[..., Stack],
    long_clip: Path,
    small_clip: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stack = start_stack()
    job = dataset(stack, [stack.upload(long_clip)], "hung", grid=16)
    wait_for(lambda: " shards, chunk " in job_of(stack, job)["stage"], 120)
    horse = stack.horse()
    horse.suspend()  # it never looks whether it is cancelled
    here = f"{stack.url}{job['links']['self']}"
    assert requests.delete(here, timeout=10).json()["state"] == "cancelled"
    run = stack.start_run(stack.upload(small_clip))
    monkeypatch.setenv("STILLMOTION_INSTANCE", str(stack.instance))
    queue = RunQueue.open(Settings.from_environment())
    Reaper(queue).reconcile()
    assert is_alive(horse)  # it may still take its time

    wait_for(lambda: Reaper(queue, stop_seconds=0.1).reconcile() or not is_alive(horse), pause=0.5)
    queue.database.close()
    assert stack.wait_for_end(run)["state"] == "done"
    ended_job = job_of(stack, job)
    assert ended_job["state"] == "cancelled"
    assert "was killed" in ended_job["error"]
    assert requests.post(f"{here}/continue", timeout=10).status_code == 202
    assert ended(stack, job)["error"] is None


def test_an_estimate_says_what_the_conversion_then_makes(stack: Stack, small_clip: Path) -> None:
    clip = stack.upload(small_clip)
    wish = {"clips": [clip], "method": "lk", "grid": 8}
    trial = requests.post(f"{stack.url}/api/v1/datasets/estimate", json=wish, timeout=30).json()
    found = ended(stack, trial)
    assert found["state"] == "done", found
    given = found["result"]["outlooks"][0]
    assert (given["chunks"], found["result"]["videos"], found["result"]["frames"]) == (2, 1, 16)
    assert stack.get("/jobs").json()["items"] == []  # a trial is no work on a set
    made = ended(stack, dataset(stack, [clip], "tried", grid=8))
    assert made["state"] == "done"
    assert stack.get("/datasets/tried").json()["samples"] == 2


def test_a_second_kill_fails_the_job_which_can_be_continued(
    app: Flask, client: FlaskClient, small_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = app.extensions["stillmotion"]
    for name, value in backend.settings.to_environment().items():
        monkeypatch.setenv(name, value)
    job = ask(client, [upload(client, small_clip)]).json
    killed = SimpleNamespace(id=job["id"], func_name=WORK, connection=backend.queue.jobs.redis)
    for attempt, state in ((1, "running"), (2, "failed")):
        row = backend.database.find(Job, job["id"])
        if attempt == 2:
            assert backend.database.requeue(row, *UNFINISHED)
        assert backend.database.start(row) is not None
        record_killed(killed, 1, signal.SIGKILL, None)
        assert client.get(job["links"]["self"]).json["state"] == state
    failed = client.get(job["links"]["self"]).json
    assert failed["error"] == (
        "The system ended the job (SIGKILL), most likely because the memory ran out; continue it, and it "
        "goes on from where it was."
    )
    assert client.post(f"{job['links']['self']}/continue").json["state"] == "queued"
    record_killed(killed, 1, signal.SIGKILL, None)  # the first time since
    assert client.get(job["links"]["self"]).json["state"] == "queued"
