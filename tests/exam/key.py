"""The answer key: what was planted where, and what must have become of it."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

KEY_FILE = "key.json"


class Action(StrEnum):
    """The ten actions of MIDI-B, and what MIDI-B does not look at."""

    TAG_RETAINED = "tag_retained"
    TEXT_NOTNULL = "text_notnull"
    TEXT_RETAINED = "text_retained"
    TEXT_REMOVED = "text_removed"
    DATE_SHIFTED = "date_shifted"
    UID_CHANGED = "uid_changed"
    UID_CONSISTENT = "uid_consistent"
    PATID_CONSISTENT = "patid_consistent"
    PIXELS_HIDDEN = "pixels_hidden"
    PIXELS_RETAINED = "pixels_retained"
    # Beyond MIDI-B
    YIELD = "yield"
    FILE_CLEAN = "file_clean"
    MARKING = "marking"
    LINK_STRENGTH = "link_strength"
    AGE_OVER_89 = "age_over_89"


MIDI = tuple(Action)[:10]


@dataclass(frozen=True)
class Question:
    """One thing to be checked.

    Parameters
    ----------
    action
        What must have happened.
    path
        Element in the dataset: ``00081140[0].00081155``; "" for the file as a whole.
    kind
        What was planted and how, in words.
    text
        The fragment, date or UID that was planted, or the fact that must survive.
    whole
        Whether the fact is the whole value.
    """

    action: Action
    path: str
    kind: str
    text: str = ""
    whole: bool = False


@dataclass(frozen=True)
class Secret:
    """A planted text that may stand nowhere in an output.

    Parameters
    ----------
    text
        As it was planted.
    kind
        What it is.
    day
        The date (YYYYMMDD) that it spells, if it is one: a shifted date may fall on it.
    """

    text: str
    kind: str
    day: str = ""


@dataclass(frozen=True)
class Box:
    """Where text was burned in; `right` and `bottom` excluded."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass
class FileKey:
    """What is asked of one file.

    Parameters
    ----------
    name
        Path below the input folder.
    group
        ``images``, ``burned`` or ``documents``.
    patient
        Files with the same value are of one patient to whoever reads the headers.
    secrets
        Planted in this file or elsewhere for the same patient.
    may_hold
        Whether refusing it is right as well.
    answers
        Path -> the value a perfect tool leaves; None where the element goes.
    boxes
        Burned-in text, the same on every frame.
    sha256
        Of the input.
    """

    name: str
    group: str
    patient: str
    questions: list[Question] = field(default_factory=list)
    secrets: list[Secret] = field(default_factory=list)
    may_hold: bool = False
    answers: dict[str, str | None] = field(default_factory=dict)
    boxes: list[Box] = field(default_factory=list)
    sha256: str = ""

    def ask(self, action: Action, path: str, kind: str, text: str = "", *, whole: bool = False) -> None:
        """Add a question."""
        self.questions.append(Question(action, path, kind, text, whole))


@dataclass
class Key:
    """The whole exam."""

    seed: int
    files: list[FileKey]

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(asdict(self), ensure_ascii=False, indent=1), encoding="utf-8")


def load(path: Path) -> Key:
    """Read a key written by `Key.save`."""
    raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return Key(int(raw["seed"]), [_file(entry) for entry in raw["files"]])


def _file(entry: dict[str, Any]) -> FileKey:
    questions = [Question(**{**each, "action": Action(each["action"])}) for each in entry["questions"]]
    return FileKey(
        **{
            **entry,
            "questions": questions,
            "secrets": [Secret(**each) for each in entry["secrets"]],
            "boxes": [Box(**each) for each in entry["boxes"]],
        }
    )


def unique(secrets: Iterable[Secret]) -> list[Secret]:
    """Return secrets without repetition, in a stable order."""
    return list({secret.text.casefold(): secret for secret in secrets}.values())
