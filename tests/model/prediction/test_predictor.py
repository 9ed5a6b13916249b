"""The predictor: all heads, images of all kinds, weights in and out."""

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image
from torchvision.models.segmentation import fcn_resnet50, lraspp_mobilenet_v3_large

from model.__main__ import main
from model.core.errors import BadInput
from model.motion.grid import query_grid
from model.motion.prediction import Prediction
from model.motion.tracks import Tracks
from model.prediction import pretrained as published
from model.prediction.backbones import BACKBONES
from model.prediction.head import sample, with_coordinates
from model.prediction.heads import HEADS, unpooled_weights
from model.prediction.network import MotionPredictor, build_predictor, normalise
from model.prediction.predictor import Predictor, predict_file
from model.prediction.pretrained import begin_with, initial_weights
from model.prediction.release import PredictorRelease, PredictorUse, read_release

SMALL = "lraspp_mobilenet_v3_large"


def small(head: str = "bins", **options) -> MotionPredictor:
    torch.manual_seed(1)
    return build_predictor(SMALL, head, grid=4, **{"width": 16, **options}).eval()


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_head_answers_for_every_point(backbone, head):
    if backbone != SMALL and head == "deeplab":
        return  # the largest; its small sister is tested
    network = build_predictor(backbone, head, grid=3, width=16, pool=2).eval()
    images = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        assert network(images).shape == (2, 9, 2)
        assert network(images, 50 * torch.rand(2, 5, 2)).shape == (2, 5, 2)


@pytest.mark.parametrize("head", HEADS)
def test_trajectories_begin_at_the_query(head):
    network = small(head, trajectory=True, horizon=5)
    with torch.no_grad():
        path = network(torch.randn(1, 3, 64, 96))
    assert path.shape == (1, 16, 5, 2)
    assert (path[:, :, 0] == 0).all()


@pytest.mark.parametrize("head", HEADS)
def test_answers_depend_on_where_points_are_not_on_their_order(head):
    """Mirrored and cropped views of a picture have as many points as the grid, at other places."""
    network, images = small(head), torch.randn(1, 3, 64, 96)
    points = torch.from_numpy(query_grid(4, (64, 96)))[None]
    with torch.no_grad():
        answers = network(images, points)
        assert answers.std(dim=1).min() > 0
        torch.testing.assert_close(network(images, points.flip(1)), answers.flip(1))
        between = network(images, (points[:, :1] + points[:, 1:2]) / 2)
    if head == "linear":  # between two points of the grid it is half of each
        torch.testing.assert_close(between, answers[:, :2].mean(dim=1, keepdim=True))


@pytest.mark.parametrize("head", HEADS)
def test_every_head_learns_from_a_single_picture(head):
    """As from the one upright picture of a batch."""
    network = small(head).train()
    network(torch.randn(1, 3, 64, 96)).square().sum().backward()
    assert all(torch.isfinite(each.grad).all() for each in network.head.parameters() if each.grad is not None)


def test_the_unpooled_linear_head_is_refused_with_its_size():
    # 850 · 1280 · 21 logits times 2 · 16² outputs; four bytes each.
    assert unpooled_weights(16) == 850 * 1280 * 21 * 512
    with pytest.raises(BadInput, match=r"11\.7 billion weights \(47 GB\)"):
        build_predictor(head="linear", pool=None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"backbone": "vgg"},
        {"head": "tail"},
        {"grid": 0},
        {"horizon": 1},
        {"pool": 99},
        {"width": 1},
        {"strides": "v2"},
    ],
)
def test_other_sizes_are_refused(wrong):
    with pytest.raises(BadInput):
        build_predictor(**wrong)


