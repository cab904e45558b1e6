"""`python -m tests.chaos`: kill whatever can be killed under load, then account for everything."""

import argparse
import random
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from tests.chaos.run import Chaos, Told

_SHOWN = 30


def main() -> int:
    """Run; returns 1 if anything is lost, doubled or otherwise not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="how long to send and to kill")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--home", type=Path, help="state directory, kept; without it a temporary one")
    options = parser.parse_args()
    console = Console(width=140)
    begin = time.monotonic()

    def say(text: str) -> None:
        console.print(f"{time.monotonic() - begin:6.1f} s  {text}", highlight=False, soft_wrap=True)

    say(f"chaos of {options.minutes} minutes, seed {options.seed}")
    with TemporaryDirectory(prefix="firstread-chaos-") as folder:
        home = options.home.resolve() if options.home else Path(folder) / "home"
        told = Chaos(home, options.seed, say).go(60 * options.minutes)
    show(console, told)
    return 1 if told.account.violations else 0


def show(console: Console, told: Told) -> None:
    """Print what happened."""
    found = told.account
    table = Table("what", "number", title=f"chaos, seed {told.seed}", title_justify="left")
    for door, acknowledged in told.acknowledged.items():
        table.add_row(f"acknowledged by {door}", str(acknowledged.objects))
        table.add_row(f"tries of {door}", str(acknowledged.tries))
    for target, number in sorted(told.kills.items()):
        table.add_row(f"kills of {target}", str(number))
    table.add_row("firstread up", str(told.starts))
    rows = {
        "objects received": found.objects,
        **{f"settled as {outcome}": number for outcome, number in sorted(found.outcomes.items())},
        "instances": found.instances,
        "studies": found.studies,
        "versions": found.versions,
        "results": found.results,
        "dead letters sent again": told.replayed,
        "lost": found.lost,
        "doubled": found.doubled,
        "violations": len(found.violations),
    }
    for name, number in rows.items():
        table.add_row(name, str(number))
    table.add_row("seconds from the end of chaos to rest", f"{told.seconds_to_rest:.1f}")
    console.print(table)
    for sentence in found.violations[:_SHOWN]:
        console.print(sentence, highlight=False, soft_wrap=True)
    if len(found.violations) > _SHOWN:
        console.print(f"and {len(found.violations) - _SHOWN} more", highlight=False)


if __name__ == "__main__":
    sys.exit(main())
