"""The plan of a training set: which chunks of which video go to which shard, in any order and growth."""

import dataclasses
import hashlib
import json
import random
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.convert.plan import PLAN, Plan, Source, chunk_starts
from model.convert.settings import ConvertSettings, with_weights
from model.convert.sources import Place
from model.core.errors import BadInput
from model.datasets.folder import DataFolder
from model.weights.registry import find_weights


def make_source(number: int, frames: int, name: str | None = None) -> Source:
    sha256 = hashlib.sha256(str(number).encode()).hexdigest()
    name = name or f"video-{number}.mp4"
    return Source(Place(name, f"/videos/{name}"), f"1-{number}", sha256, frames, 25.0, (90, 160))


lengths = st.lists(st.integers(2, 100), min_size=1, max_size=25)
settings = st.builds(
    ConvertSettings,
    method=st.just("lk"),
    horizon=st.just(8),
    overlap=st.sampled_from([0, 4, 7]),
    frame_step=st.integers(1, 3),
    chunk_step=st.integers(1, 3),
    shard_samples=st.integers(1, 12),
)


def starts_of(plan: Plan) -> Counter[tuple[str, int]]:
    """Each start of a chunk, by its video."""
    return Counter(
        (plan.sources[part.source].sha256, start)
        for shard in plan.shards
        for part in shard.segments
        for start in range(part.first, part.last, plan.settings.stride)
    )


@given(settings, lengths, st.integers(0, 2**32))
def test_every_start_is_planned_once_in_any_order_of_the_videos(
    chosen: ConvertSettings, frames: list[int], seed: int
) -> None:
    sources = [make_source(number, count) for number, count in enumerate(frames)]
    plan = Plan(chosen).with_sources(sources)
    assert starts_of(plan) == Counter(
        (source.sha256, start)
        for source in sources
        for start in range(0, source.frames, chosen.stride)
        if (start + 1) * chosen.frame_step < source.frames  # the chunk has a second frame
    )
    random.Random(seed).shuffle(sources)
    assert Plan(chosen).with_sources(sources) == plan


@given(settings, lengths)
def test_shards_have_one_split_and_their_size(chosen: ConvertSettings, frames: list[int]) -> None:
    plan = Plan(chosen).with_sources([make_source(number, count) for number, count in enumerate(frames)])
    assert len({shard.name for shard in plan.shards}) == len(plan.shards)
    for shard in plan.shards:
        assert shard.name.startswith(f"{shard.split}-")
        videos = [plan.sources[part.source] for part in shard.segments]
        assert {chosen.split_of(video.place.name, video.sha256) for video in videos} == {shard.split}
        planned = sum(len(range(part.first, part.last, chosen.stride)) for part in shard.segments)
        assert shard.chunks == planned
        assert 1 <= planned <= chosen.shard_samples


@given(settings, lengths, st.integers(0, 25))
def test_growth_leaves_what_is_planned_as_it_is(
    chosen: ConvertSettings, frames: list[int], known: int
) -> None:
    sources = [make_source(number, count) for number, count in enumerate(frames)]
    before = Plan(chosen).with_sources(sources[:known])
    after = before.with_sources(sources)
    assert set(before.shards) <= set(after.shards)
    assert after.sources[: len(before.sources)] == before.sources
    assert starts_of(after) == starts_of(Plan(chosen).with_sources(sources))
    assert after.with_sources(sources) == after


def test_a_long_video_is_cut_into_shards_of_its_own() -> None:
    chosen = ConvertSettings(method="lk", shard_samples=10, validation=0.0, test=0.0)
    sources = [make_source(1, 40), make_source(2, 8 * 25), make_source(3, 40)]
    plan = Plan(chosen).with_sources(sources)
    long = next(index for index, source in enumerate(plan.sources) if source.frames == 200)
    parts = [shard for shard in plan.shards if any(part.source == long for part in shard.segments)]
    assert [len(shard.segments) for shard in parts] == [1, 1, 1]
    segments = [shard.segments[0] for shard in parts]
    assert segments[0].first == 0
    assert all(before.last == after.first for before, after in pairwise(segments))
    assert [shard.chunks for shard in parts] == [10, 10, 5]


