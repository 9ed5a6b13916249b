"""Motion from one image: how long a prediction takes when the model is loaded.

python -m model bench predict

The baseline is the plain way: image and mirror image in one batch, every operation on all of torch's threads.
The networks have random weights, which take as long as trained ones. Seconds are the median of the repeats;
CPU seconds stand beside, since other processes' load hardly touches them.
"""

import time
from collections.abc import Callable
from functools import partial
from statistics import median

import click
import numpy as np
import torch
from numpy.typing import NDArray

from model.motion.grid import query_grid, rescale_points
from model.prediction.network import build_predictor, normalise
from model.prediction.predictor import Predictor, resized
from model.prediction.release import PredictorRelease, PredictorUse

BACKBONES = ("fcn_resnet50", "lraspp_mobilenet_v3_large")
SIZES = ((144, 256), (256, 448))
IMAGE, GRID = (480, 854), 16


def compare(repeats: int = 5) -> None:
    """Print the table: seconds, CPU seconds, and how many times as fast as the plain way."""
    image = np.random.default_rng(0).integers(0, 256, (*IMAGE, 3), dtype=np.uint8)
    print(f"{GRID}×{GRID} points of an image of {IMAGE[1]}×{IMAGE[0]}; {torch.get_num_threads()} threads")
    print(f"{'backbone':28}{'working size':>14}{'form':>20}{'s':>8}{'CPU s':>8}{'ratio':>8}")
    for backbone in BACKBONES:
        network = build_predictor(backbone, grid=GRID, horizon=8)
        for height, width in SIZES:
            release = PredictorRelease(network.config, PredictorUse(height, width, mirror=True))
            predictor = Predictor.of(network, release)
            forms: dict[str, Callable[[], object]] = {
                "plain": partial(_plain, predictor, image),
                "ours": partial(predictor.predict_all, image),
            }
            baseline = None
            for name, form in forms.items():
                wall, processor = _timed(form, repeats)
                baseline = wall if baseline is None else baseline
                print(
                    f"{backbone:28}{f'{width}×{height}':>14}{name:>20}{wall:>8.2f}{processor:>8.2f}"
                    f"{baseline / wall:>7.2f}×",
                    flush=True,
                )


@torch.inference_mode()
def _plain(predictor: Predictor, image: NDArray[np.uint8]) -> None:
    size = predictor.use.working_size(IMAGE)
    small = resized(torch.tensor(image).permute(2, 0, 1)[None], size)
    points = torch.from_numpy(rescale_points(query_grid(GRID, IMAGE), IMAGE, size))[None]
    network = predictor.network
    features = network.features(normalise(torch.cat([small, small.flip(3)])))
    mixture = network.answer(features, points.expand(2, -1, -1), size)
    mixture.median()
    for share in (0.05, 0.95):
        mixture.quantile(share)


def _timed(form: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Median seconds on the clock and of the processors."""
    form()
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter(), time.process_time()
        form()
        seconds.append((time.perf_counter() - begin[0], time.process_time() - begin[1]))
    return median(each[0] for each in seconds), median(each[1] for each in seconds)


@click.command("predict")
@click.option("--repeats", type=click.IntRange(1), default=5, show_default=True)
def command(repeats: int) -> None:
    """Predict motion from one image, beside the plain way: every operation on all threads."""
    compare(repeats)
