"""Ask ECS not to end this task while a message is in hand.

Scale-in and deployments choose a task without knowing what it does; a protected one is passed over. The ECS agent takes
the request at ``$ECS_AGENT_URI`` (Amazon ECS Developer Guide, "Task scale-in protection endpoint").
"""

import json
import os
import time
from collections.abc import Callable

import urllib3

from firstread.handling import describe
from model_service.log import logger

_MINUTES = 120
_RENEWED_AFTER = _MINUTES * 60 / 2
_AGAIN_AFTER = 30.0  # where the agent did not answer
_TIMEOUT = urllib3.Timeout(connect=1, read=3)


class Protection:
    """The protection of this task.

    Parameters
    ----------
    agent_uri
        Of the ECS agent; "" outside ECS, where there is nothing to protect from.
    clock
        Seconds that only grow.
    """

    def __init__(self, agent_uri: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = f"{agent_uri}/task-protection/v1/state" if agent_uri else ""
        self._clock = clock
        self._http = urllib3.PoolManager(timeout=_TIMEOUT, retries=False)
        self._held = False
        self._renewed = self._failed = float("-inf")

    @classmethod
    def of_environment(cls) -> "Protection":
        """Return the protection of the task that this process runs in."""
        return cls(os.environ.get("ECS_AGENT_URI", ""))

    def hold(self, *, busy: bool) -> None:
        """Protect the task while it is busy, and no longer; cheap where nothing changes. Never raises.

        Parameters
        ----------
        busy
            Whether a message is in hand.
        """
        now = self._clock()
        expires = busy and now - self._renewed >= _RENEWED_AFTER
        if not self._url or (busy == self._held and not expires) or now - self._failed < _AGAIN_AFTER:
            return
        if self._put(busy):
            self._held, self._renewed = busy, now
        else:
            # A message may be lost to another try by it, and nothing else: the worker goes on.
            self._failed = now

    def _put(self, protected: bool) -> bool:
        wanted = {"ProtectionEnabled": protected, **({"ExpiresInMinutes": _MINUTES} if protected else {})}
        try:
            answer = self._http.request("PUT", self._url, json=wanted, redirect=False)
            said = json.loads(answer.data)
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            logger.error("task protection failed", extra=describe(error))
            return False
        # Some failures come with status 200 (`failure`), such as a task that is being replaced.
        if answer.status != 200 or not isinstance(said, dict) or "protection" not in said:
            logger.error("task protection refused", extra={"status": answer.status})
            return False
        return True