def test_the_same_content_is_planned_once() -> None:
    first, second = make_source(1, 40, "a.mp4"), make_source(1, 40, "copy of a.mp4")
    plan = Plan(ConvertSettings(method="lk")).with_sources([first, second, make_source(2, 40)])
    assert [source.place.name for source in plan.sources if source.sha256 == first.sha256] == ["a.mp4"]
    assert plan.with_sources([second]) == plan


def test_a_video_that_moved_keeps_its_name_and_is_found_where_it_is() -> None:
    old = make_source(1, 40, "a.mp4")
    moved = dataclasses.replace(old, place=Place("new/b.mp4", "/elsewhere/b.mp4"), fingerprint="1-other")
    plan = Plan(ConvertSettings(method="lk")).with_sources([old, make_source(2, 40)])
    located = plan.located([moved])
    mine = next(source for source in located.sources if source.sha256 == old.sha256)
    assert mine.place == Place("a.mp4", "/elsewhere/b.mp4")
    assert mine.fingerprint == "1-other"
    assert located.shards == plan.shards
    assert [located.recipe(shard) for shard in plan.shards] == [plan.recipe(shard) for shard in plan.shards]


def test_a_recipe_tells_settings_and_content_apart() -> None:
    sources = [make_source(number, 40) for number in range(6)]
    base = ConvertSettings(method="lk")
    plans = [
        Plan(chosen).with_sources(found)
        for chosen, found in (
            (base, sources),
            (base, sources[:5]),
            (dataclasses.replace(base, grid=8), sources),
            (dataclasses.replace(base, cuts=False), sources),
            (dataclasses.replace(base, min_motion=1.0), sources),
            (dataclasses.replace(base, overlap=1), sources),
            (dataclasses.replace(base, jpeg_quality=80), sources),
        )
    ]
    recipes = [plan.recipe(plan.shards[0]) for plan in plans]
    assert len(set(recipes)) == len(recipes)


def test_a_plan_comes_back_from_its_file(tmp_path: Path) -> None:
    folder = DataFolder.open(tmp_path)
    assert Plan.load(folder) is None
    plan = Plan(ConvertSettings(method="lk")).with_sources([make_source(k, 20 + k) for k in range(9)])
    plan.save(folder)
    assert Plan.load(folder) == plan


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"3",
        b"{}",
        b'{"version": "1"}',
        b'{"version": 1}',
        b'{"version": 1, "settings": {"nonsense": 1}, "sources": [], "shards": []}',
        b'{"version": 1, "settings": {}, "sources": [{"size": [1, 2, 3]}], "shards": []}',
        b'{"version": 1, "settings": {}, "sources": [], "shards": [1]}',
    ],
)
def test_a_damaged_plan_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / PLAN).write_bytes(content)
    with pytest.raises(BadInput, match=r"^plan\.json of .* is damaged; delete it"):
        Plan.load(DataFolder.open(tmp_path))


def test_a_newer_plan_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / PLAN).write_text(json.dumps({"version": 99}))
    with pytest.raises(BadInput, match="newer Stillmotion"):
        Plan.load(DataFolder.open(tmp_path))


@given(st.integers(2, 100), st.integers(2, 20), st.integers(1, 5), st.integers(1, 4), st.data())
def test_starts_of_chunks(
    frames: int, horizon: int, frame_step: int, chunk_step: int, data: st.DataObject
) -> None:
    overlap = data.draw(st.integers(0, horizon - 1))
    chosen = ConvertSettings(
        method="lk", horizon=horizon, frame_step=frame_step, chunk_step=chunk_step, overlap=overlap
    )
    sampled = list(range(frames))[::frame_step]
    every = list(range(len(sampled)))[:: horizon - overlap][::chunk_step]
    assert list(chunk_starts(make_source(0, frames), chosen)) == [
        start for start in every if start + 1 < len(sampled)
    ]


