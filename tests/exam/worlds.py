"""What is known only from all outputs together: shifts, UIDs, patients, and whether surrogates can be recomputed."""

import hashlib
import re
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from pydicom.uid import generate_uid

from tests.exam.evidence import Output, element_at, text_of, tidy
from tests.exam.key import Action

_DAY = re.compile(r"\d{8}")
_NAMESPACES = (uuid.NAMESPACE_DNS, uuid.NAMESPACE_OID, uuid.NAMESPACE_URL, uuid.NAMESPACE_X500)
_MIN_HEX = 8


def days_between(before: str, after: str) -> int | None:
    """Return the days from one DA or DT value to another, or None where one is no date."""
    if not _DAY.match(before) or not _DAY.match(after):
        return None
    try:
        first, second = (datetime.strptime(value[:8], "%Y%m%d") for value in (before, after))
    except ValueError:
        return None
    return (second - first).days


def moved(day: str, by: int) -> str:
    """Return a day (YYYYMMDD) moved by a number of days."""
    return f"{datetime.strptime(day, '%Y%m%d') + timedelta(days=by):%Y%m%d}"


class Worlds:
    """Surrogates seen in the outputs of one tool."""

    def __init__(self, outputs: Iterable[Output]) -> None:
        votes: dict[str, Counter[int]] = defaultdict(Counter)
        uids: dict[str, Counter[str]] = defaultdict(Counter)
        ids: dict[str, Counter[str]] = defaultdict(Counter)
        for output in outputs:
            if output.dataset is not None:
                self._read(output, votes, uids, ids)
        self.shifts = {patient: counter.most_common(1)[0][0] for patient, counter in votes.items()}
        self.uids = {original: counter.most_common(1)[0][0] for original, counter in uids.items()}
        self.patient_ids = {patient: counter.most_common(1)[0][0] for patient, counter in ids.items()}
        self._uid_owners = Counter(self.uids.values())
        self._id_owners = Counter(self.patient_ids.values())
        self.one_shift_for_all = len(self.shifts) >= 3 and len(set(self.shifts.values())) == 1

    @staticmethod
    def _read(
        output: Output,
        votes: dict[str, Counter[int]],
        uids: dict[str, Counter[str]],
        ids: dict[str, Counter[str]],
    ) -> None:
        assert output.dataset is not None
        for question in output.key.questions:
            if question.action not in (Action.DATE_SHIFTED, Action.UID_CONSISTENT, Action.PATID_CONSISTENT):
                continue
            value = tidy(text_of(element_at(output.dataset, question.path)))
            if question.action is Action.PATID_CONSISTENT:
                ids[output.key.patient][value] += 1
            elif question.action is Action.UID_CONSISTENT:
                if value:
                    uids[question.text][value] += 1
            elif (shift := days_between(question.text, value)) is not None:
                votes[output.key.patient][shift] += 1

    def uid_is_unique(self, original: str, surrogate: str) -> bool:
        """Tell whether a surrogate stands for this original everywhere, and for no other."""
        return self.uids.get(original) == surrogate and self._uid_owners[surrogate] == 1

    def patient_is_unique(self, patient: str, surrogate: str) -> bool:
        """Tell whether a Patient ID stands for this patient everywhere, and for no other."""
        return self.patient_ids.get(patient) == surrogate and self._id_owners[surrogate] == 1

    def allowed_days(self, output: Output) -> frozenset[str]:
        """Return the dates that a right shift puts into an output."""
        shift = self.shifts.get(output.key.patient, 0)
        dates = (
            question.text[:8] for question in output.key.questions if question.action is Action.DATE_SHIFTED
        )
        return frozenset(moved(day, shift) for day in dates) if shift else frozenset()


def recomputable(original: str, surrogate: str) -> bool:
    """Tell whether a surrogate is a common function of the original alone, so that anybody can recompute it."""
    if not original or not surrogate or original == surrogate:
        return False
    if surrogate in _uid_functions(original):
        return True
    core = re.sub(r"[^0-9a-z]", "", surrogate.lower())
    runs = [run for run in re.findall(r"[0-9a-f]+", core) if len(run) >= _MIN_HEX]
    return any(run in digest for digest in _digests(original) for run in runs)


def _digests(original: str) -> Iterator[str]:
    for name in ("md5", "sha1", "sha256", "sha512"):
        digest = hashlib.new(name, original.encode(), usedforsecurity=False)
        yield digest.hexdigest()
        yield str(int(digest.hexdigest(), 16))


def _uid_functions(original: str) -> frozenset[str]:
    made = set()
    for prefix in ("2.25.", "1.2.826.0.1.3680043.8.498.", "1.2.826.0.1.3680043.10.543."):
        made.add(str(generate_uid(prefix=prefix, entropy_srcs=[original])))
        made.update(f"{prefix}{int(digest[:32], 16)}" for digest in _digests(original))
    made.update(f"2.25.{uuid.uuid3(space, original).int}" for space in _NAMESPACES)
    made.update(f"2.25.{uuid.uuid5(space, original).int}" for space in _NAMESPACES)
    return frozenset(made)
