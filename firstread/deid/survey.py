"""One walk over a dataset before anything is changed: its UIDs, and what in it says who the patient is."""

import re
from dataclasses import dataclass, field

from pydicom.dataset import Dataset
from pydicom.uid import UID

from firstread.deid.elements import values_of, vr_of
from firstread.deid.options import Option
from firstread.deid.rules import Action, Rules
from firstread.deid.seeds import INSTITUTION, Hint, hint_kind
from firstread.dicom.reader import sequence_of

_CONTEXT_GROUP = re.compile(r"1\.2\.840\.10008\.6\.1\.[1-9]\d{0,3}")


@dataclass(frozen=True)
class Survey:
    """What the walk found.

    Parameters
    ----------
    uids
        Every UID that the rules replace.
    hints
        Values that identify, by kind; for the sweep.
    """

    uids: frozenset[str] = field(repr=False)
    hints: frozenset[Hint] = field(repr=False)


def survey(dataset: Dataset, rules: Rules) -> Survey:
    """Walk a dataset and its items, private ones included. Sequences are decoded on the way, nothing else.

    Parameters
    ----------
    dataset
        As it arrived.
    rules
        Say which UIDs are replaced.
    """
    uids: set[str] = set()
    hints: set[Hint] = set()
    stack = [dataset]
    kept = INSTITUTION if Option.RETAIN_INSTITUTION_IDENTITY in rules.options else frozenset()
    while stack:
        item = stack.pop()
        for tag, element in list(item.items()):
            vr = vr_of(element, tag)
            number = int(tag)
            sequence = sequence_of(item, tag) if vr in ("SQ", "UN", "") else None
            if sequence is not None:
                stack.extend(sequence)
            elif vr == "UI" or rules.action(number, vr) is Action.UID:
                if rules.action(number, vr) is Action.UID:
                    uids.update(values_of(item, tag, element, vr) or ())
            elif number not in kept and (kind := hint_kind(number, vr)) is not None:
                found = values_of(item, tag, element, vr)
                if found:
                    hints.add((kind, "\\".join(found)))
    return Survey(frozenset(uid for uid in uids if uid and not is_well_known(uid)), frozenset(hints))


def is_well_known(uid: str) -> bool:
    """Tell whether the standard registers a UID; its root alone proves nothing.

    PS3.6 Annex A; its Table A-3, context groups, is not in pydicom.
    """
    return bool(UID(uid).type) or bool(_CONTEXT_GROUP.fullmatch(uid))
