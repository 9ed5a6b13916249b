"""Training sets in the app: listed, filtered, shown sample by sample, and nothing else reached by name."""

import base64
import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient

from model.datasets.folder import DataFolder
from model.datasets.sample import Sample
from tests.model.datasets.example_sets import FRAMES, GRID, SIZE, make_dataset
from webapp.core.settings import Settings

API = "/api/v1/datasets"
SCALE = 256 / SIZE[0]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Sample]]:
    """A set of 6 videos with 7 samples each; video k moves by (k, -k/2) px a frame."""
    path = tmp_path_factory.mktemp("sets") / "small"
    return path, make_dataset(path, chunks=7)[1]


@pytest.fixture
def client(client: FlaskClient, settings: Settings, written: tuple[Path, list[Sample]]) -> FlaskClient:
    """A client of an app whose instance holds the set."""
    shutil.copytree(written[0], settings.datasets / "small")
    return client


def test_sets_are_listed_with_their_counts(client: FlaskClient, settings: Settings) -> None:
    (settings.datasets / "notes.txt").write_text("no set")
    (settings.datasets / "empty").mkdir()
    (settings.datasets / "broken").mkdir()
    (settings.datasets / "broken" / "dataset.json").write_text("{")
    listed = client.get(API).json
    assert listed["total"] == 2
    broken, small = listed["items"]
    assert (broken["name"], broken["samples"]) == ("broken", None)
    assert broken["error"].startswith("dataset.json of datasets/broken is damaged")
    assert small["error"] is None
    assert small["is_complete"]
    assert (small["samples"], small["videos"], small["grid"], small["horizon"]) == (42, 6, GRID, FRAMES)
    assert small["samples_by_split"] == {"train": 28, "validation": 14, "test": 0}
    shards = (settings.datasets / "small" / "shards").glob("*.tar")
    assert small["bytes"] == sum(path.stat().st_size for path in shards)
    assert client.get(small["links"]["page"]).status_code == 200
    assert client.get(f"{API}?limit=1&offset=1").json["items"] == [small]


def test_without_the_folder_there_are_none(settings: Settings, app) -> None:
    assert app.test_client().get(API).json == {"items": [], "total": 0}
    assert app.test_client().get("/datasets").status_code == 200


def test_a_set_is_shown_with_its_videos(client: FlaskClient) -> None:
    shown = client.get(f"{API}/small").json
    assert shown["settings"]["grid"] == GRID
    assert [(video["source"], video["samples"]) for video in shown["sources"]] == [
        (f"video-{k:02d}.mp4", 7) for k in (0, 1, 3, 4, 2, 5)
    ]
    assert {video["source"]: video["split"] for video in shown["sources"]}["video-05.mp4"] == "validation"


def keys(client: FlaskClient, query: str) -> list[str]:
    answer = client.get(f"{API}/small/samples?limit=500&{query}").json
    assert answer["total"] == len(answer["items"])
    return [item["key"] for item in answer["items"]]


def test_samples_come_in_pages(client: FlaskClient, written: tuple[Path, list[Sample]]) -> None:
    everything = [sample.key for sample in written[1]]
    assert keys(client, "") == everything
    paged = []
    for offset in range(0, 50, 10):
        answer = client.get(f"{API}/small/samples?limit=10&offset={offset}").json
        assert answer["total"] == 42
        paged += [item["key"] for item in answer["items"]]
    assert paged == everything


def test_filters_let_through_what_they_say(client: FlaskClient, written: tuple[Path, list[Sample]]) -> None:
    def chosen(test) -> set[str]:
        return {sample.key for sample in written[1] if test(sample.facts)}

    third = 7 * 3 * np.sqrt(1.25) * SCALE  # how far the points of video 3 move
    assert set(keys(client, "split=validation")) == chosen(lambda facts: facts.split == "validation")
    assert set(keys(client, "source=video-03.mp4")) == chosen(lambda facts: facts.source == "video-03.mp4")
    assert set(keys(client, f"min_motion={third - 1}&max_motion={third + 1}")) == chosen(
        lambda facts: facts.source == "video-03.mp4"
    )
    assert set(keys(client, "min_quality=0.97")) == chosen(
        lambda facts: facts.quality is not None and facts.quality >= 0.97
    )
    assert set(keys(client, "min_moving=0.01")) == chosen(lambda facts: facts.source != "video-00.mp4")
    assert keys(client, "source=nothing.mp4") == []
    assert keys(client, "split=test") == []


@pytest.mark.parametrize(
    ("order", "column", "sign"),
    [
        ("most-motion", "motion", -1),
        ("least-motion", "motion", 1),
        ("best-quality", "quality", -1),
        ("worst-quality", "quality", 1),
    ],
)
def test_samples_are_sorted(client: FlaskClient, order: str, column: str, sign: int) -> None:
    items = client.get(f"{API}/small/samples?order={order}").json["items"]
    values = [item[column] for item in items]
    known = [value for value in values if value is not None]
    assert values == known + [None] * (42 - len(known))
    assert (np.diff(known) * sign >= 0).all()
    assert len(known) == (42 if column == "motion" else 21)


