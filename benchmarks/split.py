"""Tracking a grid whole, in pieces, and point by point: how far do the positions differ, and why.

python -m model bench split [--weights NAME_OR_PATH]

Three forms of the same network on the same weights: ours; the plain form, whose arrays are as large as the
number of points asks; and the plain form with the inputs of all products rounded to TF32's 10 bits, which is
how recent GPUs multiply float32 where they are allowed to (rounded by hand here: it works on any machine).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from model.clips.video import read_frames
from model.motion.grid import query_grid, rescale_points
from model.tracking.pips.network import Pips
from model.tracking.pips.tracker import PipsEngine
from model.training.trackers.pips_forward import forward

CLIP = Path(__file__).parents[1] / "static" / "samples" / "drifting-shapes.mp4"
SIDE, PIECES, SINGLES, ITERATIONS = 10, 10, 10, 6

Form = Callable[[Tensor], NDArray[np.float32]]
"""Maps queries `[N, 2]` to trajectories `[I, S, N, 2]`."""


class ProductsInTf32(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves this class untyped
    """Rounds what goes into matrix products and convolutions to 10 bits behind the point."""

    _PRODUCTS = ("aten.mm.", "aten.addmm.", "aten.bmm.", "aten.convolution.")

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: tuple[Any, ...] = (), keywords: Any = None
    ) -> Any:
        if str(function).startswith(self._PRODUCTS):
            arguments = tuple(_to_tf32(one) for one in arguments)
        return function(*arguments, **(keywords or {}))


def _to_tf32(value: Any) -> Any:
    """Round a float32 tensor to the nearest number with 10 bits behind the point; leave the rest alone."""
    if not isinstance(value, Tensor) or value.dtype != torch.float32:
        return value
    bits = value.contiguous().view(torch.int32)
    return ((bits + 0x1000) & ~0x1FFF).view(torch.float32)


def compare(weights: str = "pips") -> None:
    """Print the table for a checkpoint, given by name or path."""
    engine = PipsEngine.load(weights, "cpu", "float32")
    frames = list(read_frames(CLIP, count=engine.network.config.frames))
    size = (frames[0].shape[0], frames[0].shape[1])
    working_size = engine.use.working_size(size)
    images = torch.stack([engine.resized(frame) for frame in frames])
    queries = torch.from_numpy(rescale_points(query_grid(SIDE, size), size, working_size))
    print(
        f"{SIDE}×{SIDE} points, 8 frames of {working_size[1]}×{working_size[0]}, {ITERATIONS} iterations, "
        f"weights {weights}; distance in px from the whole grid's positions; all frames but the first."
    )
    print(f"{'form':28}{'split':20}{'iteration':>10}{'mean':>10}{'median':>10}{'max':>10}")
    forms = _forms(engine.network, images)
    wholes = {name: form(queries) for name, form in forms.items()}
    for name, form in forms.items():
        for split, count in ((f"{PIECES} pieces", PIECES), (f"{SINGLES} single points", len(queries))):
            parts = np.concatenate([form(part) for part in queries.chunk(count)[:SINGLES]], axis=2)
            _print_rows(name, split, _distances(parts, wholes[name][:, :, : parts.shape[2]]))
    gap = _distances(wholes["plain, TF32"], wholes["plain, float32"])
    _print_rows("plain, TF32 for float32", "whole", gap)


def _forms(network: Pips, images: Tensor) -> dict[str, Form]:
    plain = _plain(network, images)
    return {
        "ours, float32": lambda queries: network.track(images, queries, ITERATIONS).trajectories.numpy(),
        "plain, float32": plain,
        "plain, TF32": _in_tf32(plain),
    }


def _plain(network: Pips, images: Tensor) -> Form:
    @torch.no_grad()
    def track(queries: Tensor) -> NDArray[np.float32]:
        trajectories: NDArray[np.float32] = forward(
            network, images[None], queries[None], ITERATIONS
        ).trajectories.numpy()
        return trajectories[:, 0]

    return track


def _in_tf32(form: Form) -> Form:
    def track(queries: Tensor) -> NDArray[np.float32]:
        with ProductsInTf32():  # type: ignore[no-untyped-call]  # as its base class
            return form(queries)

    return track


def _distances(positions: NDArray[np.float32], whole: NDArray[np.float32]) -> NDArray[np.float64]:
    """Distances `[I, (S - 1) N]`."""
    distances: NDArray[np.float64] = np.linalg.norm(positions.astype(np.float64) - whole, axis=-1)
    return distances[:, 1:].reshape(len(whole), -1)


def _print_rows(form: str, split: str, distances: NDArray[np.float64]) -> None:
    for iteration, row in enumerate(distances, start=1):
        if iteration in (1, 2, 4, len(distances)):
            print(
                f"{form:28}{split:20}{iteration:>10}{row.mean():>10.2g}{np.median(row):>10.2g}"
                f"{row.max():>10.2g}",
                flush=True,
            )


@click.command("split")
@click.option("--weights", default="pips", show_default=True, help="Name or path of PIPs weights.")
def command(weights: str) -> None:
    """Track 100 points whole, in 10 pieces and one by one: how far the positions differ, and why."""
    compare(weights)
