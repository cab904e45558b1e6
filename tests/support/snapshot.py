"""What the AWS account of this process holds, taken once and put back often: cheaper than to make it anew each time."""

import copyreg
import pickle
from threading import Condition
from typing import Any, Final, Self

from moto.core.base_backend import BackendDict

from tests.support.aws import rsa_key

# A queue of moto's waits for its messages; a copy of it has a lock of its own to wait with.
copyreg.pickle(Condition, lambda _condition: (Condition, ()))
copyreg.pickle(type(rsa_key(65537, 2048)), lambda key: (rsa_key, (65537, key.key_size)))
_SERVICES: Final[list[BackendDict[Any]]] = BackendDict._instances  # type: ignore[misc]


class Snapshot:
    """Everything in moto at one moment.

    Parameters
    ----------
    services
        Those that were used.
    state
        Of each, pickled: its accounts, and what it has beside them.
    """

    def __init__(self, services: list[BackendDict[Any]], state: bytes) -> None:
        self._services, self._state = services, state

    @classmethod
    def take(cls) -> Self:
        """Copy everything that there is."""
        services = list(_SERVICES)
        return cls(services, pickle.dumps([(dict(each), vars(each)) for each in services]))

    def restore(self) -> None:
        """Put back what there was, and nothing else."""
        BackendDict.reset()
        state = pickle.loads(self._state)  # noqa: S301 - our own
        for service, (accounts, beside) in zip(self._services, state, strict=True):
            service.update(accounts)
            vars(service).update(beside)
            _SERVICES.append(service)
