"""`python -m model synthesize`: make clips whose true motion is known."""

from pathlib import Path
from typing import Any

import click

from model.commands.console import progress_bar
from model.commands.options import FOLDER, PATH
from model.core.progress import Watch


@click.command("synthesize")
@click.option("--out", required=True, type=PATH, help="Folder for the clips.")
@click.option("--count", type=int, default=50, show_default=True, help="How many clips.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the first clip.")
@click.option("--height", type=click.IntRange(32, 2160), default=192, show_default=True)
@click.option("--width", type=click.IntRange(32, 3840), default=256, show_default=True)
@click.option("--frames", type=click.IntRange(2, 1000), default=8, show_default=True)
@click.option("--points", type=click.IntRange(1, 4096), default=64, show_default=True, help="In each clip.")
@click.option("--speed", type=float, default=1.0, show_default=True, help="Multiplies all motion.")
@click.option(
    "--time-step", type=float, default=1.0, show_default=True, help="Below 1 for long and slow clips."
)
@click.option("--textures", type=FOLDER, help="A folder of photos for the layers, beside procedural ones.")
@click.option("--cutouts", type=FOLDER, help="A folder of images with alpha for the layers.")
@click.option(
    "--held-out", is_flag=True, help="Use the pictures that training never sees (every 8th of a folder)."
)
@click.option("--samples", is_flag=True, help="Make the product's sample clips instead; only --out counts.")
def command(
    *,
    out: Path,
    count: int,
    seed: int,
    textures: Path | None,
    cutouts: Path | None,
    held_out: bool,
    samples: bool,
    **values: Any,
) -> None:
    """Make clips with exact trajectories and visibility: OUT/clip-0000/00000.png ... and tracks.npz."""
    # Here, not above: they import torch, which `--help` need not wait for.
    from model.synthetic.clip_folders import write_clip_folders
    from model.synthetic.sample_clips import SAMPLE_CLIPS, write_sample_clips
    from model.synthetic.scene import SyntheticSettings
    from model.synthetic.textures import load_bank

    if samples:
        with progress_bar("clips") as report:
            write_sample_clips(out, Watch(report))
        click.echo(f"Wrote {len(SAMPLE_CLIPS)} sample clips to {out}")
        return
    bank = load_bank(seed, textures, cutouts, held_out=held_out)
    with progress_bar("clips") as report:
        write_clip_folders(out, seed, count, SyntheticSettings(**values), bank, Watch(report))
    click.echo(f"Wrote {count} clips to {out}")
