"""`python -m model predict`: how will the points of one image move?"""

from pathlib import Path

import click

from model.clips.video import probe
from model.commands.options import PATH, check_output, device_option
from model.core.errors import BadInput

OVERLAYS = (".html", ".png")


@click.command("predict")
@click.argument("image", type=PATH)
@click.option("--out", type=PATH, help="Where the prediction goes, as .npz.")
@click.option(
    "--overlay",
    "overlays",
    multiple=True,
    type=PATH,
    help="Where a picture of it goes: .html or .png; may be given twice.",
)
@click.option("--weights", default="predictor", help="A registered name or a file of train-predictor.")
@click.option("--grid", type=int, help="Points a side, 1 to 64; by default as in training.")
@device_option
def command(
    *, image: Path, out: Path | None, overlays: tuple[Path, ...], weights: str, grid: int | None, device: str
) -> None:
    """Predict where a grid of points of IMAGE will go: an image, or a clip, whose first frame is taken.

    OUT holds the tracks, and beside them `hypotheses` [K, T, N, 2], `hypothesis_weights` [K, N] and
    `interval` [2, T, N, 2], within which each coordinate is expected with a probability of 90 %.
    """
    if out is None and not overlays:
        raise BadInput("Say where the result should go: --out FILE.npz, --overlay FILE.png, or both.")
    inputs = (image, Path(weights))
    check_output("--out", out, ".npz", inputs=inputs)
    for path in overlays:
        check_output("--overlay", path, *OVERLAYS, inputs=inputs)
    # Here, not above: they import torch, which `--help` need not wait for.
    from model.overlay.arrows import draw_prediction, write_png
    from model.overlay.expectation import describe
    from model.overlay.html import write_html
    from model.prediction.predictor import Predictor, predict_file

    if remark := probe(image).remark:
        click.echo(remark, err=True)
    prediction, picture = predict_file(image, Predictor.load(weights, device), grid)
    tracks = prediction.tracks
    if out is not None:
        prediction.save(out)
    for path in overlays:
        if path.suffix.lower() == ".png":
            write_png(path, draw_prediction(picture, prediction))
        else:
            write_html(path, [picture] * len(tracks.frames), tracks, prediction)
    click.echo(describe(prediction))
    for target in (out, *overlays):
        if target is not None:
            click.echo(f"Wrote {target}")
