"""QIDO-RS (PS3.18 10.6): which studies, series and instances match, of those that are for the reader."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from firstread.dicomweb.dicom_json import Json
from firstread.dicomweb.held import Held, by_series
from firstread.policy import Action, Actor, Resource, can
from firstread.records.orders import OrderRepository
from firstread.records.study_index import StudyIndex
from firstread.refs import References
from firstread.study import Study
from portal.errors import NotAllowedError
from portal.logic.dicomweb.attributes import (
    Headers,
    instance_row,
    modality_of,
    number_of,
    series_row,
    study_row,
)
from portal.logic.dicomweb.documents import Documents
from portal.logic.dicomweb.errors import BadQueryError
from portal.logic.dicomweb.objects import ObjectLists
from portal.logic.dicomweb.query import DEFAULT_STUDIES, MAX_OFFSET, MAX_STUDIES, Query
from portal.logic.records import Records, resources_for

MAX_EXAMINED = 6000
"""Most studies that one search looks at; what no index answers is filtered one by one."""


@dataclass(frozen=True)
class Found:
    """What matched.

    Parameters
    ----------
    rows
        In the DICOM JSON model.
    more
        Whether more match than are in the answer.
    unsearched
        Whether the search ended before it had looked at everything.
    """

    rows: list[Json]
    more: bool = False
    unsearched: bool = False


class Search:
    """Searches on behalf of readers.

    Parameters
    ----------
    records, index, orders
        Where studies, their objects, and the studies of an order are.
    references
        Gives the references of original order numbers; made when first needed.
    documents
        The metadata of the objects of results.
    objects
        Lists the objects that a reader may have.
    """

    def __init__(
        self,
        records: Records,
        documents: Documents,
        references: Callable[[], References],
        objects: ObjectLists,
        index: StudyIndex | None = None,
        orders: OrderRepository | None = None,
    ) -> None:
        self._records = records
        self._documents = documents
        self._references = references
        self._objects = objects
        self._index = index or StudyIndex()
        self._orders = orders or OrderRepository()

    def studies(self, actor: Actor, query: Query) -> tuple[Found, list[Study]]:
        """Return the studies that match and are for the reader, the newest first.

        Returns
        -------
        Found
            The rows.
        list of Study
            The same studies, for the audit trail.

        Raises
        ------
        NotAllowedError
            If an accession number is asked for by somebody who may not see identities.
        BadQueryError
            If the offset is too far.
        """
        if query.offset > MAX_OFFSET:
            raise BadQueryError(f"offset goes up to {MAX_OFFSET}; ask for a StudyDate or a PatientID")
        accession = query.exact.get("AccessionNumber", "")
        if accession and not can(actor, Action.IDENTITY_VIEW).allowed:
            raise NotAllowedError("AccessionNumber is for those who may see identities")
        limit = min(query.limit or DEFAULT_STUDIES, MAX_STUDIES)
        action = Action.IDENTITY_VIEW if accession else Action.STUDY_VIEW
        matching: list[Study] = []
        skipped = 0
        resource = resources_for(self._records, actor)
        for examined, study in enumerate(self._candidates(query, limit)):
            if examined >= MAX_EXAMINED:
                return Found(_rows(matching, accession), unsearched=True), matching
            if not (_matches(study, query) and _is_for(actor, resource(study), action)):
                continue
            if skipped < query.offset:
                skipped += 1
            elif len(matching) == limit:
                return Found(_rows(matching, accession), more=True), matching
            else:
                matching.append(study)
        return Found(_rows(matching, accession)), matching

    def _candidates(self, query: Query, limit: int) -> Iterator[Study]:
        """Yield what the narrowest index has, the newest first."""
        accession = query.exact.get("AccessionNumber")
        if accession is not None:
            reference = self._references().order(accession)
            named = self._index.by_uid(self._orders.studies(reference))
            # A correction may have moved a study to another order.
            return (study for study in named if reference in study.gathering.order_refs)
        if "StudyInstanceUID" in query.uids:
            return iter(self._index.by_uid(query.uids["StudyInstanceUID"]))
        if "PatientID" in query.exact:
            return self._index.by_patient(query.exact["PatientID"], query.first, query.last)
        page = min(query.offset + limit + 1, 250)
        return self._index.by_date(query.first, query.last, page)

    def series(self, study: Study, actor: Actor, query: Query) -> Found:
        """Return the series of a study that match."""
        held = self._objects.of(study, actor)
        headers = self._headers(held)
        found = [
            series_row(study, members, headers)
            for members in by_series(held).values()
            if _series_matches(members[0], headers, query)
        ]
        return _page(found, query)

    def instances(self, study: Study, actor: Actor, query: Query, series_uid: str = "") -> Found:
        """Return the instances of a study, or of one of its series, that match."""
        held = [
            each for each in self._objects.of(study, actor) if not series_uid or each.series_uid == series_uid
        ]
        headers = self._headers(held)
        found = [
            instance_row(study, each, headers)
            for each in held
            if _series_matches(each, headers, query)
            and query.has_uid("SOPInstanceUID", each.sop_uid)
            and query.has_uid("SOPClassUID", each.sop_class_uid)
            and query.has_number("InstanceNumber", number_of(each, headers, "00200013"))
        ]
        return _page(found, query)

    def _headers(self, held: Iterable[Held]) -> Headers:
        results = by_series(each for each in held if each.facts is None)
        return {
            str(dataset["00080018"]["Value"][0]): dataset
            for members in results.values()
            for dataset in self._documents.datasets(members)
        }


def _matches(study: Study, query: Query) -> bool:
    seen = study.gathering
    return (
        query.has_uid("StudyInstanceUID", study.study_uid)
        and query.exact.get("PatientID", seen.patient) == seen.patient
        and query.has_date(seen.study_date)
        and query.has_code("ModalitiesInStudy", seen.modalities)
        and query.has_code("Modality", seen.modalities)
    )


def _is_for(actor: Actor, resource: Resource, action: Action) -> bool:
    return can(actor, Action.STUDY_VIEW, resource).allowed and can(actor, action, resource).allowed


def _series_matches(held: Held, headers: Headers, query: Query) -> bool:
    return (
        query.has_uid("SeriesInstanceUID", held.series_uid)
        and query.has_code("Modality", [modality_of(held, headers)])
        and query.has_number("SeriesNumber", number_of(held, headers, "00200011"))
    )


def _rows(studies: Sequence[Study], accession: str) -> list[Json]:
    return [study_row(study, accession) for study in studies]


def _page(rows: list[Json], query: Query) -> Found:
    stop = len(rows) if query.limit is None else query.offset + query.limit
    return Found(rows[query.offset : stop], more=stop < len(rows))
