"""Picture files of a request: opened by the thread that then runs the model on them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from encoded_images.decode import PictureError, Pixels, decode

from model_server.errors import RequestError
from model_server.request import Opened


@dataclass(frozen=True)
class PictureJob:
    """A request of picture files.

    Attributes:
        files: their bytes.
        max_pixels: more are not decoded.
        fit: makes a decoded picture, RGB (height, width, 3), what the model takes.
    """

    files: Sequence[bytes]
    max_pixels: int
    fit: Callable[[Pixels], Opened]

    def __len__(self) -> int:
        """See Job."""
        return len(self.files)

    def open(self, number: int) -> Opened:
        """See Job."""
        try:
            return self.fit(decode(self.files[number], self.max_pixels))
        except PictureError as error:
            which = "the picture" if len(self) == 1 else f"picture {number + 1} of {len(self)}"
            raise RequestError(f"{which} {error}") from error
