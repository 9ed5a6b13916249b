"""`python -m model segment`: what torchvision's published segmentation network sees in an image."""

from pathlib import Path

import click

from model.commands.console import progress_bar
from model.commands.options import PATH, check_output, device_option


@click.command("segment")
@click.argument("image", type=PATH)
@click.option("--out", type=PATH, help="Where the coloured overlay goes, as .png.")
@click.option("--network", default="fcn_resnet50", show_default=True, help="As in torchvision.")
@device_option
def command(*, image: Path, out: Path | None, network: str, device: str) -> None:
    """Tell the 21 classes of Pascal VOC in IMAGE apart; the weights are downloaded at first use."""
    check_output("--out", out, ".png", inputs=[image])
    # Here, not above: they import torch, which `--help` need not wait for.
    from model.overlay.arrows import draw_classes, write_png
    from model.prediction.predictor import open_image
    from model.prediction.segment import CLASSES, Segmenter

    picture = open_image(image)
    with progress_bar("bytes") as report:
        segmenter = Segmenter.load(network, device, progress=report)
    found = segmenter.segment(picture)
    if out is not None:
        write_png(out, draw_classes(picture, found.labels, CLASSES, found.shares))
    for name, share in found.shares.items():
        click.echo(f"{100 * share:5.1f} %  {name}")
    if out is not None:
        click.echo(f"Wrote {out}")