def test_normalisation_is_imagenets():
    white = normalise(torch.full((1, 3, 2, 2), 255, dtype=torch.uint8))
    expected = [(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    assert white[0, :, 0, 0].tolist() == pytest.approx(expected)
    assert torch.equal(normalise(torch.ones(1, 3, 2, 2)), white)


def test_maps_are_read_where_the_points_are():
    """Coordinate channels read at a point are that point's coordinates, up to half a cell at the border."""
    maps = with_coordinates(torch.zeros(1, 1, 9, 16))[:, 1:]
    points = torch.rand(1, 40, 2) * 0.8 + 0.1
    assert torch.allclose(sample(maps, points), 2 * points - 1, atol=1e-6)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    network = small(trajectory=True)
    with torch.no_grad():
        network.head.answer.weight.mul_(300)  # so that answers differ from place to place
    return Predictor.of(network, PredictorRelease(network.config, PredictorUse(96, 160, mirror=True)))


@pytest.mark.parametrize("size", [(64, 64), (64, 2048), (2048, 64), (100, 37), (480, 270), (1, 1)])
def test_images_of_all_sizes_are_predicted(predictor, size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    prediction = predictor.predict_all(image, 5, frame=7, fps=25.0)
    tracks = prediction.tracks
    assert tracks.points.shape == (8, 25, 2)
    assert np.array_equal(tracks.points[0], query_grid(5, size))
    assert tracks.frames.tolist() == list(range(7, 15))
    is_blank = size == (1, 1)  # one colour: nothing is there that could move
    assert prediction.withheld is is_blank
    assert prediction.hypotheses.shape == (
        1 if is_blank else 13,
        8,
        25,
        2,
    )  # it stays, or goes one of 12 ways
    assert np.allclose(prediction.weights.sum(axis=0), 1, atol=1e-5)
    assert (np.diff(prediction.weights, axis=0) <= 0).all()
    assert (prediction.interval[0] <= prediction.interval[1]).all()


@pytest.mark.parametrize("colour", [(0, 0, 0), (128, 128, 128), (250, 240, 10)])
def test_of_one_colour_nothing_is_expected(predictor, tmp_path, colour):
    noise = np.random.default_rng(0).integers(-1, 2, (90, 120, 3))
    prediction = predictor.predict_all(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8), 8)
    prediction.save(tmp_path / "blank.npz")
    assert prediction.withheld
    assert Prediction.load(tmp_path / "blank.npz").withheld
    assert prediction.moving.max() < 0.01
    assert np.ptp(prediction.tracks.points, axis=0).max() == 0
    assert np.abs(prediction.interval - prediction.tracks.points[0]).max() < 2


def test_twice_the_image_moves_twice_as_far(predictor):
    y, x = np.mgrid[0:96, 0:160]
    image = np.stack([x + y, 255 - x, 2 * y], axis=2).astype(np.uint8)
    double = np.repeat(np.repeat(image, 2, axis=0), 2, axis=1)
    once, twice = (predictor.predict(picture, 4).points for picture in (image, double))
    moved, farther = once - once[0], twice - twice[0]
    assert np.abs(moved).max() > 1
    assert np.abs(farther - 2 * moved).mean() < 0.1 * np.abs(farther).mean()


def test_a_mirrored_image_has_the_mirrored_prediction(predictor):
    image = np.random.default_rng(3).integers(0, 256, (96, 160, 3), dtype=np.uint8)
    left = np.random.default_rng(4).uniform(10, 79, (9, 2)).astype(np.float32)
    right = left * np.array([-1, 1], np.float32) + np.array([159, 0], np.float32)
    straight = predictor.expect(image, left).mixture
    mirrored = predictor.expect(image[:, ::-1].copy(), right).mixture
    for share in (0.05, 0.4, 0.9):
        there, back = straight.quantile(share), mirrored.mirrored().quantile(share)
        assert (there - back).abs().max() < 0.01


@pytest.mark.parametrize("head", HEADS)
def test_the_grid_is_answered_as_the_network_answers_it(head):
    """To the bit of a look without the mirrored image; a linear head knows no other points."""
    torch.manual_seed(3)
    network = build_predictor("lraspp_mobilenet_v3_large", head, grid=4, width=16, pool=2)
    predictor = Predictor.of(network, PredictorRelease(network.config, PredictorUse(96, 160)))
    image = np.random.default_rng(6).integers(0, 256, (96, 160, 3), dtype=np.uint8)
    with torch.inference_mode():
        expected = network(normalise(torch.from_numpy(image).permute(2, 0, 1)[None]))[0].numpy()
    points = predictor.predict(image).points
    np.testing.assert_allclose(points[1] - points[0], expected, atol=1e-3)


@pytest.mark.parametrize("missing", ["hypothesis_weights", "moving"])
def test_a_prediction_that_lacks_something_is_refused(predictor, tmp_path, missing):
    image = np.random.default_rng(6).integers(0, 256, (96, 160, 3), dtype=np.uint8)
    found = predictor.predict_all(image, 4)
    assert not found.withheld
    assert np.ptp(found.tracks.points, axis=0).max() > 0
    found.save(tmp_path / "whole.npz")
    assert np.array_equal(Prediction.load(tmp_path / "whole.npz").moving, found.moving)
    with np.load(tmp_path / "whole.npz") as whole:
        np.savez(tmp_path / "part.npz", **{name: whole[name] for name in whole if name != missing})
    with pytest.raises(BadInput, match=r"part\.npz is damaged .* predict the image again"):
        Prediction.load(tmp_path / "part.npz")


def test_the_bits_do_not_depend_on_the_number_of_threads(predictor):
    image = np.random.default_rng(5).integers(0, 256, (96, 160, 3), dtype=np.uint8)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(predictor.predict_all(image, 16))
    finally:
        torch.set_num_threads(before)
    one, three = found
    assert np.array_equal(one.tracks.points, three.tracks.points)
    assert np.array_equal(one.hypotheses, three.hypotheses)
    assert np.array_equal(one.interval, three.interval)


def picture(path: Path, mode: str) -> Path:
    grey = np.tile(np.linspace(0, 65_535, 120).astype(np.uint16), (80, 1))
    image = (
        Image.fromarray(grey)
        if mode == "I;16"
        else Image.fromarray((grey >> 8).astype(np.uint8)).convert(mode)
    )
    image.save(path)
    return path


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "I;16", "P"])
def test_image_files_of_all_kinds_are_read(predictor, tmp_path, mode):
    prediction, image = predict_file(picture(tmp_path / "image.png", mode), predictor, 3)
    assert image.shape == (80, 120, 3)
    prediction.save(tmp_path / "out.npz")
    assert np.array_equal(Tracks.load(tmp_path / "out.npz").points, prediction.tracks.points)
    with np.load(tmp_path / "out.npz") as arrays:
        assert np.array_equal(arrays["interval"], prediction.interval)


