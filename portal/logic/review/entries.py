"""What a reader sends of their review, checked against what there is to be said."""

import re
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from firstread.result import Code
from firstread.review import MAX_MEASUREMENTS, MAX_TEXT, DrawnRegion, Rejection, ReviewedFinding, Verdict
from firstread.vocabulary import Vocabulary
from portal.errors import RefusedError
from portal.logic.review.findings import Proposed
from portal.logic.review.images import StudyImages
from portal.logic.review.measuring import MeasurementEntry

_OWN_UID = re.compile(r"2\.25\.(0|[1-9][0-9]{0,38})")  # PS3.5 B.2


def _no_truth(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("true is no number")  # to pydantic it would be 1, and the first review of a study
    return value


Whole = Annotated[int, BeforeValidator(_no_truth)]
"""A whole number, from JSON or a query."""


class ChosenCode(BaseModel):
    """A code of the vocabulary (`GET /api/vocabulary`); its meaning is that of the vocabulary."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: str = Field(max_length=64)
    scheme: str = Field(max_length=16)


class Entry(BaseModel):
    """What a reader says of one finding.

    Parameters
    ----------
    finding_id
        Of a finding of a model; or a new UID (``2.25.`` and a UUID as a number) for what was missed.
    verdict
        None while undecided.
    code, site
        Needed for what was missed; for a modified finding, where they differ from what the model said.
    rejection
        Needed for a rejected finding.
    regions
        Where it is; of a missed or modified finding.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    finding_id: str = Field(pattern=r"^[0-9.]{1,64}$")
    verdict: Verdict | None = None
    code: ChosenCode | None = None
    site: ChosenCode | None = None
    rejection: Rejection | None = None
    regions: tuple[DrawnRegion, ...] = Field((), max_length=512)
    note: str = Field("", max_length=500)


class Entries(BaseModel):
    """All that a reader says of a study.

    Parameters
    ----------
    number, revision
        The review that was changed, as it was when it was changed; 0 and 0 for a new one.
    version
        The study version that the reader looked at.
    amends
        The signed review that it adds to; 0 for none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: Whole = Field(0, ge=0)
    revision: Whole = Field(0, ge=0)
    version: Whole = Field(ge=0)
    amends: Whole = Field(0, ge=0)
    findings: tuple[Entry, ...] = Field((), max_length=200)
    measurements: tuple[MeasurementEntry, ...] = Field((), max_length=MAX_MEASUREMENTS)
    impression: str = Field("", max_length=MAX_TEXT)


class Checker:
    """Makes what is recorded of what was sent.

    Parameters
    ----------
    known
        The findings of models, by id.
    words
        What may be chosen.
    images
        Those of the study.
    """

    def __init__(
        self,
        known: Mapping[str, Proposed],
        words: Vocabulary,
        images: StudyImages,
    ) -> None:
        self._known = known
        self._words = words
        self._images = images

    def checked(self, entries: Sequence[Entry]) -> tuple[ReviewedFinding, ...]:
        """Return the findings of a review.

        Raises
        ------
        RefusedError
            If something does not hold together; the text says which entry, and no value of it.
        """
        names = [each.finding_id for each in entries]
        if len(set(names)) != len(names):
            raise RefusedError("a finding is there twice")
        return tuple(self._one(each, f"finding {index}") for index, each in enumerate(entries, start=1))

    def _one(self, entry: Entry, where: str) -> ReviewedFinding:
        for region in entry.regions:
            points = chain(region.outline, *region.holes)
            self._images.holding(region, points, f"{where}: a region")
        known = self._known.get(entry.finding_id)
        if known is None:
            return self._missed(entry, where)
        return self._judged(entry, known, where)

    def _missed(self, entry: Entry, where: str) -> ReviewedFinding:
        if not _OWN_UID.fullmatch(entry.finding_id):
            raise RefusedError(f"{where}: no finding of this study")
        if entry.verdict is not Verdict.MISSED or entry.rejection is not None:
            raise RefusedError(f"{where}: no model found it, so it is one that was missed")
        if entry.code is None:
            raise RefusedError(f"{where}: it has no code")
        return ReviewedFinding(
            finding_id=entry.finding_id,
            verdict=Verdict.MISSED,
            code=self._finding(entry.code, where),
            site=self._site(entry.site, where) if entry.site else None,
            regions=entry.regions,
            note=entry.note,
        )

    def _judged(self, entry: Entry, known: Proposed, where: str) -> ReviewedFinding:
        if entry.verdict is Verdict.MISSED:
            raise RefusedError(f"{where}: a model found it")
        if (entry.verdict is Verdict.REJECTED) != (entry.rejection is not None):
            raise RefusedError(f"{where}: a rejection and its reason belong together")
        said = known.finding
        code, site = said.code, said.site
        if entry.verdict is Verdict.MODIFIED:
            code = self._finding(entry.code, where, said.code) if entry.code else code
            site = self._site(entry.site, where, said.site) if entry.site else site
            if (code, site) == (said.code, said.site) and not entry.regions:
                raise RefusedError(f"{where}: nothing is modified")
        elif entry.regions or _differs(entry.code, said.code) or _differs(entry.site, said.site):
            raise RefusedError(f"{where}: only a modified finding differs from what the model said")
        return ReviewedFinding(
            finding_id=entry.finding_id,
            result_id=known.result.result_id,
            label=said.label,
            verdict=entry.verdict,
            code=code,
            site=site,
            rejection=entry.rejection,
            regions=entry.regions,
            note=entry.note,
        )

    def _finding(self, chosen: ChosenCode, where: str, said: Code | None = None) -> Code:
        if said is not None and not _differs(chosen, said):
            return said
        code = self._words.finding(chosen.value, chosen.scheme)
        if code is None:
            raise RefusedError(f"{where}: its code is not in the vocabulary")
        return code

    def _site(self, chosen: ChosenCode, where: str, said: Code | None = None) -> Code:
        if said is not None and not _differs(chosen, said):
            return said
        code = self._words.site(chosen.value, chosen.scheme)
        if code is None:
            raise RefusedError(f"{where}: its site is not in the vocabulary")
        return code


def _differs(chosen: ChosenCode | None, said: Code | None) -> bool:
    if chosen is None:
        return False
    return said is None or (chosen.value, chosen.scheme) != (said.value, said.scheme)
