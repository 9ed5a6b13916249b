"""The metrics against a slow form written from their definitions: loops over points and frames."""

import dataclasses
import math
from statistics import fmean, median

import numpy as np
import pytest

from model.evaluation.metrics import (
    THRESHOLDS,
    Comparison,
    TrackingMetrics,
    mean_metrics,
    pooled_metrics,
    select_queries,
)

NAN = math.nan


def mean_or_nan(values):
    return fmean(values) if values else NAN


def slow_metrics(case: Comparison) -> dict[str, object]:
    """All metrics of one video in plain Python."""
    height, width = case.size
    frames, points = case.true_visible.shape
    rows = []  # (point, frame, distance, squared distance in 256×256, visible, hidden in frame, predicted)
    for n in range(points):
        for t in range(frames):
            q = int(case.query_frames[n])
            if t == q or (case.mode == "first" and t < q):
                continue
            x, y = (float(value) for value in case.true_points[t, n])
            known = not (math.isnan(x) or math.isnan(y))
            if not (known if case.annotated is None else case.annotated[t, n]):
                continue
            dx = float(case.predicted_points[t, n, 0]) - x
            dy = float(case.predicted_points[t, n, 1]) - y
            visible = bool(case.true_visible[t, n])
            inside = known and -0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5
            scaled = (dx * 256 / width) ** 2 + (dy * 256 / height) ** 2
            predicted = float(case.predicted_visibility[t, n]) > 0.5
            rows.append((n, t, math.hypot(dx, dy), scaled, visible, not visible and inside, predicted))

    seen = [row for row in rows if row[4]]
    hidden = [row for row in rows if row[5]]
    delta, jaccard = [], []
    for threshold in (1, 2, 4, 8, 16):
        delta.append(mean_or_nan([float(row[3] < threshold**2) for row in seen]))
        true_positives = false_positives = 0
        for row in rows:
            if row[6] and row[4] and row[3] < threshold**2:
                true_positives += 1
            elif row[6]:
                false_positives += 1
        total = len(seen) + false_positives
        jaccard.append(true_positives / total if total else NAN)

    survival, median_l2 = [], []
    for n in range(points):
        track = [row for row in rows if row[0] == n and (row[4] or row[5])]
        if not track:
            continue
        q = int(case.query_frames[n])
        alive = 0
        for row in track:
            between = [r for r in track if (q < r[1] <= row[1]) or (row[1] <= r[1] < q)]
            alive += all(r[3] <= 256 for r in between)
        survival.append(alive / len(track))
        median_l2.append(median(math.sqrt(row[3]) for row in track))

    with_area = [
        (row[2], 0.2 * math.sqrt(case.object_areas[row[1]]))
        for row in seen
        if case.object_areas is not None and not math.isnan(case.object_areas[row[1]])
    ]
    visible_recall = mean_or_nan([float(row[6]) for row in seen])
    occluded_recall = mean_or_nan([float(not row[6]) for row in rows if not row[4]])
    return {
        "delta_avg": sum(delta) / 5,
        "delta": tuple(delta),
        "average_jaccard": sum(jaccard) / 5,
        "jaccard": tuple(jaccard),
        "occlusion_accuracy": mean_or_nan([float(row[4] == row[6]) for row in rows]),
        "visible_recall": visible_recall,
        "occluded_recall": occluded_recall,
        "balanced_occlusion_accuracy": (visible_recall + occluded_recall) / 2,
        "ate_visible": mean_or_nan([row[2] for row in seen]),
        "ate_occluded": mean_or_nan([row[2] for row in hidden]),
        "median_visible": median(row[2] for row in seen) if seen else NAN,
        "median_occluded": median(row[2] for row in hidden) if hidden else NAN,
        "under_1px": mean_or_nan([float(row[2] < 1) for row in seen]),
        "survival": mean_or_nan(survival),
        "median_l2": mean_or_nan(median_l2),
        "pck_t": mean_or_nan([float(distance < limit) for distance, limit in with_area]),
        "tracks": len(survival),
        "samples": len(rows),
        "visible_samples": len(seen),
        "occluded_samples": len(hidden),
    }


