"""An object that may carry burned-in text -> a de-identified instance with that text blanked, or held."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from time import monotonic

from firstread.deid.burned_in import TextBox, TextDetector
from firstread.deid.burned_in.boxes import Image
from firstread.deid.engine import understood
from firstread.deid.process import IN_MEMORY_BYTES, look_at_pixels
from firstread.errors import QuarantineError, Reason
from firstread.intake.arrived import Arrived
from firstread.intake.step import Intake
from firstread.messages import CleanPixelsRequest
from firstread.receipt import Receipt


@dataclass(frozen=True)
class CleanPixels:
    """The step `clean_pixels`.

    Parameters
    ----------
    intake
        Takes objects to their outcome.
    detector
        Finds text in pixels.
    clock
        Seconds that only grow.
    """

    intake: Intake
    detector: TextDetector
    clock: Callable[[], float] = monotonic

    def object(self, request: CleanPixelsRequest, seconds: float) -> Receipt | None:
        """Take one object to its outcome; see `Intake.object`.

        Parameters
        ----------
        request
            Names the object.
        seconds
            How long its pixels may be looked at. What takes longer is held: a function that is stopped in the middle
            would be asked again, and stopped again.
        """
        detector = _Punctual(self.detector, self.clock, self.clock() + seconds)

        def work(arrived: Arrived) -> Receipt | None:
            return self.intake.known(arrived) or self._cleaned(arrived, detector)

        return self.intake.object(request.object_key, request.version_id, request.received_at, work)

    def _cleaned(self, arrived: Arrived, detector: TextDetector) -> Receipt | None:
        with SpooledTemporaryFile(max_size=IN_MEMORY_BYTES) as pixels:
            try:
                with understood():
                    looked = look_at_pixels(arrived.file, pixels, self.intake.rules, detector)
            except QuarantineError as error:
                # The header is understood: its facts show the study, and what of it is held.
                return self.intake.hold(arrived, error.reason)
            return self.intake.pass_on(arrived, looked, pixels)


@dataclass(frozen=True)
class _Punctual:
    """A detector that stops when its time is over."""

    detector: TextDetector
    clock: Callable[[], float]
    deadline: float

    def find(self, image: Image) -> Sequence[TextBox]:
        if self.clock() > self.deadline:
            raise QuarantineError(Reason.PIXELS_TAKE_TOO_LONG)
        return self.detector.find(image)
