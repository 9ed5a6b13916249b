"""Alignment and refinement against motions that are known in closed form."""

import json
from dataclasses import asdict, replace

import cv2
import numpy as np
import pytest
import safetensors.torch
import torch

from model.core.errors import BadInput
from model.motion.grid import WORKING_SIZE
from model.tracking.pips.alignment import Templates, Window
from model.tracking.pips.chain import Chain
from model.tracking.pips.network import Pips, PipsConfig
from model.tracking.pips.refinement import RefinementSettings, grey_image, refine, seen_logit
from model.tracking.pips.release import PipsRelease, PipsUse, read_release
from model.tracking.tracker import Tracker
from tests.model.tracking.pips.chaining import chained

SETTINGS = RefinementSettings()


def textured(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A grey image, uint8, with structure of 4 to 30 px."""
    generator = np.random.default_rng(seed)
    image = np.zeros((height, width), np.float32)
    for cell in (4, 9, 20):
        coarse = generator.normal(0, 1, (height // cell + 2, width // cell + 2)).astype(np.float32)
        image += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return (128 + 30 * image).clip(0, 255).astype(np.uint8)


def warped(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Move an image by a 2×3 affine matrix (from old to new places)."""
    return cv2.warpAffine(
        image, matrix, image.shape[::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )


def turned(degrees: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    matrix = cv2.getRotationMatrix2D((80, 60), degrees, scale)
    matrix[:, 2] += shift
    return matrix


def places(count: int = 40) -> np.ndarray:
    generator = np.random.default_rng(1)
    return (generator.uniform(0.25, 0.75, (count, 2)) * (160, 120)).astype(np.float32)


def moved(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


@pytest.mark.parametrize(
    ("matrix", "gain", "offset"),
    [
        (turned(0, 1, (0.3, -0.6)), 1.0, 0.0),
        (turned(6, 1, (0.4, 0.2)), 1.0, 0.0),
        (turned(0, 1.08, (-0.5, 0.5)), 1.0, 0.0),
        (turned(0, 1, (0.7, 0.1)), 0.7, 30.0),
    ],
)
def test_alignment_finds_affine_motion_and_ignores_light(matrix, gain, offset):
    image = textured(120, 160)
    later = (warped(image, matrix).astype(np.float32) * gain + offset).clip(0, 255)
    points = torch.from_numpy(places())
    truth = moved(places(), matrix)
    templates = Templates.of(torch.from_numpy(image).float(), points, Window.of(10, 6.0, torch.device("cpu")))
    guess = torch.from_numpy(truth) + torch.tensor([1.2, -0.9])
    aligned = templates.find(torch.from_numpy(later), guess, torch.eye(2).expand(len(points), 2, 2), 12)
    assert np.linalg.norm(aligned.points.numpy() - truth, axis=1).max() < 0.15
    assert aligned.correlation.min() > 0.9
    np.testing.assert_allclose(
        aligned.linear.numpy(), np.broadcast_to(matrix[:, :2], (len(points), 2, 2)), atol=0.05
    )


def turning_clip() -> tuple[list[np.ndarray], np.ndarray]:
    """Eight images that turn and drift, and where the points of `places` are in each, `[8, N, 2]`."""
    image = textured(120, 160)
    matrices = [turned(2.0 * t, 1 + 0.01 * t, (1.5 * t, -0.8 * t)) for t in range(8)]
    return [warped(image, matrix) for matrix in matrices], np.stack([moved(places(), m) for m in matrices])


def seen(points: np.ndarray) -> np.ndarray:
    """The network holds every point for visible."""
    return np.zeros(points.shape[:2], bool)


def test_refinement_takes_pixels_off_a_rough_answer():
    images, truth = turning_clip()
    rough = truth + np.random.default_rng(2).normal(0, 1.5, (2, *truth.shape)).astype(np.float32)
    refined = refine(images, truth[0], rough, seen(truth), SETTINGS)
    error = np.linalg.norm(refined.points - truth, axis=-1)
    assert np.median(error[1:]) < 0.1
    assert (error < 0.5).mean() > 0.95
    assert refined.correlation.shape == truth.shape[:2]
    assert (refined.correlation[0] == 1).all()


def test_where_nothing_looks_alike_what_two_of_three_say_stays():
    images, truth = turning_clip()
    other = [images[0], *(textured(120, 160, seed=9 + t) for t in range(7))]
    both = np.stack([truth, truth])
    refined = refine(other, truth[0], both, seen(truth), replace(SETTINGS, least_correlation=0.9))
    stayed = (refined.points == truth).all(axis=-1)
    assert stayed.mean() > 0.9


@pytest.mark.parametrize("lost", [0, 1])
def test_one_lost_proposal_of_three_does_no_harm(lost):
    """Lucas-Kanade holds on the turning clip; the network is right at one size only. Nothing is aligned."""
    images, truth = turning_clip()
    proposed = np.stack([truth, truth])
    proposed[lost, 1:] += (40, -30)
    refined = refine(images, truth[0], proposed, seen(truth), replace(SETTINGS, least_correlation=2.0))
    assert np.median(np.linalg.norm(refined.points - truth, axis=-1)[1:]) < 0.3


def test_a_point_held_for_hidden_is_aligned_only_where_it_looks_alike():
    images, truth = turning_clip()
    rough = np.stack([truth + 1, truth + 1])
    hidden = ~seen(truth)
    loose, strict = (
        refine(images, truth[0], rough, hidden, replace(SETTINGS, least_correlation_hidden=least))
        for least in (0.5, 2.0)
    )
    assert np.median(np.linalg.norm(loose.points - truth, axis=-1)[1:]) < 0.1
    assert np.median(np.linalg.norm(strict.points - truth, axis=-1)[1:]) < 0.3  # Lucas-Kanade, which held
    far = replace(SETTINGS, least_correlation_hidden=2.0, agreement=0.5)
    stayed = refine(images, truth[0], rough, hidden, far).points
    assert np.median(np.linalg.norm(stayed - rough[0], axis=-1)[1:]) == 0  # too far from the median


def test_a_point_does_not_depend_on_the_others_to_the_last_bit():
    images, truth = turning_clip()
    rough = np.stack([truth + 1, truth - 1])
    generator = np.random.default_rng(3)
    queries = np.repeat(truth[0], 4, axis=0) + generator.uniform(-5, 5, (160, 2)).astype(np.float32)
    proposed = np.repeat(rough, 4, axis=2)
    visible = seen(proposed[0])
    whole = refine(images, queries, proposed, visible, SETTINGS)
    for chosen in ([3], [150, 7, 64, 63], generator.permutation(160)):
        part = refine(images, queries[chosen], proposed[:, :, chosen], visible[:, chosen], SETTINGS)
        assert (part.points == whole.points[:, chosen]).all()
        assert (part.correlation == whole.correlation[:, chosen]).all()


def test_points_outside_and_flat_images_give_finite_answers():
    flat = [np.full((40, 50), 90, np.uint8)] * 8
    queries = np.array([[-30.0, 5.0], [60.0, 80.0], [10.0, 10.0]], np.float32)
    proposed = np.repeat(queries[None], 8, axis=0) + 3
    refined = refine(flat, queries, np.stack([proposed, proposed]), seen(proposed), SETTINGS)
    assert np.isfinite(refined.points).all()
    assert (refined.correlation[1:] < SETTINGS.least_correlation).all()


def test_evidence_weighs_what_it_says():
    images, truth = turning_clip()
    refined = refine(images, truth[0], np.stack([truth, truth]), seen(truth), SETTINGS)
    logits = np.full(truth.shape[:2], 2.0)
    said = seen_logit(logits, refined, (120, 160), (0.5, 1.0, 0.0, 0.0, 0.0))
    np.testing.assert_allclose(said, 2.5)
    inside = seen_logit(logits, refined, (120, 160), (0.0, 0.0, 0.0, 0.0, 1.0))
    assert set(np.unique(inside)) <= {0.0, 1.0}


def test_grey_images_are_opencvs():
    frame = np.random.default_rng(4).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    ours = grey_image(torch.from_numpy(frame).permute(2, 0, 1).float())
    assert (ours == cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)).all()


@pytest.mark.slow
def test_a_refined_chain_does_not_depend_on_the_other_points_either(tiny_network: Pips):
    image = textured(96, 128)
    frames = [
        torch.from_numpy(warped(image, turned(t, 1, (t, 0)))).float().expand(3, -1, -1) for t in range(14)
    ]
    queries = torch.rand(9, 2, generator=torch.Generator().manual_seed(0)) * 80 + 10
    use = RefinementSettings(visibility=(0.0, 0.3, 3.0, 0.0, 0.0))
    whole, part, plain = (
        chained(Chain(tiny_network, iter(frames), chosen.numpy(), 2, how))
        for chosen, how in ((queries, use), (queries[[4, 1]], use), (queries, None))
    )
    assert (part.points == whole.points[:, [4, 1]]).all()
    assert (part.visibility == whole.visibility[:, [4, 1]]).all()
    assert (whole.points[1:] != plain.points[1:]).any()


def test_weights_say_how_they_are_used(tmp_path, tiny_network: Pips):
    release = PipsRelease(
        PipsConfig(channels=16, width=32, depth=2),
        PipsUse(3, "area", True, RefinementSettings(visibility=(1.0, 2.0, 3.0, 4.0, 5.0))),
    )
    path = tmp_path / "small.safetensors"
    safetensors.torch.save_file(tiny_network.state_dict(), path, release.to_metadata())
    assert read_release(path) == release
    tracker = Tracker.load(path, device="cpu")
    frames = np.stack([np.repeat(textured(60, 90, seed)[..., None], 3, axis=2) for seed in (0, 0, 0)])
    tracks = tracker.track(frames, np.array([[30.0, 30.0]], np.float32))
    assert tracks.method.settings["iterations"] == 3
    assert tracks.method.settings["refinement"]["radius"] == 10
    assert np.abs(tracks.points - (30, 30)).max() < 0.2  # nothing moves, and refinement sees that
    json.dumps(asdict(release))


@pytest.mark.slow
def test_weights_with_support_points_and_a_visibility_network_load_without_them(tmp_path, tiny_network: Pips):
    """As `calibrate-tracker` wrote them in November 2026."""
    release = PipsRelease(
        PipsConfig(channels=16, width=32, depth=2), PipsUse(refinement=RefinementSettings(radius=8))
    )
    said = asdict(release)
    said["use"]["support"] = {"rows": 12, "likeness": 2.0}
    said["use"]["refinement"]["preference"] = 0.03
    tensors = {**tiny_network.state_dict(), "visibility.0.weight": torch.ones(18, 1)}
    path, plain = tmp_path / "old.safetensors", tmp_path / "new.safetensors"
    safetensors.torch.save_file(tensors, path, {"stillmotion-pips": json.dumps(said)})
    safetensors.torch.save_file(tiny_network.state_dict(), plain, release.to_metadata())
    assert read_release(path) == release
    frames = np.stack([np.repeat(textured(60, 90, seed)[..., None], 3, axis=2) for seed in range(3)])
    old, new = (
        Tracker.load(name, device="cpu").track(frames, np.array([[30.0, 30.0]], np.float32))
        for name in (path, plain)
    )
    assert (old.points == new.points).all()
    assert (old.visibility == new.visibility).all()


def test_weights_without_a_word_are_the_authors(tmp_path, pseudo_state_dict):
    path = tmp_path / "plain.safetensors"
    safetensors.torch.save_file(pseudo_state_dict, path)
    assert read_release(path) == PipsRelease()


@pytest.mark.parametrize("text", ["nonsense", "{}", '{"config": {"heads": 3}, "use": {"refinement": null}}'])
def test_weights_from_the_future_are_refused(tmp_path, tiny_network: Pips, text):
    path = tmp_path / "new.safetensors"
    safetensors.torch.save_file(tiny_network.state_dict(), path, {"stillmotion-pips": text})
    with pytest.raises(BadInput, match=r"does not understand what new\.safetensors says of its network"):
        read_release(path)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((288, 512), (288, 512)), ((360, 640), (360, 640)), ((1080, 1920), (360, 640)), ((30, 700), (64, 700))],
)
def test_the_area_is_kept_within_the_working_size(size, expected):
    assert PipsUse(resize="area").working_size(size) == expected
    assert PipsUse().working_size(size) == WORKING_SIZE


def test_a_tall_frame_keeps_its_shape():
    height, width = PipsUse(resize="area").working_size((1920, 1080))
    assert (height, width) == (640, 360)
