"""The report's figures and pictures as files, for a paper."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from model.core.files import write_whole
from model.inspection.figures import draw_figures, encode
from model.inspection.inspect import DrawnSample, Inspection

SHEET_WIDTH = 2000
SHEET_ROW = 4 * 16 / 9
"""A row of the contact sheet is this many times as wide as high, or a little more: four pictures of 16:9."""

SHEET_GAP = 10


def write_pictures(folder: Path, inspection: Inspection) -> list[Path]:
    """Write every figure as NAME.png (300 dpi) and NAME.pdf, and the contact sheets as PNG.

    Returns the files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    contents: dict[str, bytes] = {}
    for name, figure in draw_figures(inspection).items():
        contents |= {f"{name}.png": encode(figure, "png"), f"{name}.pdf": encode(figure, "pdf")}
    for name, samples in (("contact-sheet", inspection.sheet), ("worst-quality", inspection.worst)):
        if samples:
            contents[f"{name}.png"] = contact_sheet(samples)
    for name, content in contents.items():
        write_whole(folder / name, content)
    return [folder / name for name in contents]


def contact_sheet(samples: Sequence[DrawnSample]) -> bytes:
    """Lay pictures side by side on white, in rows that are all as wide; returns a PNG."""
    rows = [_row(part) for part in _rows([Image.fromarray(sample.picture) for sample in samples])]
    height = sum(row.height + SHEET_GAP for row in rows) - SHEET_GAP
    sheet = Image.new("RGB", (SHEET_WIDTH, height), "white")
    top = 0
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height + SHEET_GAP
    content = io.BytesIO()
    sheet.save(content, "PNG")
    return content.getvalue()


def _rows(pictures: Sequence[Image.Image]) -> Iterator[list[Image.Image]]:
    """Cut a sequence of pictures into rows of about one shape."""
    row: list[Image.Image] = []
    for picture in pictures:
        row.append(picture)
        if _shape(row) >= SHEET_ROW:
            yield row
            row = []
    if row:
        yield row


def _shape(row: Sequence[Image.Image]) -> float:
    """Width by height of pictures of the same height, side by side."""
    return sum(picture.width / picture.height for picture in row)


def _row(pictures: Sequence[Image.Image]) -> Image.Image:
    # A last row that is not full keeps the height of a full one.
    free = SHEET_WIDTH - SHEET_GAP * (len(pictures) - 1)
    height = round(free / max(_shape(pictures), SHEET_ROW))
    row, left = Image.new("RGB", (SHEET_WIDTH, height), "white"), 0
    for picture in pictures:
        width = round(height * picture.width / picture.height)
        row.paste(picture.resize((width, height), Image.Resampling.LANCZOS), (left, 0))
        left += width + SHEET_GAP
    return row
