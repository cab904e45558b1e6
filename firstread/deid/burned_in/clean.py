"""Find burned-in text in every frame of a file, blank it, and write the pixel data element anew.

Frames are looked at one by one, equal frames once. What was blanked is looked at again, until nothing is found or
the object is quarantined. Memory holds a few decoded frames, whatever the number of frames.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import IO

from pydicom.dataset import FileDataset
from pydicom.uid import UID

from firstread.deid.burned_in import codec, fragments
from firstread.deid.burned_in.allowed import is_allowed
from firstread.deid.burned_in.boxes import TextBox, TextDetector, merged
from firstread.deid.burned_in.describe import Description, described, transcoded_photometric
from firstread.deid.burned_in.layout import Array, Layout, Palette, background, blank
from firstread.deid.burned_in.native import NativeFrames
from firstread.deid.burned_in.prefilter import may_have_text
from firstread.deid.burned_in.views import views
from firstread.deid.gate import is_acquired
from firstread.dicom.reader import DicomFile, chunks
from firstread.errors import QuarantineError, Reason
from firstread.imaging.pixels import MAX_FRAME_PIXELS

_ROUNDS = 6  # looks at one frame; each blanked box may bring out what is fainter
_INTEGER_PIXELS = b"\xe0\x7f\x10\x00"
_LARGEST_ELEMENT = 2**32 - 1


@dataclass(frozen=True)
class CleanResult:
    """What was done to the pixels of one file; carries no recognised text.

    Parameters
    ----------
    frames
        Frames of the object.
    looked_at
        Different frames that the detector has looked at.
    skipped
        Different frames that the prefilter found to be without text.
    touched
        Frames with at least one blanked box.
    blanked, kept
        Boxes in all frames.
    description
        What changed in the header.
    """

    frames: int
    looked_at: int
    skipped: int
    touched: int
    blanked: int
    kept: int
    description: Description = field(repr=False)

    def update(self, dataset: FileDataset) -> None:
        """Make a header describe the pixel data that was written.

        Parameters
        ----------
        dataset
            The header that will stand before it; with its file meta information.
        """
        self.description.apply(dataset)


@dataclass
class _Finding:
    boxes: list[TextBox]
    kept: int = 0
    looked_at: bool = True


@dataclass
class _Plan:
    """Which boxes to blank: per different frame, and which frame is which."""

    digests: list[bytes] = field(default_factory=list)
    findings: dict[bytes, _Finding] = field(default_factory=dict)

    def boxes(self, index: int) -> list[TextBox]:
        return self.findings[self.digests[index]].boxes

    @property
    def is_empty(self) -> bool:
        return not any(finding.boxes for finding in self.findings.values())

    def result(self, description: Description) -> CleanResult:
        all_frames = [self.findings[digest] for digest in self.digests]
        looked_at = sum(finding.looked_at for finding in self.findings.values())
        return CleanResult(
            frames=len(all_frames),
            looked_at=looked_at,
            skipped=len(self.findings) - looked_at,
            touched=sum(bool(finding.boxes) for finding in all_frames),
            blanked=sum(len(finding.boxes) for finding in all_frames),
            kept=sum(finding.kept for finding in all_frames),
            description=description,
        )


def clean(
    file: DicomFile, target: IO[bytes], detector: TextDetector, *, prefilter: bool = False
) -> CleanResult:
    """Blank the burned-in text of a file.

    Parameters
    ----------
    file
        As `firstread.dicom.read` gave it. Its dataset is read, not changed; call this before it is de-identified.
    target
        Seekable binary file; receives the pixel data element, header of the element included, in place of the
        bytes of `file.pixels`.
    detector
        Finds the text.
    prefilter
        Do not show the detector frames without any trace of text. Heeded only for SOP classes whose pixels come
        from a detector, never for ultrasound, secondary capture and other screens.

    Returns
    -------
    CleanResult
        Counts, and `CleanResult.update` for the header.

    Raises
    ------
    QuarantineError
        With `Reason.MAY_CONTAIN_BURNED_IN_TEXT` if text is left, or the pixels cannot be looked at or written back
        without loss; `Reason.UNREADABLE` or `Reason.PIXELS_IMPLAUSIBLE` if frames are broken. `target` is
        worthless then.

    Examples
    --------
    >>> from io import BytesIO
    >>> from pydicom import examples
    >>> from firstread.dicom import read
    >>> class Blind:
    ...     def find(self, image):
    ...         return []
    >>> with open(examples.get_path("ct"), "rb") as source:
    ...     clean(read(source), BytesIO(), Blind())
    CleanResult(frames=1, looked_at=1, skipped=0, touched=0, blanked=0, kept=0)
    """
    layout = Layout.of(file.dataset)
    if layout.pixels > MAX_FRAME_PIXELS or not _is_integer(file):
        raise QuarantineError(Reason.MAY_CONTAIN_BURNED_IN_TEXT)
    palette = Palette.of(file.dataset) if layout.photometric == "PALETTE COLOR" else None
    inspector = _Inspector(detector, palette, prefilter and is_acquired(file.dataset))
    if file.pixels.length is not None:
        return _clean_native(file, target, inspector, layout)
    if not codec.can_decode(file.transfer_syntax):
        raise QuarantineError(Reason.MAY_CONTAIN_BURNED_IN_TEXT)
    return _clean_encapsulated(file, target, inspector, layout)


def _is_integer(file: DicomFile) -> bool:
    """Tell Pixel Data from Float and Double Float Pixel Data (PS3.3 C.7.6.24)."""
    file.source.seek(file.pixels.start)
    tag = file.source.read(4)
    return tag == _INTEGER_PIXELS or (
        not file.transfer_syntax.is_little_endian and tag == b"\x7f\xe0\x00\x10"
    )


@dataclass
class _Inspector:
    """Looks at decoded frames."""

    detector: TextDetector
    palette: Palette | None
    prefilter: bool

    def look(self, stored: Array, layout: Layout) -> _Finding:
        """Return the boxes to blank in a frame, which is changed: text is blanked and looked for again."""
        if self.prefilter and not may_have_text(stored):
            return _Finding([], looked_at=False)
        boxes: list[TextBox] = []
        black = self.black(stored, layout)
        for _ in range(_ROUNDS):
            found = merged(
                box for view in views(stored, layout, self.palette) for box in self.detector.find(view)
            )
            fresh = [_with_margin(box, layout) for box in found if not is_allowed(box)]
            if not fresh:
                return _Finding(boxes, kept=len(found))
            blank(stored, fresh, black)
            boxes += fresh
        raise QuarantineError(Reason.MAY_CONTAIN_BURNED_IN_TEXT)

    def black(self, stored: Array, layout: Layout) -> tuple[int, ...]:
        return background(stored, layout, self.palette)


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


def _clean_native(file: DicomFile, target: IO[bytes], inspector: _Inspector, layout: Layout) -> CleanResult:
    frames = NativeFrames.of(file, layout)
    plan = _Plan()
    for index in range(layout.frames):
        raw = frames.read(index)
        digest = _digest([raw])
        plan.digests.append(digest)
        if digest not in plan.findings:
            plan.findings[digest] = inspector.look(frames.decode(raw), layout)
    _copy(file, target, file.pixels.start, frames.start)
    for index in range(layout.frames):
        raw = frames.read(index)
        if boxes := plan.boxes(index):
            raw = frames.blanked(raw, boxes, inspector.black(frames.decode(raw), layout))
        target.write(raw)
    _copy(file, target, frames.start + layout.frames * frames.size, file.pixels.stop)
    return plan.result(Description())


def _clean_encapsulated(
    file: DicomFile, target: IO[bytes], inspector: _Inspector, layout: Layout
) -> CleanResult:
    groups = fragments.frames_of(file.source, file.pixels, file.dataset, layout.frames)
    plan = _Plan()
    decoded = layout
    for group in groups:
        parts = fragments.read_frame(file.source, group)
        digest = _digest(parts)
        plan.digests.append(digest)
        if digest not in plan.findings:
            stored, decoded = codec.decode(b"".join(parts), file.transfer_syntax, layout)
            plan.findings[digest] = inspector.look(stored, decoded)
    if plan.is_empty:
        _copy(file, target, file.pixels.start, file.pixels.stop)
        return plan.result(Description())
    syntax = file.transfer_syntax if file.transfer_syntax in codec.REENCODED else codec.TRANSCODED
    writer = _Writer(file, inspector, layout, syntax)
    extended = "ExtendedOffsetTable" in file.dataset or layout.frames * layout.frame_bytes > _LARGEST_ELEMENT
    offsets = fragments.write(target, writer.frames(groups, plan), layout.frames, extended=extended)
    compressed = sum(fragment.length for group in groups for fragment in group)
    description = described(file, layout, decoded, syntax, compressed)
    return plan.result(replace(description, offsets=offsets if extended else None))


@dataclass(frozen=True)
class _Writer:
    """Encodes the frames that need it."""

    file: DicomFile
    inspector: _Inspector
    layout: Layout
    syntax: UID

    def frames(self, groups: list[list[fragments.Fragment]], plan: _Plan) -> Iterator[list[bytes]]:
        whole = self.syntax != self.file.transfer_syntax
        for index, group in enumerate(groups):
            parts = fragments.read_frame(self.file.source, group)
            boxes = plan.boxes(index)
            yield [self._encoded(b"".join(parts), boxes)] if boxes or whole else parts

    def _encoded(self, code: bytes, boxes: list[TextBox]) -> bytes:
        stored, layout = codec.decode(code, self.file.transfer_syntax, self.layout)
        if boxes:
            blank(stored, boxes, self.inspector.black(stored, layout))
        original = self.layout
        if self.syntax != self.file.transfer_syntax:
            original = replace(layout, photometric=transcoded_photometric(layout))
        return codec.encode(stored, codec.REENCODED[self.syntax], layout, original)


def _digest(parts: list[bytes]) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.digest()


def _copy(file: DicomFile, target: IO[bytes], start: int, stop: int) -> None:
    for chunk in chunks(file.source, start, stop):
        target.write(chunk)
