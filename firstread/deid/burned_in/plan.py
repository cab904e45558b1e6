"""Which boxes of which frames are to be blanked: every different frame is looked at, equal frames once.

A cine shows the same text on all of its frames. The detector therefore looks at what was brightest and darkest at
every pixel over time, where moving anatomy does not disturb it, and those boxes are blanked in every frame; a frame
in which the cheap look then still finds anything like text is shown to the detector by itself.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from firstread.deid.burned_in.allowed import is_allowed
from firstread.deid.burned_in.boxes import TextBox, TextDetector, merged
from firstread.deid.burned_in.layout import AS_YBR, Array, Layout, Palette, background, blank, hides_bits
from firstread.deid.burned_in.prefilter import may_have_text
from firstread.deid.burned_in.views import views
from firstread.errors import QuarantineError, Reason

_ROUNDS = 6  # looks at one frame; each blanked box may bring out what is fainter
_CINE = 5  # different frames


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
        Whether the detector has seen the frame itself.
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
        black = self.black(stored, layout)
        boxes = list(self.known)
        blank(stored, boxes, black)
        if self.prefilter and not self.has_trace(stored, layout):
            return Finding(boxes, looked_at=False)
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
    if len(different) >= _CINE and not inspector.prefilter and inspector.palette is None:
        inspector = _for_cine(frames, different, inspector)
    for index in different:
        stored, layout = frames.decode(frames.read(index))
        findings[digests[index]] = inspector.look(stored, layout)
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
