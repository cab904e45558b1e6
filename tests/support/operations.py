"""What an operator does, in the hospital of the tests."""

from datetime import timedelta
from pathlib import Path

from firstread.deid.burned_in import TextBox
from firstread.operations.ledger import Count
from firstread.operations.operator import Operator
from firstread.operations.reconcile import Report, Trouble
from firstread.operations.wiring import Operations, open_operations
from firstread.policy import Actor, Role
from tests.support.dicoms import encode, header
from tests.support.hospital import Hospital

STEWARD = Actor("kim", Role.DATA_STEWARD)
CORNER = TextBox(0, 0, 2, 2)


def operations(actor: Actor = STEWARD) -> Operations:
    """Return what a data steward may do."""
    return open_operations(Operator(actor))


def count() -> Count:
    """Count the ledger."""
    found = operations()
    return found.ledger.count(found.operator.now())


def reconcile(*, dry: bool = False) -> Report:
    """Reconcile without mercy for what is young."""
    return operations().reconcile(timedelta(0), dry=dry).run()


def troubles(report: Report) -> dict[Trouble, int]:
    """Return how many troubles of each kind there were."""
    return dict(report.troubles)


def file(folder: Path, name: str = "a.dcm", **values: object) -> Path:
    """Write a radiograph."""
    path = folder / name
    path.write_bytes(encode(header(**values)))
    return path


def held(hospital: Hospital, folder: Path, name: str = "held.dcm", **values: object) -> str:
    """Bring an object into quarantine whose instance is held for its pixels; return its key."""
    hospital.detector.where, hospital.detector.stubborn = [CORNER], True
    (sent,) = hospital.push(file(folder, name, BurnedInAnnotation="YES", **values))
    hospital.pump()
    hospital.detector.where, hospital.detector.stubborn = [], False
    return sent.object_key


def unreadable(hospital: Hospital) -> str:
    """Bring an object into quarantine that is no DICOM; return its key."""
    key, _ = hospital.put(b"this is not DICOM")
    hospital.pump()
    return key


def events_are_lost(hospital: Hospital) -> None:
    """Let what was announced so far, and nobody received, be lost."""
    hospital.arrivals()
    hospital.streams()
    hospital.messages()
