"""Rejection notes: Key Object Selection documents that withdraw instances (IHE RAD TF-1 26, IOCM; PS3.16 CID 7011)."""

from pydicom.dataset import Dataset
from pydicom.uid import KeyObjectSelectionDocumentStorage

from firstread.dicom.metadata import text
from firstread.errors import QuarantineError, Reason
from firstread.study import mark_of

_MOST = 10_000

REJECTION_TITLES = frozenset({"113001", "113037", "113038", "113039"})
"""Rejected for quality, for patient safety, incorrect modality worklist entry, data retention policy expired."""


def rejected(dataset: Dataset) -> tuple[str, ...]:
    """Return what an object withdraws from its own study, as marks of instances; empty where it is no rejection note.

    Parameters
    ----------
    dataset
        De-identified, so that the references are pseudonymous like the instances they mean.

    Raises
    ------
    QuarantineError
        If it withdraws more than a record can hold.
    """
    if text(dataset, "SOPClassUID") != KeyObjectSelectionDocumentStorage:
        return ()
    titles = dataset.get("ConceptNameCodeSequence") or ()
    if not any(
        text(t, "CodeValue") in REJECTION_TITLES and text(t, "CodingSchemeDesignator") == "DCM"
        for t in titles
    ):
        return ()
    study_uid = text(dataset, "StudyInstanceUID")
    marks = tuple(
        sorted(
            {
                mark_of(text(instance, "ReferencedSOPInstanceUID"))
                for study in dataset.get("CurrentRequestedProcedureEvidenceSequence") or ()
                if text(study, "StudyInstanceUID") == study_uid
                for series in study.get("ReferencedSeriesSequence") or ()
                for instance in series.get("ReferencedSOPSequence") or ()
            }
        )
    )
    if len(marks) > _MOST:
        raise QuarantineError(Reason.TOO_MANY_ELEMENTS)
    return marks
