"""All objects of a result, from what a model said."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from firstread.dicom.silence import quiet
from firstread.handling import describe as named_error
from firstread.imaging.pixels import PixelError
from firstread.objects.sources import Sources
from firstread.objects.written import Written
from firstread.study import Risk
from model_service.findings import Telling, Told, tell
from model_service.log import logger
from model_service.objects import measurements
from model_service.objects.maps import maps
from model_service.objects.page import page
from model_service.objects.pdf import pdf
from model_service.objects.pictures import Pictures, overlay
from model_service.objects.said import Described, Remark, Said
from model_service.objects.segmentation import SegmentationFile, segmentation
from model_service.objects.web import web

T = TypeVar("T")


def describe(said: Said) -> Described:
    """Make the findings and all objects of a result.

    Parameters
    ----------
    said
        The predictions of one model for one study version.

    Returns
    -------
    Described
        The same for the same `said`, byte for byte. An object that cannot be made of these sources is missing from
        it, and a remark names it: a header that a library does not understand must not cost the reader the findings.
    """
    return _Description(said).described()


class _Description:
    def __init__(self, said: Said) -> None:
        self.said = said
        self.sources = Sources(said.sources, said.volume.spacing_mm[0] if said.volume else None)
        self.pictures = Pictures(self.sources)
        self.telling: Telling = tell(said, self.sources)
        self.remarks: list[Remark] = list(self.telling.remarks)
        self.parts: list[Written] = []

    def described(self) -> Described:
        if not self.telling.told:
            return Described()
        layers = [overlay(each, self.sources.of(each.frame).size) for each in self.telling.told]
        self.parts.extend(layer for layer in layers if layer is not None)
        self._thumbnail(layers)
        self._report(self._segmentations())
        drawn = self._made(Remark.MAP_NOT_WRITTEN, partial(maps, self.said, self.telling.told, self.sources))
        self.parts.extend(drawn or [])
        self._page(layers)
        findings = tuple(
            each.finding.model_copy(update={"overlay_key": layer.key(self.said.study_uid) if layer else ""})
            for each, layer in zip(self.telling.told, layers, strict=True)
        )
        unique = {part.sha256: part for part in self.parts}
        return Described(
            findings, tuple(unique.values()), tuple(dict.fromkeys(each.value for each in self.remarks))
        )

    def _thumbnail(self, layers: list[Written | None]) -> None:
        told = self.telling.told
        first = min(range(len(told)), key=lambda number: _rank(told[number]))
        try:
            self.parts.append(self.pictures.thumbnail(told[first].frame, layers[first]))
        except PixelError:
            self.remarks.append(Remark.IMAGE_NOT_RENDERED)

    def _segmentations(self) -> list[SegmentationFile]:
        found = []
        for number, stack in enumerate(
            (each for each in self.telling.stacks if each.has_segmentation), start=1
        ):
            made = self._made(
                Remark.SEGMENTATION_NOT_WRITTEN,
                partial(segmentation, self.said, stack, self.telling.told, number),
            )
            if made is not None:
                found.append(made)
                self.parts.append(made.written)
        return found

    def _report(self, segmentations: list[SegmentationFile]) -> None:
        reported = self._made(
            Remark.REPORT_NOT_WRITTEN,
            partial(measurements.report, self.said, self.telling.told, self.sources, segmentations),
        )
        if reported is None:
            return
        self.parts.append(reported.written)
        if reported.left_out_scores:
            self.remarks.append(Remark.SCORES_LEFT_OUT)
        if reported.left_out_regions:
            self.remarks.append(Remark.REGIONS_LEFT_OUT)

    def _page(self, layers: list[Written | None]) -> None:
        # Last, so that it can tell what could not be made.
        told = page(self.said, self.telling.told, layers, self.sources, self.pictures, self.remarks)
        if (
            written := self._made(Remark.PDF_NOT_WRITTEN, partial(pdf, self.said, told, self.sources))
        ) is not None:
            self.parts.append(written)
        self.parts.append(web(told))

    def _made(self, remark: Remark, make: Callable[[], T]) -> T | None:
        try:
            with quiet():  # what is odd in the sources' values is not to be logged
                return make()
        except Exception as error:
            # What highdicom raises of an odd header depends on the header, and quotes it.
            logger.error("object not written", extra={"remark": remark.value, **named_error(error)})
            self.remarks.append(remark)
            return None


def _rank(told: Told) -> tuple[int, float]:
    risk = told.finding.risk or Risk.UNKNOWN
    return risk.order, -(told.finding.probability or 0.0)
