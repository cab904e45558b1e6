"""``python -m tests.exam.score --key KEY --in DIR --out DIR``: grade what a tool made of an exam.

Beyond MIDI-B's validator: a missing tag or a withheld file earns nothing, a date must be moved by the patient's own
shift, surrogates must be one to one over all files and resends, and every planted text is looked for in every byte.
"""

import argparse
import json
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.exam.evidence import Output, collect, element_at, text_of
from tests.exam.grading import STRICT, Grader
from tests.exam.key import MIDI, Action, Key, load
from tests.exam.leaks import Leak, scan
from tests.exam.planter import lenient
from tests.exam.worlds import Worlds


@dataclass(frozen=True)
class Failure:
    """A question that was not answered rightly by a file that came out."""

    file: str
    group: str
    action: Action
    path: str
    kind: str
    text: str
    found: str


@dataclass
class Score:
    """The result of an exam."""

    passed: dict[str, Counter[Action]] = field(default_factory=lambda: defaultdict(Counter))
    total: dict[str, Counter[Action]] = field(default_factory=lambda: defaultdict(Counter))
    released: Counter[Action] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    leaks: list[Leak] = field(default_factory=list)
    withheld: list[str] = field(default_factory=list)

    def percent(self, *groups: str, actions: tuple[Action, ...] = MIDI) -> float:
        """Return the share of right answers over some groups of files; over all where none is named."""
        chosen = groups or tuple(self.total)
        total = sum(self.total[group][action] for group in chosen for action in actions)
        passed = sum(self.passed[group][action] for group in chosen for action in actions)
        return 100.0 * passed / total if total else 100.0

    def rows(self) -> list[tuple[str, int, int]]:
        """Return action, passed, total."""
        return [
            (
                action.value,
                sum(counter[action] for counter in self.passed.values()),
                sum(counter[action] for counter in self.total.values()),
            )
            for action in Action
        ]

    def json(self) -> dict[str, Any]:
        """As a document."""
        return {
            "midi10_percent": round(self.percent(), 3),
            "all_percent": round(self.percent(actions=tuple(Action)), 3),
            "groups": {group: round(self.percent(group), 3) for group in self.total},
            "actions": {name: {"passed": passed, "total": total} for name, passed, total in self.rows()},
            "leaks": [leak.row() for leak in self.leaks],
            "withheld": self.withheld,
            "failures": [vars(failure) for failure in self.failures],
        }

    def table(self) -> str:
        """As text."""
        lines = [f"{'action':18}{'passed':>8}{'total':>8}{'%':>9}"]
        for name, passed, total in self.rows():
            if total:
                lines.append(f"{name:18}{passed:8}{total:8}{100 * passed / total:9.3f}")
        shares = ", ".join(f"{group} {self.percent(group):.3f}" for group in sorted(self.total))
        lines += [
            f"MIDI-10 {self.percent():.3f} %  ({shares});  with the rest {self.percent(actions=tuple(Action)):.3f} %",
            f"leaks {len(self.leaks)} in {len({leak.file for leak in self.leaks})} files",
            f"withheld {len(self.withheld)}",
        ]
        return "\n".join(lines)


def score(key: Key, outputs: list[Output], profile: str = "longitudinal") -> Score:
    """Grade the outputs of a tool."""
    if len(outputs) != len(key.files):
        raise ValueError("one output is needed for each file of the key, be it a withheld one")
    with lenient():
        return _score(outputs, profile)


def _score(outputs: list[Output], profile: str) -> Score:
    worlds = Worlds(outputs)
    grader = Grader(worlds, profile)
    result = Score()
    for output in outputs:
        if not output.released:
            result.withheld.append(output.key.name)
            if output.key.may_hold:
                continue
        _grade(output, grader, result)
        if output.released:
            result.leaks += scan(output, worlds.allowed_days(output))
    return result


def _grade(output: Output, grader: Grader, result: Score) -> None:
    group = output.key.group
    for question in output.key.questions:
        result.total[group][question.action] += 1
        if grader.passes(output, question):
            result.passed[group][question.action] += 1
        elif output.released:
            result.failures.append(
                Failure(
                    output.key.name,
                    group,
                    question.action,
                    question.path,
                    question.kind,
                    question.text,
                    _found(output, question.path),
                )
            )


def _found(output: Output, path: str) -> str:
    if output.dataset is None or not path:
        return ""
    element = element_at(output.dataset, path)
    return "(absent)" if element is None else text_of(element)[:200]


def main(arguments: list[str] | None = None) -> int:
    """Grade two folders."""
    parser = argparse.ArgumentParser(prog="python -m tests.exam.score", description=__doc__)
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument(
        "--in", type=Path, required=True, dest="inputs", help="folder with first/ and resend/"
    )
    parser.add_argument("--out", type=Path, required=True, dest="outputs", help="folder the tool wrote to")
    parser.add_argument("--tool-report", type=Path, help="the tool's report: input_sha256 -> output")
    parser.add_argument("--profile", choices=("longitudinal", STRICT), default="longitudinal")
    parser.add_argument("--report", type=Path, help="where to write the result as JSON")
    chosen = parser.parse_args(arguments)
    key = load(chosen.key)
    result = score(key, collect(key, chosen.inputs, chosen.outputs, chosen.tool_report), chosen.profile)
    if chosen.report:
        text = json.dumps(result.json(), ensure_ascii=False, indent=1)
        chosen.report.write_text(text, encoding="utf-8")
    sys.stdout.write(result.table() + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
