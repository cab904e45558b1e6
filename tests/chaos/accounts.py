"""Everything that was acknowledged is accounted for: by the bytes of objects and by records, nothing by hearsay."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import boto3

from firstread.deid.vault.identity import IdentityVault
from firstread.deid.vault.keys import master_key_from_file
from firstread.deid.vault.sqlite import SqliteVaultStore
from firstread.gathering.summary import gathering
from firstread.local.home import Home
from firstread.receipt import Outcome
from firstread.records.alerts import AlertRepository
from firstread.records.results import ResultRepository
from firstread.records.studies import StudyRepository, _rank
from firstread.records.tables import InstanceRow, LedgerRow, ResultRow
from firstread.result import ResultStatus
from firstread.study import AnalysisStatus, Instance, Study
from tests.chaos.load import Kind, Plan, recognised

_REST = frozenset({AnalysisStatus.ANALYSED, AnalysisStatus.NO_MODEL})
_MOST = 100_000


@dataclass
class Account:
    """What was found.

    Parameters
    ----------
    lost, doubled
        Instances that were acknowledged and have no row, and those that have more than one.
    violations
        Whatever is not as it should be, as sentences.
    """

    objects: int = 0
    instances: int = 0
    studies: int = 0
    versions: int = 0
    results: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    doubled: int = 0
    violations: list[str] = field(default_factory=list)

    def must(self, holds: bool, sentence: str) -> None:
        if not holds:
            self.violations.append(sentence)


@dataclass(frozen=True)
class Object:
    """One object version of the incoming bucket, by its own bytes, with what the ledger says of it."""

    key: str
    sop_uid: str
    kind: Kind
    outcome: str
    reason: str
    pseudonym: str


def account(
    home: Home, bucket: str, plans: Iterable[Plan], acknowledged: Mapping[str, set[Kind]], unreadable: int
) -> Account:
    """Compare everything with everything.

    Parameters
    ----------
    plans
        Every study that was sent.
    acknowledged
        SOP Instance UID -> kinds of objects that a door has acknowledged.
    unreadable
        Number of acknowledged objects that are no images.
    """
    found = Account()
    objects = list(_objects(bucket, found))
    _nothing_of_an_object_is_lost(objects, acknowledged, unreadable, found)
    vault = IdentityVault(SqliteVaultStore(home.vault), master_key_from_file(home.vault_key))
    sent = {plan.study_uid: plan for plan in plans}
    originals = set(acknowledged) | {each.sop_uid for each in objects if each.sop_uid}
    uids = vault.uids([*originals, *sent])
    rows = [Instance.model_validate(row.instance) for row in InstanceRow.scan(consistent_read=True)]
    _one_row_each(rows, {uids[each] for each in originals}, found)
    _outcomes(objects, uids, rows, found)
    by_study: dict[str, list[Instance]] = defaultdict(list)
    for row in rows:
        by_study[row.study_uid].append(row)
    known = {uids[study_uid]: plan for study_uid, plan in sent.items()}
    heads = [_study(uid, plan, by_study.get(uid, []), found) for uid, plan in known.items()]
    _worklist([head for head in heads if head is not None], found)
    return found


def _objects(bucket: str, found: Account) -> Iterator[Object]:
    s3: Any = boto3.client("s3")
    rows = {(row.object_key, row.version_id): row for row in LedgerRow.scan(consistent_read=True)}
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for version in page.get("Versions", []):
            found.objects += 1
            row = rows.pop((version["Key"], version["VersionId"]), None)
            if row is None:
                found.violations.append(f"{version['Key']} has no row in the ledger")
                continue
            found.outcomes[row.outcome] += 1
            data = s3.get_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])[
                "Body"
            ].read()
            settled = row.settlement or {}
            yield Object(
                version["Key"],
                *recognised(data),
                row.outcome,
                settled.get("reason", ""),
                settled.get("sop_uid", ""),
            )
    for key, _ in rows:
        found.violations.append(f"the row of {key} has no object")
    found.must(sum(found.outcomes.values()) == found.objects, "the outcomes do not add up to the objects")
    found.must(not found.outcomes[Outcome.PENDING.value], "something is pending")


def _nothing_of_an_object_is_lost(
    objects: list[Object], acknowledged: Mapping[str, set[Kind]], unreadable: int, found: Account
) -> None:
    there = {(each.sop_uid, each.kind) for each in objects}
    for sop_uid, kinds in acknowledged.items():
        for kind in kinds:
            found.must((sop_uid, kind) in there, f"{sop_uid} was acknowledged as {kind}, and is in no object")
    bad = [each for each in objects if each.kind is Kind.UNREADABLE]
    found.must(
        len(bad) >= unreadable, f"{unreadable} unreadable objects were acknowledged, {len(bad)} are there"
    )
    for each in bad:
        found.must(each.outcome == Outcome.QUARANTINED, f"{each.key} is unreadable and {each.outcome}")


def _one_row_each(rows: list[Instance], wanted: set[str], found: Account) -> None:
    found.instances = len(rows)
    count = Counter(row.sop_uid for row in rows)
    for uid in wanted - count.keys():
        found.lost += 1
        found.violations.append(f"{uid} has no row")
    for uid, number in count.items():
        if number > 1:
            found.doubled += 1
            found.violations.append(f"{uid} has {number} rows")
        found.must(uid in wanted, f"{uid} has a row, and nobody sent it")


def _outcomes(objects: list[Object], uids: Mapping[str, str], rows: list[Instance], found: Account) -> None:
    """The objects of each instance settled as they must, whichever of them came first."""
    made = {row.object_key for row in rows}
    of_instance: dict[str, list[Object]] = defaultdict(list)
    for each in objects:
        if each.sop_uid:
            of_instance[each.sop_uid].append(each)
    for sop_uid, several in of_instance.items():
        uid = uids[sop_uid]
        first = [each for each in several if each.key in made]
        found.must(len(first) == 1, f"{uid}: {len(first)} objects made the instance")
        if len(first) != 1:
            continue
        found.must({each.pseudonym for each in several} == {uid}, f"{uid}: settled under other UIDs")
        expected = Counter(_expected(several, first[0]))
        seen = Counter((each.outcome, each.reason) for each in several)
        found.must(seen == expected, f"{uid}: settled as {dict(seen)}, not as {dict(expected)}")


def _expected(several: list[Object], first: Object) -> Iterator[tuple[str, str]]:
    """Yield outcome and reason of each object of an instance; no instance has corrections and conflicts both."""
    yield Outcome.STORED.value, ""
    others = [each for each in several if each is not first]
    corrected = False
    for each in others:
        if each.kind is first.kind:
            yield Outcome.DUPLICATE.value, ""
        elif Kind.CONFLICT in (each.kind, first.kind):
            yield Outcome.QUARANTINED.value, "conflict"
        else:
            # The first of the other kind is the correction; what comes again changes nothing.
            yield Outcome.DUPLICATE.value, "" if corrected else "correction"
            corrected = True


def _study(uid: str, plan: Plan, rows: list[Instance], found: Account) -> Study | None:
    studies, results = StudyRepository(), ResultRepository()
    head = studies.get(uid)
    if head is None:
        found.violations.append(f"study {uid} has no head")
        return None
    found.studies += 1
    found.versions += head.version
    found.must(len(rows) == plan.instances, f"study {uid} has {len(rows)} of {plan.instances} instances")
    found.must(head.status in _REST, f"study {uid} is {head.status}")
    found.must(
        head.version_count == len(rows), f"study {uid}: its version has {head.version_count} of {len(rows)}"
    )
    seen = gathering(uid, rows).fingerprint if rows else ""
    found.must(head.version_fingerprint == seen, f"study {uid}: its version is of other instances")
    version = studies.version(uid, head.version)
    found.must(
        version is not None and version.instance_count == head.version_count, f"study {uid}: no such version"
    )
    found.must(bool(head.models) == (plan.modality == "CR"), f"study {uid}: routed to {head.models}")
    current = results.of_version(uid, head.version)
    found.results += len(list(ResultRow.query(uid)))
    found.must(
        sorted(each.model_id for each in current) == sorted({*head.models, *head.beside}),
        f"study {uid} version {head.version}: results of {[each.model_id for each in current]}",
    )
    found.must(all(each.status is ResultStatus.DONE for each in current), f"study {uid}: a model failed")
    found.must(len(AlertRepository().of_study(uid)) <= 1, f"study {uid} has several alerts")
    return head


def _worklist(heads: list[Study], found: Account) -> None:
    listed = [head.study_uid for head in StudyRepository().worklist(limit=_MOST)]
    expected = [head.study_uid for head in sorted(heads, key=_rank)]
    found.must(sorted(listed) == sorted(expected), "the worklist has other studies than were sent")
    found.must(listed == expected, "the worklist is out of order")
