"""Reading a training set with PyTorch: `open_dataset`, and `EpochLoader` for its batches.

Samples are read one by one through the shards' indices, not by streaming whole shards: the shuffle is then a
true one over the whole set, filters cost no reading, every sample comes exactly once whatever the number of
workers and ranks, and the order does not depend on the workers. It is as fast, since decoding a sample takes
ten times as long as finding it on a disk, and from an object store a whole batch is fetched at once.
"""

import dataclasses
import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, distributed
from torch.utils.data import DataLoader, Dataset, Sampler

from model.core.errors import BadInput
from model.datasets.folder import DataFolder
from model.datasets.index import DatasetIndex, SampleFilter
from model.datasets.sample import Sample, SampleFacts
from model.datasets.summary import SPLITS
from model.motion.grid import inside_frame, rescale_points


class MotionSample(NamedTuple):
    """A picture and where its points go.

    Positions are (x, y) in pixels of the picture. T is the horizon: a sample with fewer frames keeps its last
    positions, and counts as hidden and outside in what is filled up.

    picture: uint8 `[3, h, w]`, RGB. queries: float32 `[N, 2]`.
    displacement: float32 `[T, N, 2]`, from the query; zero in the first frame.
    visibility: float32 `[T, N]`, 0 to 1. in_frame: bool `[T, N]`, the positions that lie within the frame as
    filmed, visible or not. facts: what else is known of it.
    With the camera's motion taken out (`open_dataset`), displacements are scene motion in pixels of the first
    frame, and in a frame whose camera is not known all points count as hidden and outside.
    """

    picture: Tensor
    queries: Tensor
    displacement: Tensor
    visibility: Tensor
    in_frame: Tensor
    facts: SampleFacts


class MotionBatch(NamedTuple):
    """B samples: the tensors of `MotionSample` with B in front, and a list of B facts."""

    picture: Tensor
    queries: Tensor
    displacement: Tensor
    visibility: Tensor
    in_frame: Tensor
    facts: list[SampleFacts]


class MotionDataset(Dataset[MotionSample]):
    """The chosen samples of a training set, by number, in the order of the set's shards.

    index: the table of all samples. numbers: int64, the rows of it that were chosen.
    image_size: (height, width) of all pictures; None: each as it is stored.
    scene_motion: whether the camera's motion is taken out.
    """

    def __init__(
        self,
        index: DatasetIndex,
        numbers: NDArray[np.int64],
        image_size: tuple[int, int] | None,
        scene_motion: bool = False,
    ) -> None:
        self.index, self.numbers, self.image_size = index, numbers, image_size
        self.scene_motion = scene_motion
        self._process = os.getpid()

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, number: int) -> MotionSample:
        return self.__getitems__([number])[0]

    def __getitems__(self, numbers: Sequence[int]) -> list[MotionSample]:
        """Read several samples at once; DataLoader calls this for each batch."""
        if self._process != os.getpid():
            # Connections to object stores do not survive a fork, so a loader's worker makes its own.
            self.index = DatasetIndex(
                DataFolder.open(self.index.folder.url),
                self.index.summary,
                self.index.rows,
                self.index.sources,
                self.index.groups,
            )
            self._process = os.getpid()
        samples = self.index.read([int(self.numbers[number]) for number in numbers])
        return [as_tensors(sample, self.image_size, self.scene_motion) for sample in samples]


class EpochSampler(Sampler[int]):
    """Says which samples a rank sees in an epoch, and in which order.

    All ranks together see every sample exactly once. The order depends on the seed and the epoch alone.
    """

    def __init__(
        self,
        count: int,
        *,
        seed: int = 0,
        shuffle: bool = True,
        rank: int | None = None,
        ranks: int | None = None,
        even: bool = False,
    ) -> None:
        """Begin with epoch 0.

        count: how many samples there are. shuffle: False keeps the order of the set.
        rank, ranks: this process's place, and how many there are; by default those of torch.distributed where
            that is in use, else 0 and 1.
        even: leave out up to `ranks` - 1 samples, others in each epoch, so that all ranks have as many.
        Raises BadInput for a rank that is not 0 to `ranks` - 1.
        """
        in_group = distributed.is_available() and distributed.is_initialized()
        self._ranks = (distributed.get_world_size() if in_group else 1) if ranks is None else ranks
        self._rank = (distributed.get_rank() if in_group else 0) if rank is None else rank
        if not 0 <= self._rank < self._ranks:
            raise BadInput(f"The rank must be 0 to {self._ranks - 1}, not {self._rank}.")
        self._count, self._seed, self._shuffle, self._even = count, seed, shuffle, even
        self.set_epoch(0)

    def set_epoch(self, epoch: int, done: int = 0) -> None:
        """Choose the epoch to come.

        done: how many samples this rank has seen of it already; it goes on after them.
        """
        self._epoch, self._done = epoch, done

    def __len__(self) -> int:
        shared = self._count // self._ranks
        rest = 0 if self._even else int(self._rank < self._count % self._ranks)
        return max(0, shared + rest - self._done)

    def __iter__(self) -> Iterator[int]:
        order = np.arange(self._count)
        if self._shuffle:
            np.random.default_rng((self._seed, self._epoch)).shuffle(order)
        end = self._count - self._count % self._ranks if self._even else self._count
        yield from order[self._rank : end : self._ranks][self._done :].tolist()


