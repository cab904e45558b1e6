"""What all DICOM objects of a result share: their series, the device that made them, and the same bytes each time."""

from dataclasses import dataclass
from typing import Any

from highdicom import AlgorithmIdentificationSequence
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from firstread.objects.identity import named
from firstread.objects.written import MANUFACTURER, RESEARCH_USE, Written, dicom_file
from firstread.result import ObjectKind
from model_service.objects.identity import uid
from model_service.objects.said import Said

_LONG = 64  # characters of an LO
_FIRST_NUMBER = 9001  # no scanner counts its series that far
_WHAT = {
    ObjectKind.SEGMENTATION: "segmentation",
    ObjectKind.STRUCTURED_REPORT: "measurements",
    ObjectKind.PRESENTATION_STATE: "attribution outline",
    ObjectKind.PARAMETRIC_MAP: "attribution map",
    ObjectKind.ENCAPSULATED_PDF: "report",
}
AI = codes.DCM.ArtificialIntelligence


@dataclass(frozen=True)
class Place:
    """Where an object goes: the series of its kind, and its number there.

    Parameters
    ----------
    said, kind
        What the series is for.
    number
        Instance Number, 1 first.
    """

    said: Said
    kind: ObjectKind
    number: int = 1

    @property
    def series_uid(self) -> str:
        """Return the Series Instance UID."""
        return uid(self.said, "series", self.kind.value)

    @property
    def sop_uid(self) -> str:
        """Return the SOP Instance UID."""
        return uid(self.said, "instance", self.kind.value, self.number)

    @property
    def arguments(self) -> dict[str, Any]:
        """Return what the constructors of highdicom take for it."""
        return {
            "series_instance_uid": self.series_uid,
            "series_number": _FIRST_NUMBER + list(_WHAT).index(self.kind),
            "sop_instance_uid": self.sop_uid,
            "instance_number": self.number,
            "series_description": description(self.said, self.kind),
            "manufacturer": MANUFACTURER,
            "manufacturer_model_name": self.said.manifest.name[:_LONG],
            "software_versions": self.said.manifest.version,
            "device_serial_number": self.said.bundle_sha256[:_LONG],
        }

    def written(self, dataset: Dataset) -> Written:
        """Return an object as a file, its dates and generated UIDs replaced by those of the result."""
        dimensions = uid(self.said, "dimensions", self.kind.value, self.number)
        return dicom_file(self.kind, dataset, self.said.moment, dimensions)


def description(said: Said, kind: ObjectKind) -> str:
    """Return the Series Description of a kind."""
    return f"{RESEARCH_USE}: AI {_WHAT[kind]}, {said.manifest.name} {said.manifest.version}"[:_LONG]


def algorithm(said: Said) -> AlgorithmIdentificationSequence:
    """Return the Algorithm Identification Macro (PS3.3 10.16) of a model version."""
    return AlgorithmIdentificationSequence(
        name=said.manifest.name[:_LONG],
        family=AI,
        version=said.manifest.version,
        source=MANUFACTURER,
        parameters=parameters(said),
    )


def parameters(said: Said) -> dict[str, str]:
    """Return what, beside name and version, decides what a model says."""
    return {"bundle_sha256": said.bundle_sha256, "engine": said.engine, "precision": said.precision}


def device_uid(said: Said) -> str:
    """Return the UID of a bundle as a device: the same for all studies."""
    return named("device", said.manifest.model_id, said.bundle_sha256)
