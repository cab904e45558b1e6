"""An order as the hospital's feeds tell it, and how soon it wants its study read."""

from enum import StrEnum

from firstread.value import Value


class Priority(StrEnum):
    """How soon an order wants its study read. The most urgent comes first."""

    STAT = "stat"
    URGENT = "urgent"
    ROUTINE = "routine"

    @property
    def order(self) -> int:
        """Return the position on the worklist, 0 first."""
        return list(Priority).index(self)


class Order(Value):
    """What the hospital's feeds say of an order (HL7 v2), under one of its numbers.

    Parameters
    ----------
    priority
        How soon it wants to be read; routine where nobody said.
    patient_class
        Patient class (PV1-2, HL7 table 0004), such as ``E`` emergency, ``I`` inpatient, ``O`` outpatient; "" unknown.
    location
        Assigned patient location (PV1-3): point of care and facility, such as ``ED^MAIN``; "" unknown.
    status
        Order status (ORC-5, HL7 table 0038), or what the order control (ORC-1) says as much as: ``CA``; "" unknown.
    read_elsewhere_at
        When a final report came from elsewhere (`firstread.clock` text); "" where there is none.
    updated_at
        Time of the newest message that said something of the order (`firstread.clock` text).
    """

    priority: Priority = Priority.ROUTINE
    patient_class: str = ""
    location: str = ""
    status: str = ""
    read_elsewhere_at: str = ""
    updated_at: str = ""
