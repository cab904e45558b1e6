"""Text detection with RapidOCR on the processor: its models come in its wheel, nothing is downloaded.

Needs the extra packages `rapidocr`, `onnxruntime` and `opencv-python-headless`, imported with the first image.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from firstread.deid.burned_in.boxes import Image, TextBox, merged, overlap

_SURE = 0.9  # below this score a recognised text is no text
_LEGIBLE = 0.6  # from this score on, there is some text
_FEW, _GUESSED = 2, 0.5  # letters and score that tell faint letters from speckle
_AROUND, _RAISED = 8.0, 3.0  # pixels that letters stand out from; how much their contrast is raised
_WORD = 3  # letters; shapes of anatomy are read as one or two
_UNREADABLE = 48  # pixels; letters higher than this, or half an image high, are read, or they are no letters
_EDGE = 3
_LARGEST_SCALE = 5  # letters of eight pixels are then forty pixels high, which is plenty


class RapidTextDetector:
    """Finds text at its own resolution, tile by tile, and reads what is short.

    One instance is used by one thread at a time.

    Parameters
    ----------
    threads
        Processor threads of the networks.
    tile
        Larger images are looked at in tiles of this many pixels a side, and once more reduced to one tile for
        large letters.
    overlap
        Pixels that neighbouring tiles share.
    enlarged
        Tiles are enlarged until their smaller side has this many pixels.
    """

    def __init__(self, threads: int = 1, tile: int = 1280, overlap: int = 160, enlarged: int = 736) -> None:
        if not 0 < overlap < tile:
            raise ValueError("tiles must share less than a tile")
        self._threads, self._tile, self._overlap, self._enlarged = threads, tile, overlap, enlarged

    def find(self, image: Image) -> Sequence[TextBox]:
        """Return a box around every text, with its text where it is short and was read without doubt.

        Parameters
        ----------
        image
            Rows x columns, or rows x columns x 3 (RGB), 8 bit.
        """
        if image.ndim == 2:
            image = np.repeat(image[..., np.newaxis], 3, axis=2)
        image = np.ascontiguousarray(image[..., ::-1])  # the networks were taught blue first
        rows, columns = image.shape[:2]
        if int(image.max(initial=0)) == int(image.min(initial=255)):
            return []
        if max(rows, columns) <= self._tile:
            return self._in_small(image)
        boxes = [box for tile in self._tiles(rows, columns) for box in self._in_tile(image, tile)]
        return merged([*boxes, *self._in_whole(image)])

    def _in_small(self, image: Image) -> list[TextBox]:
        """Look at one tile, in a black frame if it is so small that anatomy would be enlarged to letters."""
        rows, columns = image.shape[:2]
        least = -(-self._enlarged // _LARGEST_SCALE)
        framed = np.pad(image, ((0, max(0, least - rows)), (0, max(0, least - columns)), (0, 0)))
        inside = (_scaled(box, 1.0, columns, rows) for box in self._found(framed, min(rows, columns)))
        return [box for box in inside if box.area > 0]

    def _tiles(self, rows: int, columns: int) -> Iterator[tuple[int, int, int, int]]:
        """Yield top, left, height and width."""
        tops, height = _positions(rows, self._tile, self._overlap)
        lefts, width = _positions(columns, self._tile, self._overlap)
        yield from ((top, left, height, width) for top in tops for left in lefts)

    def _in_tile(self, image: Image, tile: tuple[int, int, int, int]) -> Iterator[TextBox]:
        top, left, height, width = tile
        part = image[top : top + height, left : left + width]
        rows, columns = image.shape[:2]
        for box in self._found(np.ascontiguousarray(part)):
            cut = (
                (box.left <= _EDGE and left > 0)
                or (box.top <= _EDGE and top > 0)
                or (box.right >= width - _EDGE and left + width < columns)
                or (box.bottom >= height - _EDGE and top + height < rows)
            )
            # The rest of a text that a tile cuts may be a name.
            text = "" if cut else box.text
            yield TextBox(box.left + left, box.top + top, box.right + left, box.bottom + top, text)

    def _in_whole(self, image: Image) -> Iterator[TextBox]:
        import cv2

        rows, columns = image.shape[:2]
        scale = self._tile / max(rows, columns)
        size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
        for box in self._found(cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8)):
            yield _scaled(box, 1 / scale, columns, rows)

    def _found(self, image: Image, shortest: int = 2 * _UNREADABLE) -> list[TextBox]:
        """Return the boxes of one tile; `shortest` is the smaller side of what is not a black frame in it."""
        found = self._engine(image, use_det=True, use_cls=False, use_rec=False)
        if found.boxes is None:
            return []
        rows, columns = image.shape[:2]
        boxes = [_box(corners, columns, rows) for corners in found.boxes]
        legible_from = min(_UNREADABLE, shortest // 2)
        read = [self._read(box, image, legible_from) for box in boxes if box.area > 0]
        plain = [box for box in read if box is not None]
        return [*plain, *self._faint(image, plain)]

    def _faint(self, image: Image, plain: Sequence[TextBox]) -> Iterator[TextBox]:
        """Yield boxes around letters that only a raised local contrast brings out, if some letters can be read there.

        What cannot be read is speckle and tissue, whose contrast was raised as well.
        """
        import cv2

        around = cv2.GaussianBlur(image, (0, 0), _AROUND)
        raised = cv2.addWeighted(image, _RAISED, around, -_RAISED, 128).astype(np.uint8)
        found = self._engine(raised, use_det=True, use_cls=False, use_rec=False)
        for corners in () if found.boxes is None else found.boxes:
            box = _box(corners, image.shape[1], image.shape[0])
            if box.area == 0 or any(overlap(box, other) * 2 > box.area for other in plain):
                continue
            text, score = self._recognised(
                np.ascontiguousarray(raised[box.top : box.bottom, box.left : box.right])
            )
            if sum(letter.isalnum() for letter in text) >= _FEW and score >= _GUESSED:
                yield box

    def _read(self, box: TextBox, image: Image, legible_from: int) -> TextBox | None:
        """Return a box with its text, if it may be one that stays; None for what is surely no text.

        Letters that are too small or too faint to be read count as text. Large shapes in which nothing can be
        read, whichever way they are turned, are anatomy: vessels in colour Doppler, ribs, electrodes.
        """
        crop = np.ascontiguousarray(image[box.top : box.bottom, box.left : box.right])
        text, score = self._recognised(crop)
        if text and score >= _SURE:
            return TextBox(box.left, box.top, box.right, box.bottom, text)
        large = min(crop.shape[:2]) > legible_from
        if large and not self._is_legible(_contrasted(crop)):
            return None
        return box

    def _is_legible(self, crop: Image) -> bool:
        for turns in range(4):
            text, score = self._recognised(np.ascontiguousarray(np.rot90(crop, turns)))
            if sum(letter.isalnum() for letter in text) >= _WORD and score >= _LEGIBLE:
                return True
        return False

    def _recognised(self, crop: Image) -> tuple[str, float]:
        read = self._engine(crop, use_det=False, use_cls=False, use_rec=True)
        if not read.txts or len(read.txts) != 1 or not str(read.txts[0]).strip():
            return "", 0.0
        return str(read.txts[0]), float(read.scores[0])

    @cached_property
    def _engine(self) -> Any:  # noqa: ANN401 - RapidOCR has no types
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from rapidocr import RapidOCR

            engine = RapidOCR(
                params={
                    "Global.log_level": "critical",
                    "EngineConfig.onnxruntime.intra_op_num_threads": self._threads,
                    "EngineConfig.onnxruntime.inter_op_num_threads": 1,
                    "Det.limit_side_len": self._enlarged,
                }
            )
        logging.getLogger("RapidOCR").disabled = True  # it has warnings about what it read
        return engine


def _contrasted(crop: Image) -> Image:
    low, high = int(crop.min()), int(crop.max())
    return ((crop.astype(np.float32) - low) * (255.0 / max(1, high - low))).astype(np.uint8)


def _positions(length: int, tile: int, overlap: int) -> tuple[list[int], int]:
    """Return where tiles begin along one side, and their length, no longer than they must be."""
    if length <= tile:
        return [0], length
    count = -(-(length - overlap) // (tile - overlap))
    size = -(-(length + (count - 1) * overlap) // count)
    return [round(index * (length - size) / (count - 1)) for index in range(count)], size


def _box(corners: Any, columns: int, rows: int) -> TextBox:  # noqa: ANN401 - four points of any array
    points = np.asarray(corners, dtype=float)
    left, top = np.floor(points.min(axis=0))
    right, bottom = np.ceil(points.max(axis=0))
    return TextBox(max(0, int(left)), max(0, int(top)), min(columns, int(right)), min(rows, int(bottom)))


def _scaled(box: TextBox, scale: float, columns: int, rows: int) -> TextBox:
    corners = np.array([(box.left, box.top), (box.right, box.bottom)]) * scale
    scaled = _box(corners, columns, rows)
    return TextBox(scaled.left, scaled.top, scaled.right, scaled.bottom, box.text)