def open_dataset(
    path: str | os.PathLike[str],
    split: str | None = None,
    *,
    image_size: tuple[int, int] | None = None,
    wanted: SampleFilter | None = None,
    scene_motion: bool = False,
    allow_incomplete: bool = False,
) -> MotionDataset:
    """Open a training set for reading; `EpochLoader` makes batches of it.

    path: its folder, or an fsspec URL such as s3://bucket/name.
    split: "train", "validation", "test" (each video is in one of them only), or None for all.
    image_size: (height, width) that all pictures are resized to, with their points; None: as they are stored.
    wanted: which samples, by motion, quality or length; its split is `split`'s.
    scene_motion: take the camera's motion out; samples in which no camera was found are left out.
    allow_incomplete: also read a set whose conversion has not ended: what there is at this moment.
    Raises BadInput when there is no set, it is incomplete or damaged, or nothing is left to read.
    """
    if image_size is not None and min(image_size) < 1:
        raise BadInput(f"The image size must be 1 px or more a side, not {image_size[1]}×{image_size[0]}.")
    wanted = dataclasses.replace(wanted or SampleFilter(), split=split)
    if scene_motion:
        wanted = dataclasses.replace(wanted, with_camera=True)
    index = DatasetIndex.load(DataFolder.open(path), allow_incomplete=allow_incomplete)
    numbers = index.select(wanted)
    if len(numbers) == 0:
        raise BadInput(_nothing_left(index, split))
    return MotionDataset(index, numbers, image_size, scene_motion)


class EpochLoader(DataLoader[Any]):
    """Yields `MotionBatch`es; one pass is one epoch. Its workers stay from epoch to epoch."""

    def __init__(
        self,
        dataset: MotionDataset,
        batch_size: int,
        *,
        workers: int = 0,
        seed: int = 0,
        shuffle: bool = True,
        rank: int | None = None,
        ranks: int | None = None,
        even: bool = False,
        **options: Any,
    ) -> None:
        """Begin with epoch 0.

        workers: processes that read and decode; 0: this one does. options: of torch's DataLoader, such as
        drop_last and pin_memory. For the others see `EpochSampler`.
        """
        self._epochs = EpochSampler(
            len(dataset), seed=seed, shuffle=shuffle, rank=rank, ranks=ranks, even=even
        )
        super().__init__(
            dataset,
            batch_size,
            sampler=self._epochs,
            num_workers=workers,
            collate_fn=collate,
            persistent_workers=workers > 0,
            **options,
        )

    def __iter__(self) -> Iterator[MotionBatch]:  # type: ignore[override]  # torch returns a class of its own
        try:
            yield from super().__iter__()
        except BadInput as error:
            # From a worker its whole traceback comes as the message.
            raise BadInput(str(error).strip().splitlines()[-1].split("BadInput: ")[-1]) from error

    def set_epoch(self, epoch: int, done: int = 0) -> None:
        """Choose the epoch to come; see `EpochSampler.set_epoch`."""
        self._epochs.set_epoch(epoch, done)


def collate(samples: Sequence[MotionSample]) -> MotionBatch:
    """Stack samples into a batch; for the `collate_fn` of any DataLoader.

    Raises BadInput when their pictures differ in size.
    """
    sizes = {f"{sample.picture.shape[2]}×{sample.picture.shape[1]}" for sample in samples}
    if len(sizes) > 1:
        raise BadInput(
            f"Pictures of {' and '.join(sorted(sizes))} make no batch; give open_dataset an image_size."
        )
    pictures, queries, displacements, visibilities, in_frames, facts = zip(*samples, strict=True)
    return MotionBatch(
        torch.stack(pictures),
        torch.stack(queries),
        torch.stack(displacements),
        torch.stack(visibilities),
        torch.stack(in_frames),
        list(facts),
    )


def as_tensors(
    sample: Sample, image_size: tuple[int, int] | None = None, scene_motion: bool = False
) -> MotionSample:
    """Decode a sample; positions are mapped to its picture.

    image_size: (height, width) that the picture is resized to; None: as it is stored.
    scene_motion: take the camera's motion out; in frames whose camera is not known all points are outside.
    """
    facts = sample.facts
    size = image_size or facts.image_size
    picture = sample.picture()
    if picture.shape[:2] != size:
        picture = np.asarray(Image.fromarray(picture).resize(size[::-1], Image.Resampling.BILINEAR))
    scale = np.array([size[1] / facts.size[1], size[0] / facts.size[0]], np.float32)
    displacement = np.zeros((facts.horizon, *sample.queries.shape), np.float32)
    visibility = np.zeros(displacement.shape[:2], np.float32)
    if scene_motion:
        known, moved = sample.scene_displacement()
    else:
        known, moved = np.ones(facts.count, bool), sample.displacement.astype(np.float32)
    displacement[: facts.count] = moved * scale
    displacement[facts.count :] = displacement[facts.count - 1]
    visibility[: facts.count] = sample.visibility * known[:, None]
    in_frame = np.zeros(visibility.shape, bool)
    in_frame[: facts.count] = inside_frame(sample.queries + sample.displacement, facts.size) & known[:, None]
    return MotionSample(
        torch.from_numpy(picture.transpose(2, 0, 1).copy()),
        torch.from_numpy(rescale_points(sample.queries, facts.size, size)),
        torch.from_numpy(displacement),
        torch.from_numpy(visibility),
        torch.from_numpy(in_frame),
        facts,
    )


def _nothing_left(index: DatasetIndex, split: str | None) -> str:
    """Say why no sample is left."""
    there = ", ".join(f"{index.summary.samples(name)} {name}" for name in SPLITS)
    if index.summary.samples(split) == 0:
        return f"The training set {index.folder.url} has no samples{_of(split)} (it has {there})."
    return (
        f"None of the {index.summary.samples(split)} samples{_of(split)} of {index.folder.url} passes the "
        "filter; ask for less motion or quality."
    )


def _of(split: str | None) -> str:
    return "" if split is None else f" for {split}"
