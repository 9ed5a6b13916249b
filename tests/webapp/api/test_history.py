"""Clips and runs found, sorted, named, tagged, put into the bin, taken back and removed in the end."""

import io
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.media import encoded, moving_frames
from webapp.actions.backend import app_backend
from webapp.actions.history import empty_bin
from webapp.core.settings import Settings
from webapp.rows.records import Clip, Run, now

Upload = Callable[[Path, str], str]


@pytest.fixture
def upload(client: FlaskClient) -> Upload:
    """Upload a file under a name and return the clip's id."""

    def send(path: Path, name: str) -> str:
        answer = client.post("/api/v1/clips", data={"file": (io.BytesIO(path.read_bytes()), name)})
        return str(answer.json["id"])

    return send


@pytest.fixture
def clips(upload: Upload, small_clip: Path, tmp_path: Path) -> list[str]:
    """A video “street.mp4” and two photos of one name, oldest first."""
    ids = [upload(small_clip, "street.mp4")]
    for index in (0, 1):
        picture = tmp_path / f"{index}.png"
        picture.write_bytes(encoded(moving_frames(2)[index], "PNG"))
        ids.append(upload(picture, "00020.jpg"))
    return ids


@pytest.fixture
def runs(client: FlaskClient, clips: list[str]) -> list[str]:
    """Three queued runs of the video, oldest first: two of lk and one of zero."""
    wishes = ({"method": "lk"}, {"method": "lk", "grid": 5}, {"method": "zero"})
    return [client.post("/api/v1/runs", json={"clip": clips[0], **wish}).json["id"] for wish in wishes]


def ids(client: FlaskClient, of: str, **query: object) -> list[str]:
    answer = client.get(f"/api/v1/{of}", query_string=query)
    assert answer.status_code == 200, answer.text
    assert answer.json["total"] == len(answer.json["items"])
    return [item["id"] for item in answer.json["items"]]


def patch(client: FlaskClient, kind: str, identifier: str, **values: object) -> dict[str, Any]:
    answer = client.patch(f"/api/v1/{kind}/{identifier}", json=values)
    assert answer.status_code == 200, answer.text
    return dict(answer.json)


def test_photos_of_one_name_are_told_apart_by_new_names_and_tags(client, clips):
    assert patch(client, "clips", clips[1], name="  Beach, left ")["name"] == "Beach, left"
    assert patch(client, "clips", clips[2], tags=["sea", "100 %"])["tags"] == ["sea", "100 %"]
    assert ids(client, "clips", text="beach LEFT") == [clips[1]]
    assert ids(client, "clips", text="00020") == [clips[2]]
    assert ids(client, "clips", tag="sea") == [clips[2]]
    assert ids(client, "clips", tag="se") == []
    assert ids(client, "clips", text="0 %") == [clips[2]]  # no pattern of SQL
    assert ids(client, "clips", text="_") == []
    assert ids(client, "clips", kind="video") == [clips[0]]
    assert ids(client, "clips", sort="name") == [clips[2], clips[1], clips[0]]
    assert ids(client, "clips", sort="oldest") == clips
    assert ids(client, "clips") == clips[::-1]


def test_runs_are_found_by_clip_name_method_state_and_age(client, app, clips, runs):
    patch(client, "runs", runs[0], name="fine grid", tags=["paper"])
    assert ids(client, "runs", text="street") == runs[::-1]
    assert ids(client, "runs", text="street fine") == [runs[0]]
    assert ids(client, "runs", text="paper") == [runs[0]]
    assert ids(client, "runs", method="zero") == [runs[2]]
    assert ids(client, "runs", clip=clips[1]) == []
    client.delete(f"/api/v1/runs/{runs[1]}")
    assert ids(client, "runs", state="cancelled") == [runs[1]]
    assert ids(client, "runs", sort="name") == [runs[2], runs[1], runs[0]]
    with app.app_context(), app_backend().database.session() as session:
        session.get_one(Run, runs[0]).created_at = now() - timedelta(days=3)
    assert ids(client, "runs", days=2) == [runs[2], runs[1]]