def test_splits_go_by_content_alone_and_have_their_shares() -> None:
    chosen = ConvertSettings(method="lk", validation=0.2, test=0.1)
    names = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(5000)]
    counts = Counter(chosen.split_of("a.mp4", name) for name in names)
    for split, share in (("train", 0.7), ("validation", 0.2), ("test", 0.1)):
        assert counts[split] / len(names) == pytest.approx(share, abs=0.02)
    other = dataclasses.replace(chosen, grid=4, method="zero")
    assert [other.split_of("b", name) for name in names] == [chosen.split_of("a", name) for name in names]
    assert chosen.split_of("a.mp4", "0" * 64) == "test"
    assert chosen.split_of("a.mp4", "f" * 64) == "train"
    more = dataclasses.replace(chosen, validation=0.3)  # a larger share takes none away from the test split
    tested = [name for name in names if chosen.split_of("a", name) == "test"]
    assert all(more.split_of("a", name) == "test" for name in tested)


def test_pieces_of_one_source_go_to_one_split() -> None:
    chosen = ConvertSettings(method="lk", validation=0.4, test=0.2, group=r"(.*)__\d+$")
    pieces = [f"cats/{number}__{piece}.mp4" for number in range(300) for piece in range(3)]
    splits = {piece: chosen.split_of(piece, hashlib.sha256(piece.encode()).hexdigest()) for piece in pieces}
    assert {chosen.source_of(piece) for piece in pieces} == {f"cats/{number}" for number in range(300)}
    assert all(len({splits[piece] for piece in pieces[k : k + 3]}) == 1 for k in range(0, 900, 3))
    assert min(Counter(splits.values()).values()) > 100
    assert chosen.source_of("cats/alone.mp4") == "cats/alone.mp4"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"grid": 0}, "1 to 64 points a side"),
        ({"grid": 65}, "1 to 64 points a side"),
        ({"horizon": 1}, "horizon must be 2 to 64, not 1"),
        ({"horizon": 65}, "horizon must be 2 to 64, not 65"),
        ({"frame_step": 0}, "frame step must be 1 to 1000, not 0"),
        ({"interval": 0.0}, "interval must be 0.001 to 60 seconds, not 0.0"),
        ({"interval": 0.5, "frame_step": 2}, "an interval in seconds or a frame step, not both"),
        ({"group": "a(b"}, "is no regular expression"),
        ({"group": "(a)(b)"}, "one pair of parentheses"),
        ({"overlap": -1}, "overlap must be 0 to 7, not -1"),
        ({"overlap": 8}, "overlap must be 0 to 7, not 8"),
        ({"chunk_step": 0}, "chunk step must be 1 to 1000, not 0"),
        ({"shard_samples": 0}, "samples of a shard must be 1 to 100000, not 0"),
        ({"jpeg_quality": 96}, "JPEG quality must be 1 to 95, not 96"),
        ({"min_motion": -1.0}, "least motion must be 0 px or more"),
        ({"min_motion": float("nan")}, "least motion must be 0 px or more"),
        ({"validation": 0.5, "test": 0.5}, "together less than 1"),
        ({"validation": float("nan")}, "together less than 1"),
        ({"check": "half"}, "none, sparse or full, not “half”"),
        ({"precision": "float16"}, "no precision “float16”"),
    ],
)
def test_settings_out_of_range_are_one_sentence(values: dict[str, object], sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        ConvertSettings(**{"method": "lk", **values})


def test_settings_name_their_weights_by_content(tmp_path: Path) -> None:
    named = with_weights({"method": "pips"})
    entry = find_weights("pips")
    assert named.weights_sha256 == entry.sha256
    assert with_weights({"method": "pips", "weights": entry.name}).differences(named) == []
    assert with_weights({"method": "lk"}).weights_sha256 is None
    assert named.differences(with_weights({"method": "lk"}))[0] == "method pips, not lk"
    for wrong in ({"method": "magic"}, {"method": "pips", "weights": "none.pth"}, {"method": "raft"}):
        with pytest.raises(BadInput):
            with_weights(wrong)


def test_settings_say_what_differs() -> None:
    one = ConvertSettings(method="lk", grid=8, min_motion=0.5)
    other = dataclasses.replace(one, grid=16, cuts=False)
    assert other.differences(one) == ["grid 16, not 8", "cuts False, not True"]
