"""Find burned-in text in every frame of a file, blank it, and write the pixel data element anew.

Frames are looked at one by one, equal frames once. What was blanked is looked at again, until nothing is found or
the object is quarantined. Memory holds a few decoded frames, whatever the number of frames.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import IO

from pydicom.dataset import FileDataset
from pydicom.uid import UID

from firstread.deid.burned_in import codec, encapsulated, fragments
from firstread.deid.burned_in.boxes import TextBox, TextDetector
from firstread.deid.burned_in.code_streams import without_text
from firstread.deid.burned_in.describe import Description, described, transcoded_photometric
from firstread.deid.burned_in.layout import Array, Layout, Palette, blank
from firstread.deid.burned_in.native import NativeFrames
from firstread.deid.burned_in.plan import Inspector, Plan, plan
from firstread.deid.gate import is_acquired, is_projection
from firstread.dicom.reader import DicomFile
from firstread.dicom.spans import copy_span
from firstread.errors import QuarantineError, Reason
from firstread.imaging.pixels import MAX_FRAME_PIXELS

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
        Different frames in which the cheap look found no text outside of what is blanked.
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

    @property
    def checked(self) -> bool:
        """Whether every frame was looked at, by the detector or by the prefilter: Burned In Annotation may say NO."""
        return self.looked_at + self.skipped > 0

    def update(self, dataset: FileDataset) -> None:
        """Make a header describe the pixel data that was written.

        Parameters
        ----------
        dataset
            The header that will stand before it; with its file meta information.
        """
        self.description.apply(dataset)


def clean(
    file: DicomFile,
    target: IO[bytes],
    detector: TextDetector,
    *,
    prefilter: bool = False,
    known: Sequence[TextBox] = (),
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
    known
        Boxes that are blanked in every frame, whatever is in them; see `known_devices.boxes_to_blank`.

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
    if layout.pixels > MAX_FRAME_PIXELS or not NativeFrames.has_integers(file):
        raise QuarantineError(Reason.MAY_CONTAIN_BURNED_IN_TEXT)
    palette = Palette.of(file.dataset) if layout.photometric == "PALETTE COLOR" else None
    inspector = Inspector(
        detector,
        palette,
        prefilter=prefilter and is_acquired(file.dataset),
        turned=is_projection(file.dataset),
        known=[_inside(box, layout) for box in known],
    )
    if file.pixels.length is not None:
        return _clean_native(file, target, inspector, layout)
    if not codec.can_decode(file.transfer_syntax):
        raise QuarantineError(Reason.MAY_CONTAIN_BURNED_IN_TEXT)
    return _clean_encapsulated(file, target, inspector, layout)


def _inside(box: TextBox, layout: Layout) -> TextBox:
    return box.grown(0, 0, (layout.rows, layout.columns), layout.step)


def _result(found: Plan, description: Description) -> CleanResult:
    all_frames = [found.findings[digest] for digest in found.digests]
    looked_at = sum(finding.looked_at for finding in found.findings.values())
    return CleanResult(
        frames=len(all_frames),
        looked_at=looked_at,
        skipped=len(found.findings) - looked_at,
        touched=sum(bool(finding.boxes) for finding in all_frames),
        blanked=sum(len(finding.boxes) for finding in all_frames),
        kept=sum(finding.kept for finding in all_frames),
        description=description,
    )


@dataclass(frozen=True)
class _Native:
    native: NativeFrames
    layout: Layout

    @property
    def count(self) -> int:
        return self.layout.frames

    def read(self, index: int) -> bytes:
        return self.native.shown(self.native.read(index))

    def decode(self, raw: bytes) -> tuple[Array, Layout]:
        return self.native.decode(raw), self.layout


def _clean_native(file: DicomFile, target: IO[bytes], inspector: Inspector, layout: Layout) -> CleanResult:
    frames = NativeFrames.of(file, layout)
    source = _Native(frames, layout)
    found = plan(source, inspector)
    _copy(file, target, file.pixels.start, frames.start)
    for index in range(layout.frames):
        raw = source.read(index)
        if boxes := found.boxes(index):
            raw = frames.blanked(raw, boxes, inspector.black(frames.decode(raw), layout))
        target.write(raw)
    target.write(bytes(file.pixels.stop - frames.start - layout.frames * frames.size))
    return _result(found, Description())


@dataclass(frozen=True)
class _Encapsulated:
    file: DicomFile
    layout: Layout
    groups: list[list[fragments.Fragment]]

    @property
    def count(self) -> int:
        return len(self.groups)

    def read(self, index: int) -> bytes:
        return b"".join(fragments.read_frame(self.file.source, self.groups[index]))

    def decode(self, raw: bytes) -> tuple[Array, Layout]:
        return codec.decode(raw, self.file.transfer_syntax, self.layout)


def _clean_encapsulated(
    file: DicomFile, target: IO[bytes], inspector: Inspector, layout: Layout
) -> CleanResult:
    groups = fragments.frames_of(file.source, file.pixels, file.dataset, layout.frames)
    frames = _Encapsulated(file, layout, groups)
    found = plan(frames, inspector)
    if found.is_empty:
        encapsulated.copy(file, target)
        return _result(found, Description(encoded=True))
    syntax = file.transfer_syntax if file.transfer_syntax in codec.REENCODED else codec.TRANSCODED
    writer = _Writer(frames, inspector, layout, syntax)
    extended = "ExtendedOffsetTable" in file.dataset or layout.frames * layout.frame_bytes > _LARGEST_ELEMENT
    offsets = fragments.write(target, writer.frames(found), layout.frames, extended=extended)
    compressed = sum(fragment.length for group in groups for fragment in group)
    description = described(file, layout, found.decoded, syntax, compressed)
    return _result(found, replace(description, offsets=offsets if extended else None))


@dataclass(frozen=True)
class _Writer:
    """Encodes the frames that need it; the others lose nothing but what is no pixel."""

    source: _Encapsulated
    inspector: Inspector
    layout: Layout
    syntax: UID

    def frames(self, found: Plan) -> Iterator[list[bytes]]:
        before = self.source.file.transfer_syntax
        for index in range(self.source.count):
            raw, boxes = self.source.read(index), found.boxes(index)
            if boxes or self.syntax != before:
                yield [self._encoded(raw, boxes)]
            else:
                yield [without_text(raw, before, self.layout.pixels)]

    def _encoded(self, code: bytes, boxes: list[TextBox]) -> bytes:
        stored, layout = self.source.decode(code)
        if boxes:
            blank(stored, boxes, self.inspector.black(stored, layout))
        original = self.layout
        if self.syntax != self.source.file.transfer_syntax:
            original = replace(layout, photometric=transcoded_photometric(layout))
        return codec.encode(stored, codec.REENCODED[self.syntax], layout, original)


def _copy(file: DicomFile, target: IO[bytes], start: int, stop: int) -> None:
    copy_span(file.source, start, stop, target)