def test_a_run_in_the_bin_is_cancelled_kept_and_taken_back(client, runs):
    assert patch(client, "runs", runs[0], deleted=True)["state"] == "cancelled"
    assert ids(client, "runs") == [runs[2], runs[1]]
    assert ids(client, "runs", deleted="true") == [runs[0]]
    assert client.get(f"/api/v1/runs/{runs[0]}").json["deleted_at"] is not None
    assert patch(client, "runs", runs[0], deleted=False)["deleted_at"] is None
    assert ids(client, "runs") == runs[::-1]


def test_a_clip_in_the_bin_takes_its_runs_along_and_back(client, clips, runs, upload, small_clip):
    patch(client, "clips", clips[0], deleted=True)
    assert ids(client, "clips", deleted="true") == [clips[0]]
    assert (ids(client, "runs"), ids(client, "runs", deleted="true")) == ([], runs[::-1])
    refused = client.post("/api/v1/runs", json={"clip": clips[0], "method": "lk"})
    name = client.get(f"/api/v1/clips/{clips[0]}").json["name"]
    assert (refused.status_code, refused.json["detail"]) == (
        422,
        f"“{name}” is in the bin; take it back first.",
    )
    assert upload(small_clip, "again.mp4") == clips[0]  # what is uploaded again is wanted again
    assert ids(client, "clips") == clips[::-1]
    assert ids(client, "runs") == runs[::-1]


def test_the_bin_is_emptied_after_the_days_of_the_settings(
    client, app: Flask, settings: Settings, clips, runs
):
    patch(client, "clips", clips[1], deleted=True)
    patch(client, "clips", clips[2], deleted=True)
    patch(client, "runs", runs[0], deleted=True)
    with app.app_context():
        backend = app_backend()
        old = now() - timedelta(days=settings.bin_days, minutes=1)
        with backend.database.session() as session:
            session.get_one(Run, runs[0]).deleted_at = old
            session.get_one(Clip, clips[1]).deleted_at = old
        file = settings.instance / "storage" / backend.database.find(Clip, clips[1]).key
        assert file.exists()
        empty_bin(backend.queue, settings)
    assert not file.exists()
    assert ids(client, "clips", deleted="true") == [clips[2]]
    assert client.get(f"/api/v1/runs/{runs[0]}").status_code == 404
    assert ids(client, "runs") == [runs[2], runs[1]]
    noted = (settings.instance / "audit.log").read_text()
    assert f"runs/{runs[0]}" in noted
    assert f"clips/{clips[1]}" in noted


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"name": ""}, "The name must have 1 to 255 characters."),
        ({"name": "  "}, "The name must have 1 to 255 characters."),
        ({"name": "x" * 256}, "The name must have 1 to 255 characters."),
        ({"name": "a\nb"}, "The name must be one line of readable characters."),
        ({"name": 3}, "The name must be a text."),
        ({"tags": "sea"}, "The tags must be a list of texts."),
        ({"tags": ["a\nb"]}, "The tag must be one line of readable characters."),
        ({"tags": ["x"] * 21}, "The tags must be at most 20."),
        ({"deleted": "perhaps"}, "The value of “deleted” must be true or false."),
    ],
)
def test_a_change_that_cannot_be_is_one_sentence(client, clips, values, sentence):
    answer = client.patch(f"/api/v1/clips/{clips[0]}", json=values)
    assert (answer.status_code, answer.json["detail"]) == (422, sentence)


def test_lists_are_asked_for_in_ways_that_are_there(client):
    for query in ({"sort": "size"}, {"days": -1}, {"deleted": "x"}, {"limit": 501}, {"text": "a " * 101}):
        assert client.get("/api/v1/clips", query_string=query).status_code == 422
    assert client.patch("/api/v1/clips/none", json={"name": "x"}).status_code == 404
