"""A chaos run: load through every door while processes die; then rest; then everything is accounted for."""

import json
import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.exceptions import PynamoDBException

from firstread.local.home import Home, activate
from firstread.local.status import status
from firstread.receipt import Outcome
from firstread.records import tables
from firstread.records.studies import StudyRepository
from firstread.study import AnalysisStatus
from tests.chaos.accounts import Account, account
from tests.chaos.doors import Acknowledged, Door, bring, doors
from tests.chaos.load import Kind, Plan, plans, unreadable
from tests.chaos.monkey import Monkey
from tests.support.system import GatewayProcess, Run, Settings, wait_for

Say = Callable[[str], None]
_BACKLOG = 120
"""Doors hold back while so many objects wait for their outcome: what arrived is to be at rest in minutes."""
_VISIBILITY = {"CLEAN_PIXELS": "60", "": "15"}
_QUEUES = (
    "INGEST_URGENT",
    "INGEST",
    "INGEST_BULK",
    "CLEAN_PIXELS",
    "FEEDS",
    "HINTS",
    "QUIET_TIMER",
    "DESCRIBE_SERIES",
    "RESULTS",
)
_ENGINE_KILLS_PER_MINUTE = 0.8
_REST_SECONDS = 480.0
_HOPELESS_SECONDS = 180.0
_QUIET_LOOKS = 3
_PART_SECONDS = 1.0


@dataclass
class Told:
    """What a chaos run has to tell."""

    seed: int
    account: Account
    acknowledged: dict[str, Acknowledged]
    kills: dict[str, int]
    starts: int
    seconds_to_rest: float
    replayed: int


