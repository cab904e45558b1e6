"""Pictures of findings: a transparent layer over the image, and a small picture of both."""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from firstread.imaging.render import to_png
from firstread.imaging.volume import SourceFrame
from firstread.objects.outline import Mask
from firstread.objects.sources import Sources
from firstread.objects.written import Written
from firstread.result import ObjectKind
from model_service.findings import Told
from model_service.overlay import render_overlay

NOTICE = "AI, research use only"
THUMBNAIL_SIDE = 256
FIGURE_SIDE = 512
_PNG = "image/png"
_ALPHA = 140  # of 255: what lies under it stays visible
_EDGE_ALPHA = 255
_BOX_COLOUR = (255, 196, 0)
_BOX_WIDTH = 1 / 200  # of the longer side of the image

Rgba = npt.NDArray[np.uint8]


def overlay(told: Told, size: tuple[int, int]) -> Written | None:
    """Return the transparent layer of a finding; None where there is nothing to show.

    A heat map as `model_service.overlay` draws it; a segment in the colour of its bundle, a box in yellow, both of the
    size of the source (rows, columns). It bears no text.
    """
    if told.activation is not None:
        return Written(ObjectKind.OVERLAY, render_overlay(told.activation), _PNG)
    layer = _drawn(told, size)
    return None if layer is None else Written(ObjectKind.OVERLAY, _png(Image.fromarray(layer)), _PNG)


def _drawn(told: Told, size: tuple[int, int]) -> Rgba | None:
    if told.box is not None:
        inside = np.zeros(size, dtype=bool)
        inside[told.box.top : told.box.bottom, told.box.left : told.box.right] = True
        return _coloured(
            np.zeros(size, dtype=bool), _edge(inside, max(1, round(max(size) * _BOX_WIDTH))), _BOX_COLOUR
        )
    if told.stack is None or told.segment is None:
        return None
    mask = told.stack.labels[told.plane] == told.segment.number
    return _coloured(mask, _edge(mask, 1), told.segment.colour) if mask.any() else None


def _coloured(inside: Mask, edge: Mask, colour: tuple[int, int, int]) -> Rgba:
    layer = np.zeros((*inside.shape, 4), dtype=np.uint8)
    layer[inside] = (*colour, _ALPHA)
    layer[edge] = (*colour, _EDGE_ALPHA)
    return layer


def _edge(mask: Mask, width: int) -> Mask:
    """Return the pixels of a mask that are at most `width` from its outside; that of the image is outside."""
    kept = mask
    for _ in range(width):
        padded = np.pad(kept, 1)
        kept = kept & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~kept


class Pictures:
    """Frames as a reader sees them, each decoded once: that costs more than all else here.

    Parameters
    ----------
    sources
        The images.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._shown: dict[SourceFrame, Image.Image] = {}

    def picture(self, frame: SourceFrame, layer: Written | None, side: int = FIGURE_SIDE) -> bytes:
        """Return a PNG of a frame with a layer over it, at most `side` pixels long; its text chunk says what it is.

        PNG, W3C Recommendation, 11.3.3.

        Raises
        ------
        PixelError
            If the frame cannot be rendered.
        """
        shown = self._frame(frame).copy()
        shown.thumbnail((side, side), Image.Resampling.LANCZOS)
        if layer is not None:
            over = Image.open(io.BytesIO(layer.content)).resize(shown.size, Image.Resampling.BILINEAR)
            shown.paste(over, mask=over)
        return _png(shown)

    def thumbnail(self, frame: SourceFrame, layer: Written | None) -> Written:
        """Return the small picture of a frame.

        Raises
        ------
        PixelError
            If the frame cannot be rendered.
        """
        return Written(ObjectKind.THUMBNAIL, self.picture(frame, layer, THUMBNAIL_SIDE), _PNG)

    def _frame(self, frame: SourceFrame) -> Image.Image:
        if frame not in self._shown:
            png = to_png(self._sources.of(frame).image, frame.number - 1, max_side=FIGURE_SIDE)
            self._shown[frame] = Image.open(io.BytesIO(png)).convert("RGB")
        return self._shown[frame]


def _png(image: Image.Image) -> bytes:
    notice = PngInfo()
    if image.mode == "RGB":
        notice.add_text("Comment", NOTICE)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", pnginfo=notice)
    return buffer.getvalue()