def random_case(seed: int) -> Comparison:
    """A small random video of one of many kinds: few points, none visible, none occluded, exact distances."""
    random = np.random.default_rng(seed)
    frames, points = int(random.integers(1, 9)), int(random.integers(1, 7))
    size = (int(random.integers(8, 400)), int(random.integers(8, 400)))
    true = random.uniform(-0.2, 1.2, (frames, points, 2)) * [size[1], size[0]]
    visible = random.random((frames, points)) < random.choice([0.0, 0.3, 0.8, 1.0])
    error = random.normal(0, random.choice([0.5, 3, 30]), true.shape)
    if seed % 5 == 0:  # distances that equal a threshold to the last bit
        size = (256, 512)
        true = np.round(true)
        error = random.choice([0.0, 1, 2, 4, 8, 16], true.shape) * [2, 1] * random.choice([0.0, 1], (1, 1, 2))
    annotated = None
    if seed % 3 == 0:
        annotated = random.random((frames, points)) < 0.7
        true[~visible & (random.random((frames, points)) < 0.5)] = NAN
        true[~annotated & (random.random((frames, points)) < 0.5)] = NAN
    elif seed % 3 == 1:
        true[random.random((frames, points)) < 0.2] = NAN
    predicted = np.nan_to_num(true) + error
    visibility = random.random((frames, points))
    return Comparison(
        true_points=true,
        true_visible=visible & (annotated is None or annotated),
        predicted_points=predicted,
        predicted_visibility=visibility > 0.5 if seed % 2 else np.round(visibility, 1),
        query_frames=random.integers(0, frames, points),
        size=size,
        mode="first" if random.random() < 0.5 else "strided",
        annotated=annotated,
        object_areas=np.where(random.random(frames) < 0.7, random.uniform(1, 5000, frames), NAN)
        if seed % 4 == 0
        else None,
    )


def assert_equal(measured: TrackingMetrics, expected: dict[str, object]) -> None:
    assert dataclasses.asdict(measured) == {
        name: pytest.approx(value, abs=1e-9, rel=0, nan_ok=True) for name, value in expected.items()
    }


def test_a_thousand_random_cases_equal_the_slow_form():
    kinds = {"exact": 0, "no visible": 0, "no occluded": 0, "one point": 0, "nothing": 0, "pck": 0}
    for seed in range(1000):
        case = random_case(seed)
        expected = slow_metrics(case)
        assert_equal(pooled_metrics([case]), expected)
        kinds["exact"] += seed % 5 == 0
        kinds["nothing"] += expected["samples"] == 0
        kinds["no visible"] += expected["samples"] > 0 and expected["visible_samples"] == 0
        kinds["no occluded"] += expected["visible_samples"] > 0 and expected["occluded_samples"] == 0
        kinds["one point"] += case.true_visible.shape[1] == 1
        kinds["pck"] += not math.isnan(expected["pck_t"])
    assert min(kinds.values()) > 30, kinds


def joined(cases: list[Comparison]) -> Comparison:
    """Several videos' points side by side in one, the shorter ones not annotated at their end."""
    frames = max(len(case.true_visible) for case in cases)

    def pad(array, value):
        width = [(0, frames - len(array))] + [(0, 0)] * (array.ndim - 1)
        return np.pad(array, width, constant_values=value)

    return Comparison(
        true_points=np.concatenate([pad(case.true_points, NAN) for case in cases], axis=1),
        true_visible=np.concatenate([pad(case.true_visible, False) for case in cases], axis=1),
        predicted_points=np.concatenate([pad(case.predicted_points, 0.0) for case in cases], axis=1),
        predicted_visibility=np.concatenate(
            [pad(case.predicted_visibility.astype(float), 0.0) for case in cases], axis=1
        ),
        query_frames=np.concatenate([case.query_frames for case in cases]),
        size=cases[0].size,
        mode=cases[0].mode,
        annotated=np.concatenate(
            [
                pad(np.isfinite(c.true_points[..., 0]) if c.annotated is None else c.annotated, False)
                for c in cases
            ],
            axis=1,
        ),
    )


def test_pooling_equals_the_slow_form_of_one_large_video():
    for start in range(1, 400, 4):
        cases = [
            dataclasses.replace(random_case(seed), size=(200, 300), mode="strided", object_areas=None)
            for seed in range(start, start + 4)
        ]
        assert_equal(pooled_metrics(cases), slow_metrics(joined(cases)))


def test_the_mean_over_videos_leaves_out_what_is_not_there():
    cases = [random_case(seed) for seed in range(40)]
    expected = [slow_metrics(case) for case in cases]
    mean = mean_metrics([pooled_metrics([case]) for case in cases])
    for name in ("delta_avg", "average_jaccard", "ate_visible", "ate_occluded", "survival", "pck_t"):
        there = [one[name] for one in expected if not math.isnan(one[name])]
        assert 0 < len(there) < 40
        assert getattr(mean, name) == pytest.approx(sum(there) / len(there), abs=1e-9)
    fours = [one["delta"][2] for one in expected if not math.isnan(one["delta"][2])]
    assert mean.delta[2] == pytest.approx(sum(fours) / len(fours), abs=1e-9)
    assert mean.samples == sum(one["samples"] for one in expected)