class Chaos:
    """One run.

    Parameters
    ----------
    home
        State directory; new.
    """

    def __init__(self, home: Path, seed: int, say: Say) -> None:
        self.run = Run.at(home)
        self._home = Home(home)
        self.gateway = GatewayProcess(self.run)
        self._seed, self._say = seed, say
        self._plans: list[Plan] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._busy = threading.Event()
        self._deadline = float("inf")

    def go(self, seconds: float) -> Told:
        """Do all of it, and stop everything."""
        try:
            self.run.up()
            activate(self._home)
            tables.bind(Settings())
            self._soon_again()
            self.run.firstread("down")
            self.run.up()
            self.gateway.start()
            return self._told(seconds)
        finally:
            self._over.set()
            self.gateway.stop()
            self.run.firstread("down", check=False)

    def _told(self, seconds: float) -> Told:
        ways = doors(self.run, self.gateway)
        chance = random.Random(f"{self._seed}/kills")
        kills = max(1, round(_ENGINE_KILLS_PER_MINUTE * seconds / 60))
        monkey = Monkey(self.run, self.gateway, chance, kills, self._say)
        with ThreadPoolExecutor(len(ways) + 1) as pool:
            sending = [pool.submit(self._send, name, door) for name, door in ways.items()]
            watching = pool.submit(self._watch)
            try:
                monkey.rage(seconds)
            finally:
                ended = time.monotonic()
                self._deadline = ended + _HOPELESS_SECONDS
                self._over.set()
            for each in [*sending, watching]:
                each.result()
        self._say("chaos is over, and everything runs")
        rests, replayed = self._rest()
        rest = time.monotonic() - ended
        found = self._account(ways, rests=rests)
        return Told(
            self._seed,
            found,
            {name: door.acknowledged for name, door in ways.items()},
            dict(monkey.kills),
            monkey.starts,
            rest,
            replayed,
        )

    # ---- load

    def _send(self, name: str, door: Door) -> None:
        """Send study after study, with what goes wrong in hospitals in between."""
        chance = random.Random(f"{self._seed}/{name}/disorder")
        coming = plans(name, self._seed)
        late: list[tuple[float, Plan]] = []
        before: list[Plan] = []
        while not self._over.is_set():
            if self._busy.is_set():
                time.sleep(0.2)
                continue
            plan = next(coming)
            with self._lock:
                self._plans.append(plan)
            first = plan.instances - int(plan.late)
            bring(door, [plan.image(index) for index in range(1, first + 1)], self._hopeless)
            if plan.late:
                late.append((time.monotonic() + chance.uniform(5, 15), plan))
            while late and (late[0][0] <= time.monotonic()):
                self._late(door, late.pop(0)[1])
            if before:
                self._disorder(door, chance, before)
            before.append(plan)
            time.sleep(chance.uniform(0, _PART_SECONDS))
        for _, plan in late:
            self._late(door, plan)

    def _late(self, door: Door, plan: Plan) -> None:
        indices = range(plan.instances - int(plan.late) + 1, plan.instances + 1)
        bring(door, [plan.image(index) for index in indices], self._hopeless)

    def _disorder(self, door: Door, chance: random.Random, before: list[Plan]) -> None:
        plan = chance.choice(before)
        what = chance.choices(("again", "correction", "conflict", "unreadable", "nothing"), (4, 2, 1, 2, 3))[
            0
        ]
        indices = range(1, plan.instances - int(plan.late) + 1)
        if what == "again":
            bring(door, [plan.image(index) for index in indices], self._hopeless)
        elif what == "correction":
            # Corrections of all of a study, conflicts of its last image: no instance has both.
            bring(
                door, [plan.image(index, Kind.CORRECTION) for index in indices if index > 1], self._hopeless
            )
        elif what == "conflict":
            bring(door, [plan.image(1, Kind.CONFLICT)], self._hopeless)
        elif what == "unreadable" and door.takes_anything:
            bring(door, [unreadable(chance)], self._hopeless)

    def _hopeless(self) -> bool:
        return time.monotonic() > self._deadline

    def _watch(self) -> None:
        """Hold the doors back while much is on its way."""
        while not self._over.wait(1):
            try:
                now = status(self._home)
            except (BotoCoreError, ClientError, PynamoDBException):
                continue  # the engine dies as we look
            if now.pending + sum(now.waiting.values()) > _BACKLOG:
                self._busy.set()
            else:
                self._busy.clear()

    # ---- rest

    def _soon_again(self) -> None:
        """Let messages of a killed function come back in seconds; an account waits six times its longest run.

        What the engine was told counts after it was killed only if it was stopped once in between.
        """
        sqs: Any = boto3.Session().client("sqs")
        for name in _QUEUES:
            seconds = _VISIBILITY.get(name, _VISIBILITY[""])
            url = os.environ[f"FIRSTREAD_{name}_QUEUE_URL"]
            sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": seconds})

    def _rest(self) -> tuple[bool, int]:
        """Wait until nothing is on its way; returns whether that came, and how many dead letters were sent again."""
        wait_for("the spool of the gateway", lambda: not self.gateway.waiting(), _REST_SECONDS)
        self._say(self.run.firstread("reconcile", "--grace", "0").stdout.strip())
        deadline = time.monotonic() + _REST_SECONDS
        replayed = quiet = 0
        while quiet < _QUIET_LOOKS and time.monotonic() < deadline:
            time.sleep(1)
            now = status(self._home)
            if dead := sum(now.dead_letters.values()):
                replayed += dead
                self._say(self.run.firstread("dlq", "replay", "--all").stdout.strip())
            waits = dead + now.pending + sum(now.waiting.values())
            quiet = 0 if waits or _unfinished() else quiet + 1
        rests = quiet >= _QUIET_LOOKS
        if not rests:
            self._say(f"not at rest after {_REST_SECONDS:.0f} s: {now}")
        return rests, replayed

    def _account(self, ways: Mapping[str, Door], *, rests: bool) -> Account:
        found = account(
            self._home,
            os.environ["FIRSTREAD_INCOMING_BUCKET"],
            self._plans,
            _all_kinds(ways),
            sum(door.acknowledged.unreadable for door in ways.values()),
        )
        found.must(rests, f"not at rest after {_REST_SECONDS:.0f} s")
        ledger = json.loads(self.run.firstread("ledger", "--json", check=False).stdout)
        found.must(bool(ledger["balanced"]), "the ledger does not balance")
        by_outcome = {each.value: found.outcomes[each.value] for each in Outcome}
        counted = {name: ledger[name] for name in by_outcome}
        found.must(counted == by_outcome, f"the ledger counts {counted}")
        found.must(ledger["received"] == found.objects, "the ledger received something else")
        return found


def _unfinished() -> bool:
    worklist = StudyRepository().worklist(limit=100_000)
    return any(each.status in (AnalysisStatus.RECEIVING, AnalysisStatus.ANALYSING) for each in worklist)


def _all_kinds(ways: Mapping[str, Door]) -> dict[str, set[Kind]]:
    found: dict[str, set[Kind]] = {}
    for door in ways.values():
        for sop_uid, kinds in door.acknowledged.images.items():
            found.setdefault(sop_uid, set()).update(kinds)
    return found
