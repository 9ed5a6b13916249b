"""Writing a training set of stills and the true motion of their points, in the format of `convert`."""

import hashlib
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.core.errors import BadInput
from model.core.progress import Progress, ReportProgress, ShouldStop, raise_if_stopped
from model.datasets.folder import DataFolder
from model.datasets.sample import MotionSummary, Sample, SampleFacts, jpeg
from model.datasets.shards import ShardIndex, ShardWriter, archive_name, index_name
from model.datasets.summary import SPLITS, DatasetSummary, ShardSummary
from model.motion.grid import check_grid, query_grid
from model.motion.tracks import Method, Tracks
from model.synthetic.clips.textures import TextureBank, load_bank
from model.synthetic.stills.render import move_points, render_still
from model.synthetic.stills.scene import Pictures
from model.synthetic.stills.scenes import choose_cues, draw_scene

SHARD_SAMPLES = 256
_SEED_STEP = 100_000_000  # so that no scene of a split or a seed is another's


@dataclass(frozen=True)
class StillCueSettings:
    """What set to make.

    train, validation, test: how many samples. height, width: of the stills. grid: points a side.
    horizon: frames, the first included. seed: another seed, other scenes.
    textures, cutouts: folders of photos and of images with alpha, or None; every 8th file of a folder is kept
        from training, for validation and test in turns. procedural: how many painted surfaces beside them.
    cues: kinds of scenes, with commas between; see `choose_cues`.
    """

    train: int = 2000
    validation: int = 200
    test: int = 400
    height: int = 256
    width: int = 448
    grid: int = 16
    horizon: int = 8
    seed: int = 0
    textures: str | None = None
    cutouts: str | None = None
    procedural: int = 96
    cues: str | None = None

    def __post_init__(self) -> None:
        check_grid(self.grid)
        choose_cues(self.cues)
        if min(self.train, self.validation, self.test) < 0 or self.train + self.validation + self.test < 1:
            raise BadInput("The numbers of samples must not be negative, and not all be 0.")
        if not 2 <= self.horizon <= 64:
            raise BadInput(f"The horizon must be 2 to 64 frames, not {self.horizon}.")

    def count(self, split: str) -> int:
        """How many samples a split has."""
        return int(getattr(self, split))


def write_still_cues(
    out: Path, settings: StillCueSettings, *, progress: ReportProgress, should_stop: ShouldStop
) -> DatasetSummary:
    """Write the set; shards that are there already are kept, so a repeat goes on where it was stopped.

    A sample's source is named after its cue, such as "pan/train-000012".
    Raises BadInput when the folder holds another set or the pictures cannot be read, Stopped on request.
    """
    folder = DataFolder.open(out)
    # Without the folders' paths, which are this machine's own.
    stored = {**asdict(settings), "textures": bool(settings.textures), "cutouts": bool(settings.cutouts)}
    if folder.exists("dataset.json") and dict(DatasetSummary.load(folder).settings) != stored:
        raise BadInput(f"{out} holds another training set already; give another folder.")
    total = sum(settings.count(split) for split in SPLITS)
    done = 0
    shards: list[ShardSummary] = []
    for split in SPLITS:
        pictures: Pictures | None = None
        for first in range(0, settings.count(split), SHARD_SAMPLES):
            name = f"{split}-{first // SHARD_SAMPLES:06d}"
            count = min(SHARD_SAMPLES, settings.count(split) - first)
            if not folder.exists(index_name(name)):
                pictures = pictures or _pictures(settings, split)
                with folder.new_file(archive_name(name)) as file, closing(ShardWriter(file)) as writer:
                    for number in range(first, first + count):
                        raise_if_stopped(should_stop)
                        writer.add(_sample(settings, split, number, pictures))
                        progress(Progress("synthesizing", done + number - first + 1, total))
                    size, entries = writer.finish()
                ShardIndex(name, size, entries, (), {}, {"name": "truth"}).save(folder)
            index = ShardIndex.load(folder, name)
            shards.append(ShardSummary(name, split, len(index.samples), index.bytes))
            done += count
    summary = DatasetSummary(
        settings=stored,
        method={"name": "truth", "weights_sha256": None, "settings": {}},
        shards=tuple(shards),
        is_complete=True,
        videos={split: settings.count(split) for split in SPLITS},
        failures=0,
        skipped={},
    )
    summary.save(folder)
    return summary


def make_still(
    settings: StillCueSettings, seed: int, pictures: Pictures
) -> tuple[str, NDArray[np.uint8], Tracks]:
    """Make one still: its cue, the picture uint8 `[H, W, 3]`, and the exact tracks of the grid."""
    rng = np.random.default_rng(seed)
    size = (settings.height, settings.width)
    scene = draw_scene(rng, pictures, *size, choose_cues(settings.cues))
    queries = query_grid(settings.grid, size)
    motion = move_points(scene, queries, np.arange(settings.horizon, dtype=np.float64), size)
    tracks = Tracks(
        points=motion.points,
        visibility=motion.visible.astype(np.float32),
        frames=np.arange(settings.horizon, dtype=np.int32),
        size=size,
        fps=0.0,
        grid=(settings.grid, settings.grid),
        method=Method("truth"),
    )
    return scene.cue, render_still(scene, size, rng), tracks


def _sample(settings: StillCueSettings, split: str, number: int, pictures: Pictures) -> Sample:
    seed = (settings.seed * len(SPLITS) + SPLITS.index(split)) * _SEED_STEP + number
    cue, picture, tracks = make_still(settings, seed, pictures)
    image = jpeg(picture, 92)
    sha256 = hashlib.sha256(image).hexdigest()
    facts = SampleFacts(
        source=f"{cue}/{split}-{number:06d}",
        source_sha256=sha256,
        split=split,
        start=0,
        frame_step=1,
        count=settings.horizon,
        horizon=settings.horizon,
        fps=0.0,
        size=tracks.size,
        image_size=tracks.size,
        grid=settings.grid,
        method="truth",
        weights_sha256=None,
        **vars(MotionSummary.of(tracks)),
        quality=None,
    )
    displacement = (tracks.points - tracks.points[0]).astype(np.float16)
    visibility = tracks.visibility.astype(np.float16)
    return Sample(
        f"{sha256[:16]}-{number:07d}", image, tracks.points[0], displacement, visibility, None, facts
    )


def _pictures(settings: StillCueSettings, split: str) -> Pictures:
    """The pictures of a split: no photo, cut-out or painted surface is in two of them."""
    textures, cutouts = (Path(name) if name else None for name in (settings.textures, settings.cutouts))
    held_out = split != "train"
    bank = load_bank(settings.seed, textures, cutouts, held_out=held_out, procedural=settings.procedural)
    if held_out:
        chosen = slice(0 if split == "validation" else 1, None, 2)
        bank = TextureBank(bank.surfaces[chosen], bank.shapes[chosen], bank.cutouts[chosen])
    return pictures_of(bank)


def pictures_of(bank: TextureBank) -> Pictures:
    """Take surfaces and objects from a bank; one without cut-outs gives shapes cut out of its surfaces."""
    surfaces = bank.surfaces.permute(0, 2, 3, 1).contiguous().numpy()
    if len(bank.cutouts):
        return Pictures(surfaces, bank.cutouts.permute(0, 2, 3, 1).contiguous().numpy())
    masks = bank.shapes.numpy()
    side = masks.shape[1]
    cut = [np.dstack([surfaces[k % len(surfaces)][:side, :side], mask]) for k, mask in enumerate(masks)]
    return Pictures(surfaces, np.stack(cut))
