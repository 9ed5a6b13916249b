"""Fine-tuning a predictor and segmenting frames in the app: what is refused, and what is made."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import torch
from flask.testing import FlaskClient
from torchvision.models.segmentation import fcn_resnet50

from model.core.progress import ignore_progress
from model.datasets.summary import SUMMARY
from model.prediction.network import build_predictor
from model.prediction.pretrained import begin_with, initial_weights
from model.prediction.segment import CLASSES
from tests.media import texture, write_image
from tests.model.datasets.example_sets import make_dataset
from tests.predictors import tiny_predictor
from tests.webapp.jobs.test_converting import ended, job_of
from tests.webapp.stack import Stack, wait_for
from webapp.core.settings import Settings


def ask(client: FlaskClient, dataset: str = "cars", name: str = "mine", **values: Any) -> Any:
    body = {"name": name, "steps": 4, "scene_motion": False, **values}
    return client.post(f"/api/v1/datasets/{dataset}/train", json=body)


def test_what_cannot_be_trained_is_refused_with_a_sentence(client: FlaskClient, settings: Settings) -> None:
    make_dataset(settings.datasets / "cars")
    make_dataset(settings.datasets / "unfinished")
    summary = settings.datasets / "unfinished" / SUMMARY
    summary.write_text(summary.read_text().replace('"is_complete": true', '"is_complete": false'))
    make_dataset(settings.datasets / "one", videos=2)
    for dataset, values, status, words in (
        ("nothing", {}, 404, "no data set"),
        ("unfinished", {}, 422, "not complete"),
        ("one", {}, 422, "no samples for validation"),
        ("cars", {"steps": None}, 422, "Say when the training ends"),
        ("cars", {"steps": 0}, 422, "of at least 1"),
        ("cars", {"scene_motion": True}, 422, "the camera known; learn motion as filmed"),
        ("cars", {"scene_motion": "often"}, 422, "must be true or false"),
        ("cars", {"head": "linear"}, 422, "head"),
        ("cars", {"name": "../x"}, 422, "letters, digits"),
        ("cars", {"name": "fcn-resnet50"}, 409, "installed weights"),
        ("cars", {"weights": "/etc/passwd"}, 422, "no weights"),
        ("cars", {"weights": "mine.safetensors"}, 422, "no weights"),
    ):
        answer = ask(client, dataset, **values)
        assert (answer.status_code, words in answer.json["detail"]) == (status, True), (values, answer.json)
    assert not settings.predictors.exists() or not list(settings.predictors.iterdir())
    job = ask(client).json
    assert (job["kind"], job["weights"], job["settings"]["dataset"]) == ("train", None, "cars")
    assert ask(client).status_code == 409
    assert client.get(job["links"]["log"]).json == {"rows": []}
    assert client.delete(job["links"]["self"]).json["state"] == "cancelled"


def test_a_training_begins_with_the_backbone_of_a_predictor(tmp_path: Path) -> None:
    path = tiny_predictor(tmp_path / "tiny.safetensors")
    initial = initial_weights(str(path), "lraspp_mobilenet_v3_large", progress=ignore_progress)
    assert initial is not None
    network = build_predictor("lraspp_mobilenet_v3_large", grid=4, width=32)
    begin_with(network, initial)
    theirs = tiny_weights(path)
    for name, value in network.backbone.state_dict().items():
        torch.testing.assert_close(value, theirs[f"backbone.{name}"].to(value.dtype))


def tiny_weights(path: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return dict(load_file(path))


def test_a_cancelled_training_keeps_its_weights_and_goes_on(
    start_stack: Callable[..., Stack], tmp_path: Path
) -> None:
    weights = tiny_predictor(tmp_path / "tiny.safetensors")
    stack = start_stack(STILLMOTION_PREDICTOR_WEIGHTS=str(weights), OMP_NUM_THREADS="1")
    make_dataset(stack.instance / "datasets" / "cars", videos=3, chunks=2)
    wish = {"name": "mine", "steps": 100_000, "scene_motion": False}
    job = requests.post(f"{stack.url}/api/v1/datasets/cars/train", json=wish, timeout=30).json()
    here = f"{stack.url}{job['links']['self']}"
    wait_for(lambda: job_of(stack, job)["stage"].startswith("step "), 200)
    assert requests.delete(here, timeout=10).json()["state"] == "cancelled"
    wait_for(lambda: job_of(stack, job)["weights"] == "mine.safetensors", 60)
    rows = stack.get(f"/jobs/{job['id']}/log.json").json()["rows"]
    step = rows[-1]["step"]
    assert "epe" in rows[-1]
    methods = {method["name"]: method for method in stack.get("/methods").json()["items"]}
    assert "mine.safetensors" in methods["fcn"]["weights"]
    assert "mine.safetensors" not in methods["pips"]["weights"]

    clip = stack.upload(write_image(tmp_path / "still.png", texture(90, 160, seed=3)))
    run = stack.wait_for_end(stack.start_run(clip, method="fcn", grid=4, weights="mine.safetensors"), 120)
    assert (run["state"], run["weights"]) == ("done", "mine.safetensors"), run

    wait_for(lambda: requests.post(f"{here}/continue", timeout=10).status_code == 202)
    wait_for(lambda: job_of(stack, job)["stage"].startswith("step "), 200)
    time.sleep(0.5)
    requests.delete(here, timeout=10)
    more = wait_for(lambda: [row for row in log(stack, job) if row["step"] > step and "epe" in row], 60)
    assert more  # it went on, and did not begin again
    assert log(stack, job)[0]["step"] <= step


def log(stack: Stack, job: dict[str, Any]) -> list[dict[str, float]]:
    return list(stack.get(f"/jobs/{job['id']}/log.json").json()["rows"])


@pytest.mark.slow
def test_the_classes_of_a_frame_are_shown_where_the_weights_are_there(
    start_stack: Callable[..., Stack], tmp_path: Path
) -> None:
    # Nobody answers at the proxy, as on a machine without the internet.
    nobody = {"HTTPS_PROXY": "http://127.0.0.1:9", "STILLMOTION_CACHE": str(tmp_path / "cache")}
    stack = start_stack(OMP_NUM_THREADS="1", **nobody)
    clip = stack.upload(write_image(tmp_path / "still.png", texture(64, 96, seed=3)))
    address = f"{stack.url}/api/v1/clips/{clip}/segment"
    job = requests.post(address, json={"frame": 0}, timeout=30).json()
    failed = ended(stack, job)
    assert failed["state"] == "failed"
    assert "could not be downloaded; who runs it may put fcn_resnet50_coco-1167a1af.pth" in failed["error"]
    assert str(tmp_path) not in failed["error"]
    assert requests.post(address, json={"frame": 1}, timeout=30).status_code == 422

    torch.manual_seed(0)
    network = fcn_resnet50(weights=None, weights_backbone=None)
    (tmp_path / "cache" / "weights").mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), tmp_path / "cache" / "weights" / "fcn_resnet50_coco-1167a1af.pth")
    again = requests.post(f"{stack.url}{job['links']['self']}/continue", timeout=10)
    assert again.status_code == 202
    done = ended(stack, job)
    assert (done["state"], done["error"]) == ("done", None)
    classes = done["result"]["classes"]
    assert {each["name"] for each in classes} <= set(CLASSES)
    np.testing.assert_allclose(sum(each["share"] for each in classes), 1)
    picture = stack.get(f"/jobs/{job['id']}/picture.png")
    assert picture.content.startswith(b"\x89PNG")