def test_a_file_that_is_no_image_is_one_sentence(predictor, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n not really")
    for name in ("bad.png", "missing.png", "."):
        with pytest.raises(BadInput):
            predict_file(tmp_path / name, predictor)


def test_weights_go_through_a_file(tmp_path):
    network = small(trajectory=True, horizon=4)
    release = PredictorRelease(network.config, PredictorUse(64, 96, scale_factor=1.5))
    path = tmp_path / "own.safetensors"
    safetensors.torch.save_file(network.state_dict(), path, release.to_metadata())
    loaded = Predictor.load(path, "cpu")
    assert read_release(path) == release
    assert loaded.use.scale_factor == 1.5
    assert loaded.method.weights_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    image = np.zeros((64, 96, 3), np.uint8)
    expected = Predictor.of(network, release).predict(image).points
    assert np.array_equal(loaded.predict(image).points, expected)
    tensors = network.state_dict()
    tensors["extra"] = torch.zeros(1)
    del tensors["head.globally.bias"]
    safetensors.torch.save_file(tensors, path, release.to_metadata())
    with pytest.raises(BadInput, match=r"1 missing \(head\.globally\.bias\), 1 unexpected \(extra\)"):
        Predictor.load(path, "cpu")
    safetensors.torch.save_file(network.state_dict(), path)
    with pytest.raises(BadInput, match="holds no predictor"):
        Predictor.load(path, "cpu")


def test_weights_of_older_versions_keep_their_use(tmp_path):
    """Their metadata have other names; what no version knew is refused."""
    network = small(trajectory=True, horizon=4)
    use = {"height": 64, "width": 96, "spread": 1.5, "mirror": True, "point": "median", "doubt": 0.2}

    def written(camera=False, **more) -> Path:
        text = json.dumps({"config": {**network.config.to_json(), "camera": camera}, "use": {**use, **more}})
        path = tmp_path / "old.safetensors"
        safetensors.torch.save_file(network.state_dict(), path, {"stillmotion-predictor": text})
        return path

    expected = PredictorUse(64, 96, scale_factor=1.5, mirror=True)
    assert read_release(written(least_gain=0.25)).use == expected
    assert read_release(written(stay_prior=0.2, abstain_below=0.25)).use == expected
    for wrong, sentence in (
        ({"wish": 1}, "“wish” is unknown"),
        ({"mirror": "yes"}, "'yes' is no bool"),
        ({"point": "best"}, "point is 'best'"),
        ({"camera": True}, "camera is True"),
    ):
        with pytest.raises(BadInput, match=f"does not understand what old.safetensors says.*{sentence}"):
            read_release(written(**wrong))


def test_weights_of_a_head_that_is_no_more_are_refused_but_their_backbone_can_be_taken(tmp_path):
    network = small()
    text = json.dumps({"config": {**network.config.to_json(), "head": "mixture", "modes": 6}, "use": {}})
    path = tmp_path / "old.safetensors"
    safetensors.torch.save_file(network.state_dict(), path, {"stillmotion-predictor": text})
    with pytest.raises(BadInput, match=r"old\.safetensors has the head “mixture”, which is no more; train"):
        Predictor.load(path, "cpu")
    other = small()
    begin_with(other, initial_weights(str(path), SMALL))
    assert torch.equal(other.backbone.body["0"][0].weight, network.backbone.body["0"][0].weight)


def test_a_whole_segmentation_network_fills_backbone_and_last_head(tmp_path):
    given_network = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None)
    torch.save(given_network.state_dict(), tmp_path / "segmentation.pth")
    initial = initial_weights(str(tmp_path / "segmentation.pth"), SMALL)
    network = small("last")
    begin_with(network, initial)
    assert torch.equal(network.backbone.body["0"][0].weight, given_network.backbone["0"][0].weight)
    assert torch.equal(network.head.cbr[0].weight, given_network.classifier.cbr[0].weight)