def test_a_sample_is_shown_with_all_its_facts(
    client: FlaskClient, written: tuple[Path, list[Sample]]
) -> None:
    sample = written[1][17]
    shown = client.get(f"{API}/small/samples/{sample.key}").json
    assert shown["facts"] == json.loads(json.dumps(dataclasses.asdict(sample.facts)))
    assert shown["motion"] == pytest.approx(sample.facts.motion * SCALE)
    picture = client.get(shown["links"]["picture"])
    assert (picture.content_type, picture.data) == ("image/jpeg", sample.image)
    figure = client.get(shown["links"]["figure"]).json
    numbers = figure["layout"]["meta"]["stillmotion"]
    points = np.frombuffer(base64.b64decode(numbers["points"]["bdata"]), np.float32)
    np.testing.assert_array_equal(points.reshape(FRAMES, GRID**2, 2), sample.tracks().points)
    assert figure["layout"]["images"][0]["source"] == shown["links"]["picture"]
    assert client.get(shown["links"]["figure"]).json["data"] == []


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("split=half", "The split must be one of train, validation, test, not “half”."),
        ("min_motion=fast", "The least motion must be a number of at least 0, not “fast”."),
        ("min_motion=-1", "The least motion must be a number of at least 0, not “-1.0”."),
        ("max_motion=nan", "The most motion must be a number of at least 0."),
        ("min_quality=2", "The least quality must be a number from 0 to 1, not “2.0”."),
        ("order=odd", "The order must be one of set, most-motion"),
        ("limit=0", "The limit must be a whole number from 1 to 500, not “0”."),
    ],
)
def test_a_wrong_filter_is_said_in_a_sentence(client: FlaskClient, query: str, sentence: str) -> None:
    answer = client.get(f"{API}/small/samples?{query}")
    assert answer.status_code == 422
    assert answer.content_type == "application/problem+json"
    assert sentence in answer.json["detail"]


@pytest.mark.parametrize(
    "name",
    ["none", "..", "%2e%2e", "..%2f..%2foutside", "small%2f..%2f..%2foutside", "%2Ftmp", ".", "small%00"],
)
def test_names_reach_nothing_but_sets(client: FlaskClient, settings: Settings, name: str) -> None:
    # What lies outside the folder, and would be a set.
    shutil.copytree(settings.datasets / "small", settings.instance / "outside")
    shutil.copy(settings.datasets / "small" / "dataset.json", settings.instance / "dataset.json")
    for address in (f"{API}/{name}", f"{API}/{name}/samples", f"/datasets/{name}"):
        refused = 400 if "%00" in name else 404  # a zero byte is no text, wherever it stands
        assert client.get(address, follow_redirects=True).status_code == refused, address


@pytest.mark.parametrize("key", ["none", "..", "%2e%2e%2fdataset.json", "train-000000"])
def test_an_unknown_sample_is_404(client: FlaskClient, key: str) -> None:
    for end in ("", "/picture.jpg", "/figure.json"):
        assert client.get(f"{API}/small/samples/{key}{end}").status_code == 404


def test_a_set_that_changes_is_read_anew(client: FlaskClient, settings: Settings) -> None:
    assert client.get(f"{API}/small/samples").json["total"] == 42
    summary, _ = make_dataset(settings.datasets / "small", videos=3, chunks=2)
    assert client.get(f"{API}/small/samples").json["total"] == 6
    half = dataclasses.replace(summary, is_complete=False, shards=summary.shards[:1])
    half.save(DataFolder.open(settings.datasets / "small"))
    assert client.get(f"{API}/small").json["is_complete"] is False
    assert client.get(f"{API}/small/samples").json["total"] == 4
    shutil.rmtree(settings.datasets / "small")
    assert client.get(f"{API}/small/samples").status_code == 404


def test_a_damaged_set_is_said_in_a_sentence(client: FlaskClient, settings: Settings) -> None:
    item = client.get(f"{API}/small/samples").json["items"][0]
    shard = settings.datasets / "small" / "shards" / "train-000000.tar"
    shard.write_bytes(bytes(shard.stat().st_size))
    answer = client.get(item["links"]["self"])
    assert answer.status_code == 422
    assert "is damaged; copy the set again" in answer.json["detail"]
    assert str(settings.instance) not in answer.json["detail"]
    shard.unlink()
    answer = client.get(item["links"]["self"])
    assert answer.json["detail"] == "A shard of datasets/small is gone; copy the set again."
    (settings.datasets / "small" / "dataset.json").write_text("[]")
    assert client.get(f"{API}/small").status_code == 422


def test_the_page_may_run_the_viewer_and_no_other_site(client: FlaskClient) -> None:
    policy = client.get("/datasets/small").headers["Content-Security-Policy"]
    assert "script-src 'self' 'unsafe-eval'" in policy
    assert "unsafe-eval" not in client.get("/datasets").headers["Content-Security-Policy"]
