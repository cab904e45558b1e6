"""What runs, what waits, what is stuck: read from the processes and the engine, never guessed."""

from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from firstread.environment import LedgerSettings
from firstread.local import processes
from firstread.local.home import Home, activate
from firstread.local.run import COMPONENTS, ENGINE
from firstread.operations.dead_letters import LINES
from firstread.receipt import Outcome
from firstread.records import tables
from firstread.records.sweeping import Waiting


@dataclass(frozen=True)
class Status:
    """The state of a local run.

    Parameters
    ----------
    components
        Name -> "running", "dead" (was started, is gone) or "stopped".
    waiting
        Queue -> messages that wait or are worked on.
    dead_letters
        Queue -> messages that were given up after their tries.
    pending, quarantined
        Ledger rows that somebody may have to look at, all of them counted.
    engine_lost_state
        The engine was killed: what it had not saved, reviews and audit included, may be lost.
    """

    components: dict[str, str]
    waiting: dict[str, int] = field(default_factory=dict)
    dead_letters: dict[str, int] = field(default_factory=dict)
    pending: int = 0
    quarantined: int = 0
    engine_lost_state: bool = False

    @property
    def problems(self) -> list[str]:
        """Return what is wrong, as sentences; empty where all is well."""
        found = [
            f"{name} is dead; start it again with `firstread up`"
            for name, state in self.components.items()
            if state == "dead"
        ]
        found += [
            f"{count} message(s) in the dead-letter queue of {name}: given up after their tries"
            for name, count in self.dead_letters.items()
            if count
        ]
        if self.engine_lost_state:
            found.append(
                "the engine was killed: objects that arrived are on disk, but records, reviews and audit since it "
                "was last stopped may be lost"
            )
        return found


def component_states(home: Home) -> dict[str, str]:
    """Return the state of each component."""
    return {
        name: "running"
        if processes.running(home, name)
        else "dead"
        if processes.started(home, name)
        else "stopped"
        for name in COMPONENTS
    }


def status(home: Home) -> Status:
    """Look at the local run of a state directory."""
    components = component_states(home)
    lost = home.lost_state.exists() or (home.unclean.exists() and components[ENGINE] != "running")
    if components[ENGINE] != "running":
        return Status(components, engine_lost_state=lost)
    settings = activate(home)
    try:
        client: Any = boto3.client("sqs")
        queues = [line for line in LINES if line.kind is not None]
        waiting = {line.name: _depth(client, settings[line.queue_setting]) for line in queues}
        dead = {line.name: _depth(client, settings[line.dead_setting]) for line in LINES}
    except (BotoCoreError, ClientError, KeyError):
        # It runs but does not answer, or its stacks are not there: as good as dead for whoever asks.
        return Status({**components, ENGINE: "dead"}, engine_lost_state=lost)
    tables.bind(LedgerSettings())
    receipts = Waiting()
    return Status(
        components,
        waiting,
        dead,
        engine_lost_state=lost,
        pending=receipts.count(Outcome.PENDING),
        quarantined=receipts.count(Outcome.QUARANTINED),
    )


def _depth(client: Any, url: str) -> int:  # noqa: ANN401 - an SQS client of a lazily typed SDK
    names = [
        "ApproximateNumberOfMessages",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesDelayed",
    ]
    found = client.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(found.get(name, 0)) for name in names)