@pytest.mark.slow
def test_the_backbone_computes_what_torchvisions_does():
    """And strides in the 1×1 convolutions give other features with the same weights."""
    torch.manual_seed(2)
    theirs = fcn_resnet50(weights=None, weights_backbone=None).backbone.eval()
    images = torch.randn(1, 3, 64, 64)
    outputs = {}
    for strides in ("v1", "v1.5"):
        network = build_predictor(head="linear", grid=1, pool=1, strides=strides)
        network.backbone.body.load_state_dict(theirs.state_dict())
        with torch.no_grad():
            outputs[strides] = network.backbone(images)
    with torch.no_grad():
        expected = theirs(images)["out"]
    assert torch.equal(outputs["v1.5"][-1], expected)
    assert not torch.allclose(outputs["v1"][-1], expected)
    assert outputs["v1"][1].shape == outputs["v1.5"][1].shape == (1, 512, 8, 8)


def test_strides_are_a_property_of_the_registered_file(tmp_path, monkeypatch):
    body = {"conv1.weight": torch.zeros(2)}
    torch.save(body, tmp_path / "any-name.pth")
    sha256 = hashlib.sha256((tmp_path / "any-name.pth").read_bytes()).hexdigest()
    entry = published.published_entry(BACKBONES["fcn_resnet50"].imagenet)
    registered = dataclasses.replace(entry, sha256=sha256, architecture={"strides": "v1"})
    assert initial_weights(str(tmp_path / "any-name.pth"), "fcn_resnet50").strides == "v1.5"
    monkeypatch.setattr(published, "entry_of_file", lambda path: registered)
    assert initial_weights(str(tmp_path / "any-name.pth"), "fcn_resnet50").strides == "v1"


def test_weights_that_are_not_there_are_one_sentence(tmp_path):
    with pytest.raises(BadInput, match="There are no weights “nowhere”"):
        initial_weights("nowhere", SMALL)
    assert initial_weights("none", SMALL) is None


def test_one_command_predicts_and_draws(predictor, tmp_path):
    weights = tmp_path / "weights.safetensors"
    metadata = PredictorRelease(predictor.network.config, predictor.use).to_metadata()
    safetensors.torch.save_file(predictor.network.state_dict(), weights, metadata)
    image = picture(tmp_path / "image.png", "RGBA")
    names = {ending: tmp_path / f"out{ending}" for ending in (".npz", ".png", ".html")}
    arguments = ["predict", str(image), "--weights", str(weights), "--grid", "6", "--out", str(names[".npz"])]
    arguments += ["--overlay", str(names[".png"]), "--overlay", str(names[".html"]), "--device", "cpu"]
    assert main(arguments) == 0
    assert Tracks.load(names[".npz"]).grid == (6, 6)
    with Image.open(names[".png"]) as drawn:
        assert drawn.size == (720, 480)
        assert np.asarray(drawn).max() > 0.75 * 255  # the picture is darkened to that, the marks are brighter
    assert "Motion predicted" in names[".html"].read_text(encoding="utf-8")
    assert not list(tmp_path.glob(".*"))


def test_a_bad_prediction_is_one_sentence(tmp_path, capsys):
    for arguments in (
        ["predict", "missing.png", "--out", str(tmp_path / "a.npz"), "--weights", "nowhere"],
        ["predict", "missing.png"],
        ["predict", "missing.png", "--out", str(tmp_path / "a.txt")],
        ["predict", "missing.png", "--overlay", str(tmp_path / "a.mp4")],
        ["segment", str(tmp_path / "missing.png")],
        ["track", "clip.mp4", "--method", "fcn", "--out", str(tmp_path / "a.npz")],
        ["segment", "image.png", "--out", "image.jpg"],
    ):
        assert main(arguments) == 2
        assert capsys.readouterr().err.startswith("Error: ")
