"""What all DICOM objects of a result share: their series, the device that made them, and the same bytes each time."""

import logging
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Any

from highdicom import AlgorithmIdentificationSequence
from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr.coding import CodedConcept
from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite
from pydicom.sr.codedict import codes

from firstread.dicom.reader import quiet
from firstread.result import Code, ObjectKind
from model_service.manifest import CodedConcept as ManifestCode
from model_service.objects.identity import named, uid
from model_service.objects.said import DICOM, Said, Written

# It logs patients' names that look unusual to it.
logging.getLogger("highdicom").addHandler(logging.NullHandler())
logging.getLogger("highdicom").propagate = False

MANUFACTURER = "FirstRead"
RESEARCH_USE = "Research use only"
SCHEME = "99FIRSTREAD"
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
        self._settle(dataset)
        buffer = BytesIO()
        with quiet():  # what the sources bring along is theirs
            dcmwrite(buffer, dataset, enforce_file_format=True)
        return Written(
            kind=self.kind,
            content=buffer.getvalue(),
            content_type=DICOM,
            sop_class_uid=str(dataset.SOPClassUID),
            sop_uid=self.sop_uid,
            series_uid=self.series_uid,
        )

    def _settle(self, dataset: Dataset) -> None:
        moment = self.said.moment
        for prefix in ("InstanceCreation", "Content", "PresentationCreation"):
            if f"{prefix}Date" in dataset:
                setattr(dataset, f"{prefix}Date", moment.strftime("%Y%m%d"))
                setattr(dataset, f"{prefix}Time", time_text(moment))
        for item in dataset.get("ContributingEquipmentSequence") or []:
            if item.get("ManufacturerModelName") == "highdicom":
                item.ContributionDateTime = moment.strftime("%Y%m%d") + time_text(moment)
        organization = uid(self.said, "dimensions", self.kind.value, self.number)
        for name in ("DimensionOrganizationSequence", "DimensionIndexSequence"):
            for item in dataset.get(name) or []:
                item.DimensionOrganizationUID = organization


def time_text(moment: datetime) -> str:
    """Return the time of day as a TM (PS3.5 6.2)."""
    return moment.strftime("%H%M%S.%f")


def description(said: Said, kind: ObjectKind) -> str:
    """Return the Series Description of a kind."""
    return f"{RESEARCH_USE}: AI {_WHAT[kind]}, {said.manifest.name} {said.manifest.version}"[:_LONG]


def coded(code: Code | ManifestCode) -> CodedConcept:
    """Return a code as highdicom has it."""
    return CodedConcept(value=code.value, scheme_designator=code.scheme, meaning=code.meaning)


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


def own_codes() -> CodingSchemeIdentificationItem:
    """Return what the designator of our own codes stands for (PS3.3 C.12.1.1.8)."""
    return CodingSchemeIdentificationItem(
        designator=SCHEME, name="Codes of FirstRead", responsible_organization=MANUFACTURER
    )
