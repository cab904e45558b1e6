"""Identifiers in text that must otherwise survive."""

import random

from tests.exam.key import Action
from tests.exam.people import Patient
from tests.exam.planter import Place
from tests.exam.spellings import Spelling, everything

FACTS = (
    "6 mm nodule",
    "AX THIN",
    "T2 FLAIR",
    "CHEST PA",
    "CORONARY STENT 0.6",
    "White matter lesion",
    "LONG AXIS VIEW",
    "HEAD W/O CONTRAST",
    "May repeat scan",
    "HAND 3 VIEWS",
    "T10-T12 SAG",
    "L4-L5 disc",
    "TE 90/TR 4000",
    "b=1000 ADC",
    "1.25x1.25x5",
    "BI-RADS 4",
    "ICD C34.1",
    "BP 120/80 mmHg",
    "350 mgI/mL",
    "FOV 320 3/4 views",
    "2 of 3, 5/10 mm",
    "SUV 4.5 at 60 min",
    "Summer protocol 12-lead",
    "follow-up 3 months",
    "pre/post 0.1 mmol/kg",
    "C+ ABD/PEL 5.0 B30f",
    "ROI 12.5 cm2, HU 35",
    "64x0.625 mm pitch 1.375",
    "axial recon 512 x 512",
    "dose 12.34 mGy*cm",
)
# Attributes that Clean Descriptors keeps, with the length their VR allows.
_CARRIERS = (
    ("StudyDescription", 64),
    ("SeriesDescription", 64),
    ("ProtocolName", 64),
    ("ImageComments", 900),
    ("AdditionalPatientHistory", 900),
    ("RequestedProcedureDescription", 64),
    ("PerformedProcedureStepDescription", 64),
    ("ReasonForTheRequestedProcedure", 64),
    ("AdmittingDiagnosesDescription", 64),
    ("DerivationDescription", 900),
    ("AcquisitionProtocolDescription", 900),
    ("StudyComments", 900),
    ("PatientComments", 900),
    ("RequestedProcedureComments", 900),
    ("CommentsOnThePerformedProcedureStep", 900),
    ("ReasonForStudy", 64),
    ("AcquisitionDeviceProcessingDescription", 64),
)
# Text that no row of Table E.1-1 names.
_BEYOND = (
    ("ScanOptions", "CS"),
    ("AcquisitionDeviceProcessingCode", "LO"),
    ("FilterType", "SH"),
    ("SequenceName", "SH"),
    ("ConvolutionKernel", "SH"),
    ("ContrastBolusIngredient", "CS"),
    ("WindowCenterWidthExplanation", "LO"),
    ("ImageFilter", "SH"),
    ("ReceiveCoilName", "SH"),
    ("DocumentTitle", "ST"),
    ("TextValue", "UT"),
    ("PixelSpacingCalibrationDescription", "LO"),
    ("LUTExplanation", "LO"),
)
_TEMPLATES = (
    "{fact} {planted}",
    "{planted} {fact}",
    "{planted}; {fact}",
    "{fact}, {planted}",
    "{fact} ({planted})",
)


class FreeText:
    """Deals out the spellings of a patient's identifiers, every one in turn."""

    def __init__(self, patient: Patient, study: int, rng: random.Random) -> None:
        self._rng = rng
        self._all = everything(patient, study)
        self._deck: list[Spelling] = []

    def draw(self, longest: int = 900, *, ascii_only: bool = False) -> Spelling:
        """Return the next spelling that fits."""
        for _ in range(2):
            for index, spelling in enumerate(self._deck):
                if len(spelling.text) <= longest and (spelling.text.isascii() or not ascii_only):
                    return self._deck.pop(index)
            self._deck = self._rng.sample(self._all, len(self._all))
        raise ValueError(longest)

    def plant(self, place: Place, count: int) -> None:
        """Plant into descriptors, beside facts."""
        carriers = self._rng.sample(_CARRIERS, min(count, len(_CARRIERS)))
        for keyword, longest in carriers:
            fact = self._rng.choice(FACTS)
            spelling = self.draw(longest - len(fact) - 4)
            text = self._rng.choice(_TEMPLATES).format(fact=fact, planted=spelling.text)
            place.mixed(keyword, fact, text, spelling.fragments, f"free text: {spelling.kind}")

    def plain_facts(self, place: Place) -> None:
        """Plant descriptors that hold nothing but facts."""
        left = [keyword for keyword, _ in _CARRIERS if keyword not in place.item]
        for keyword in left[:6]:
            place.fact(keyword, self._rng.choice(FACTS), "descriptor")

    def beyond_the_table(self, place: Place, count: int) -> None:
        """Plant into text that Table E.1-1 has no row for."""
        for keyword, vr in self._rng.sample(_BEYOND, count):
            spelling = self.draw(16 if vr in ("SH", "CS") else 60, ascii_only=vr == "CS")
            text = spelling.text.upper() if vr == "CS" else spelling.text
            place.hide(keyword, text, spelling.fragments, f"no row, {vr}: {spelling.kind}", answer="")
            questions = place.key.questions
            path = place.path(keyword)
            # A fact may have been asked of the attribute before: it has another value now.
            questions[:] = [
                question
                for question in questions
                if question.path != path or question.action is not Action.TEXT_RETAINED
            ]