def one_point(true, visible, predicted, predicted_visible, size=(256, 256), **more) -> Comparison:
    frames = len(true)
    return Comparison(
        true_points=np.array(true, float).reshape(frames, 1, 2),
        true_visible=np.array(visible).reshape(frames, 1),
        predicted_points=np.array(predicted, float).reshape(frames, 1, 2),
        predicted_visibility=np.array(predicted_visible).reshape(frames, 1),
        query_frames=np.array([0]),
        size=size,
        **more,
    )


def test_a_distance_equal_to_a_threshold_is_not_within():
    metrics = pooled_metrics(
        [one_point([(10, 10)] * 3, [True] * 3, [(10, 10), (12, 10), (10, 12)], [1.0, 1.0, 0.5])]
    )
    assert metrics.delta == (0, 0, 1, 1, 1)
    # 0.5 is not above 0.5: the last one is predicted hidden, so it is neither found nor false.
    assert metrics.jaccard == (0, 0, 0.5, 0.5, 0.5)
    assert metrics.occlusion_accuracy == 0.5


def test_thresholds_are_of_256_pixels_and_ate_is_of_the_frame():
    metrics = pooled_metrics(
        [one_point([(100, 100)] * 2, [True] * 2, [(100, 100), (106, 100)], [True] * 2, size=(512, 1024))]
    )
    assert metrics.delta == (0, 1, 1, 1, 1)  # 1.5 px of 256
    assert metrics.ate_visible == 6


def test_points_outside_the_frame_count_for_visibility_alone():
    case = one_point([(5, 5), (-9, 5)], [True, False], [(5, 5), (50, 5)], [True, True])
    metrics = pooled_metrics([case])
    assert metrics.occlusion_accuracy == 0
    assert metrics.average_jaccard == 0  # one false positive
    assert math.isnan(metrics.ate_occluded)
    assert math.isnan(metrics.survival)
    assert metrics.tracks == 0
    assert metrics.to_json()["ate_occluded"] is None


def test_survival_ends_at_the_first_large_error_in_each_direction():
    case = Comparison(
        true_points=np.zeros((7, 1, 2)),
        true_visible=np.ones((7, 1), bool),
        predicted_points=np.array([0, 17, 16, 0, 16, 16.1, 0])[:, None, None] * [1.0, 0.0],
        predicted_visibility=np.ones((7, 1)),
        query_frames=np.array([3]),
        size=(256, 256),
        mode="strided",
    )
    assert pooled_metrics([case]).survival == pytest.approx(2 / 6)  # frames 2 and 4
    assert pooled_metrics([dataclasses.replace(case, mode="first")]).survival == pytest.approx(1 / 3)


def test_queries_first_and_strided():
    visible = np.zeros((12, 4), bool)
    visible[2:, 0] = visible[0, 1] = visible[5, 1] = visible[11, 2] = True
    first = select_queries(visible, "first")
    assert first.tracks.tolist() == [0, 1, 2]
    assert first.frames.tolist() == [2, 0, 11]
    strided = select_queries(visible, "strided")
    assert sorted(zip(strided.tracks.tolist(), strided.frames.tolist(), strict=True)) == [
        (0, 5),
        (0, 10),
        (1, 0),
        (1, 5),
    ]


def test_what_does_not_fit_is_refused():
    good = random_case(1)
    for change in (
        {"true_visible": good.true_visible.astype(float)},
        {"true_points": good.true_points[:-1]},
        {"predicted_points": good.predicted_points * NAN},
        {"query_frames": good.query_frames[:-1]},
        {"size": (0, 5)},
        {"mode": "last"},
        {"object_areas": np.ones(99)},
        {
            "true_points": good.true_points * NAN,
            "true_visible": np.ones_like(good.true_visible),
            "annotated": np.ones_like(good.true_visible),
        },
    ):
        with pytest.raises(ValueError, match=r"must|finite|position"):
            dataclasses.replace(good, **change)
    with pytest.raises(ValueError, match="nothing to compare"):
        pooled_metrics([])
    assert THRESHOLDS == (1, 2, 4, 8, 16)
