"""Picture files of a request: opened by the thread that then runs the model on them."""

from collections.abc import Sequence
from dataclasses import dataclass

from encoded_images.decode import PictureError, decode
from encoded_images.letterbox import Target, letterbox

from yolo_server.errors import RequestError
from yolo_server.request import Opened


@dataclass(frozen=True)
class PictureJob:
    """A request of picture files; its boxes are in pixels of each. `max_pixels`: more are not decoded."""

    files: Sequence[bytes]
    target: Target
    max_pixels: int
    confidence: float
    iou: float

    def __len__(self) -> int:
        """See Job."""
        return len(self.files)

    def open(self, number: int) -> Opened:
        """See Job."""
        try:
            boxed = letterbox(decode(self.files[number], self.max_pixels), self.target)
        except PictureError as error:
            which = "the picture" if len(self) == 1 else f"picture {number + 1} of {len(self)}"
            raise RequestError(f"{which} {error}") from error
        return Opened(boxed.pixels[None], boxed.to_original)
