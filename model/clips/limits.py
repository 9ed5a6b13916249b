"""How large a clip from a stranger may be."""

from dataclasses import dataclass

from model.core.errors import BadInput


@dataclass(frozen=True)
class Limits:
    """What is accepted; the defaults suit a public server with a few GB of memory.

    max_pixels: width × height of one frame. Decoding costs about 12 bytes of memory for each.
    min_side: the smallest width and height in pixels; below it nothing can be tracked.
    max_images: entries of a zip, or images of a folder.
    max_unpacked_bytes: what all entries of a zip may hold together.
    """

    max_pixels: int = 50_000_000
    min_side: int = 8
    max_images: int = 10_000
    max_unpacked_bytes: int = 4 * 1024**3

    def check_size(self, width: int, height: int, what: str) -> None:
        """Raise BadInput when a frame of that many pixels is too small or too large.

        what: names the frame at the start of the sentence ("The image", "The video").
        """
        if width * height > self.max_pixels:
            raise BadInput(
                f"{what} has {width}×{height} pixels; at most {self.max_pixels / 1e6:g} million "
                "are accepted, so make it smaller first."
            )
        if min(width, height) < self.min_side:
            raise BadInput(
                f"{what} has {width}×{height} pixels; at least {self.min_side}×{self.min_side} are needed."
            )
