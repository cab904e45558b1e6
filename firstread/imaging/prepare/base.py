"""What every step has: parameters that can be written down, and one method."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict

from firstread.imaging.prepare.subject import PrepareError, PrepareReason, Subject
from firstread.imaging.volume import Volume

Figures: TypeAlias = dict[str, object]
References: TypeAlias = Mapping[str, Volume]


class Step(BaseModel, ABC):
    """One step; its fields are its parameters."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: str

    @property
    def makes(self) -> str:
        """Return the name of the mask that it adds; "" where it adds none."""
        return ""

    @property
    def refers_to(self) -> str:
        """Return the name of its reference; "" where it has none."""
        return ""

    @abstractmethod
    def run(self, subject: Subject, references: References) -> tuple[Subject, Figures]:
        """Do it.

        Parameters
        ----------
        subject
            A volume with its masks; neither is changed.
        references
            Other volumes, by the names that steps have for them.

        Returns
        -------
        Subject, dict
            What came of it; and what the step found out, for JSON.

        Raises
        ------
        PrepareError
            If it cannot be done.
        """


def reference(references: References, name: str) -> Volume:
    """Return a reference; refused where there is none, or where it is not an upright volume in the patient.

    Raises
    ------
    PrepareError
        ``no_such_reference``, or why it is none.
    """
    if name not in references:
        raise PrepareError(PrepareReason.NO_SUCH_REFERENCE)
    found = references[name]
    Subject(found).require()
    return found


def digest_of(volume: Volume) -> str:
    """Return the SHA-256 of what a reference gives: values with their type and shape, and the affine."""
    made = hashlib.sha256()
    for each in (volume.values, volume.affine):
        made.update(f"{each.dtype.str} {each.shape}".encode())
        made.update(np.ascontiguousarray(each).data)
    return made.hexdigest()
