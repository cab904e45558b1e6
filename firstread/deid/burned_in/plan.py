"""Which boxes of which frames are to be blanked: every different frame is looked at, equal frames once.

A cine shows the same text on all of its frames. The detector therefore looks at what was brightest and darkest at
every pixel over time, where moving anatomy does not disturb it, and those boxes are blanked in every frame. Frames
in which the cheap look then still finds anything like text, as it does in speckle, are shown to the detector in threes:
the brightest, the mean and the darkest of three frames as red, green and blue. Where it finds text in them, each is
shown by itself.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from firstread.deid.burned_in.allowed import is_allowed
from firstread.deid.burned_in.boxes import Image, TextBox, TextDetector, merged
from firstread.deid.burned_in.layout import AS_YBR, Array, Layout, Palette, background, blank, hides_bits
from firstread.deid.burned_in.prefilter import may_have_text
from firstread.deid.burned_in.views import over_time, views
from firstread.errors import QuarantineError, Reason

_ROUNDS = 6  # looks at one frame; each blanked box may bring out what is fainter
_CINE = 5  # different frames
_TOGETHER = 3  # frames in one look; with more of them text that only one has is missed too often


class Frames(Protocol):
    """The frames of a file."""

    @property
    def count(self) -> int:
        """How many."""
        ...

    def read(self, index: int) -> bytes:
        """Return a frame as it lies in the file."""
        ...

    def decode(self, raw: bytes) -> tuple[Array, Layout]:
        """Return its samples, and how they are stored."""
        ...


@dataclass
class Finding:
    """What was found in a frame.

    Parameters
    ----------
    boxes
        To be blanked.
    kept
        Boxes with text that may stay.
    looked_at
        Whether the detector has seen the frame, by itself or together with others.
    """

    boxes: list[TextBox]
    kept: int = 0
    looked_at: bool = True


@dataclass
class Plan:
    """Findings per different frame, and which frame is which.

    Parameters
    ----------
    digests
        Of all frames.
    findings
        By digest.
    decoded
        How a decoded frame is stored.
    """

    digests: list[bytes]
    findings: dict[bytes, Finding]
    decoded: Layout

    def boxes(self, index: int) -> list[TextBox]:
        """Return the boxes to blank in a frame."""
        return self.findings[self.digests[index]].boxes

    @property
    def is_empty(self) -> bool:
        """Whether no frame has a box."""
        return not any(finding.boxes for finding in self.findings.values())


@dataclass
class Inspector:
    """Looks at decoded frames.

    Parameters
    ----------
    detector
        Finds text.
    palette
        The colours of a PALETTE COLOR image.
    prefilter
        Whether frames without any trace of text are not shown to the detector.
    turned
        Whether lines may run from top to bottom.
    known
        Boxes that are blanked wherever the frame is not black already.
    """

    detector: TextDetector
    palette: Palette | None
    prefilter: bool = False
    turned: bool = False
    known: Sequence[TextBox] = field(default=())

    def look(self, stored: Array, layout: Layout) -> Finding:
        """Return the boxes to blank in a frame, which is changed: text is blanked and looked for again.

        Raises
        ------
        QuarantineError
            With `Reason.MAY_CONTAIN_BURNED_IN_TEXT` if it is never gone.
        """
        return self.skip(stored, layout) or self.search(stored, layout)

    def skip(self, stored: Array, layout: Layout) -> Finding | None:
        """Blank the known boxes; return what is then known of a frame the detector need not see, None for others."""
        blank(stored, list(self.known), self.black(stored, layout))
        if self.prefilter and not self.has_trace(stored, layout):
            return Finding(list(self.known), looked_at=False)
        return None

    def search(self, stored: Array, layout: Layout) -> Finding:
        """Show a frame from `skip` to the detector, as `look` does."""
        black = self.black(stored, layout)
        boxes = list(self.known)
        for _ in range(_ROUNDS):
            found = merged(
                box for view in views(stored, layout, self.palette) for box in self.detector.find(view)
            )
            fresh = [_with_margin(box, layout) for box in found if not is_allowed(box)]
            if not fresh:
                return Finding(boxes, kept=len(found))
            blank(stored, fresh, black)
            boxes += fresh
        raise QuarantineError(Reason.MAY_CONTAIN_BURNED_IN_TEXT)

    def search_together(self, frames: Sequence[tuple[Array, Layout]]) -> list[Finding]:
        """Show frames from `skip` to the detector in one look, and by themselves where it finds anything."""
        shown: list[list[Image]] = [list(views(stored, layout, self.palette)) for stored, layout in frames]
        if len(frames) > 1 and all(len(images) == 1 for images in shown):  # more: bits that no viewer shows
            found = self.detector.find(over_time([images[0] for images in shown]))
            if all(is_allowed(box) for box in found):
                return [Finding(list(self.known), kept=len(found)) for _ in frames]
        return [self.search(stored, layout) for stored, layout in frames]

    def has_trace(self, stored: Array, layout: Layout) -> bool:
        """Tell whether a frame has anything like text, in its samples or in bits that no viewer shows."""
        if stored.ndim == 2:
            return hides_bits(stored, layout) or may_have_text(stored, turned=self.turned)
        if layout.photometric in AS_YBR:
            return may_have_text(stored[..., 0])
        red, green, blue = (stored[..., index].astype(np.uint16) for index in range(3))
        return may_have_text(red + 2 * green + blue)

    def black(self, stored: Array, layout: Layout) -> tuple[int, ...]:
        """Return what boxes of a frame are filled with."""
        return background(stored, layout, self.palette)


def plan(frames: Frames, inspector: Inspector) -> Plan:
    """Look at all frames.

    Parameters
    ----------
    frames
        They are read once or twice, and decoded one at a time.
    inspector
        Looks at them.

    Raises
    ------
    QuarantineError
        As `Inspector.look`.
    """
    digests = [hashlib.sha256(frames.read(index)).digest() for index in range(frames.count)]
    first = {digest: index for index, digest in reversed(list(enumerate(digests)))}
    different = sorted(first.values())
    findings: dict[bytes, Finding] = {}
    together = 1
    if len(different) >= _CINE and not inspector.prefilter and inspector.palette is None:
        inspector, together = _for_cine(frames, different, inspector), _TOGETHER
    waiting: dict[bytes, tuple[Array, Layout]] = {}
    for index in different:
        stored, layout = frames.decode(frames.read(index))
        if (finding := inspector.skip(stored, layout)) is not None:
            findings[digests[index]] = finding
        else:
            waiting[digests[index]] = stored, layout
        if len(waiting) == together or (waiting and index == different[-1]):
            found = inspector.search_together(list(waiting.values()))
            findings.update(zip(waiting, found, strict=True))
            waiting.clear()
    return Plan(digests, findings, layout)


def _for_cine(frames: Frames, different: list[int], inspector: Inspector) -> Inspector:
    """Return an inspector that knows where the text is that stays, or was once the brightest or darkest."""
    brightest, layout = frames.decode(frames.read(different[0]))
    darkest = brightest.copy()
    for index in different[1:]:
        stored, _ = frames.decode(frames.read(index))
        np.maximum(brightest, stored, out=brightest)
        np.minimum(darkest, stored, out=darkest)
    boxes = [*inspector.known]
    for projection in (darkest, brightest):
        boxes += Inspector(inspector.detector, None, known=boxes).look(projection, layout).boxes[len(boxes) :]
    return Inspector(inspector.detector, None, prefilter=True, turned=inspector.turned, known=boxes)


def _with_margin(box: TextBox, layout: Layout) -> TextBox:
    """Return a box with room for accents and descenders, and for a letter before and after the line."""
    height = min(box.bottom - box.top, box.right - box.left)
    upright = box.bottom - box.top == height
    above, beside = max(2, height // 5), max(3, height * 3 // 5)
    return box.grown(
        beside if upright else above,
        above if upright else beside,
        (layout.rows, layout.columns),
        layout.step,
    )
