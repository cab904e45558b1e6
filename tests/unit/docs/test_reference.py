"""Reference pages name everything there is, and nothing else."""

import importlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import typer
from pydantic import BaseModel
from pydicom.datadict import dictionary_VR, tag_for_keyword

from firstread import messages
from firstread.cli import app
from firstread.deid import folder
from firstread.deid.options import METHOD_CODES, Option, Profile
from firstread.deid.rules import Action, rules
from firstread.environment import (
    PREFIX,
    Environment,
    IngestClientSettings,
    LedgerSettings,
    ModelsSettings,
    ReferenceSettings,
)
from firstread.errors import Reason
from firstread.imaging.body import SuvReason
from firstread.imaging.convert import ConvertReason
from firstread.imaging.dose import DoseReason
from firstread.imaging.learn import LearnReason
from firstread.imaging.masks.mask import MaskReason
from firstread.imaging.pixels import PixelReason
from firstread.imaging.radiomics.settings import RadiomicsReason
from firstread.imaging.verdict import VolumeReason
from firstread.local.home import HOME_VARIABLE
from firstread.metrics import Metric, Stage
from firstread.operations.quarantine import Because
from firstread.operations.reconcile import Trouble
from firstread.operations.wiring import OperationsSettings
from firstread.uploads.contents import Refusal
from infra.settings import Setting
from model_service.evaluation.reasons import CaseReason
from model_service.objects.said import Remark
from tests.unit.docs import pages

SETTINGS = "docs/reference/settings.md"
EVENTS = "docs/reference/events.md"
REASONS = "docs/reference/reasons.md"
COMMANDS = "docs/reference/command-line.md"
METRICS = "docs/reference/metrics.md"
DEIDENTIFICATION = "docs/reference/deidentification.md"

FUNCTIONS = sorted(path.parent.name for path in (pages.REPOSITORY / "functions").glob("*/handler.py"))


def programs() -> Mapping[str, tuple[type[Environment], ...]]:
    """Each program, and the environment models it reads."""
    modules = {name: f"functions.{name}.handler:Settings" for name in FUNCTIONS}
    modules |= {
        "model worker": "model_service.bootstrap:Settings",
        "portal": "portal.settings:PortalSettings",
    }
    modules |= {"add": "model_service.adding.command:AddSettings"}
    modules |= {"ingest service": "ingest_service.settings:IngestSettings"}
    modules |= {"demo": "firstread.demo.show:DemoSettings"}
    found: dict[str, tuple[type[Environment], ...]] = {
        "push": (IngestClientSettings,),
        "status": (LedgerSettings,),
        "register": (ModelsSettings,),
        "operations": (OperationsSettings,),
        "trace": (ReferenceSettings,),
    }
    for program, place in modules.items():
        module, _, attribute = place.partition(":")
        found[program] = (getattr(importlib.import_module(module), attribute),)
    return found


@pytest.fixture(scope="module")
def needed_by() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for program, models in programs().items():
        for model in models:
            for field in model.model_fields:
                found.setdefault(PREFIX + field.upper(), set()).add(program)
    return found


@pytest.fixture(scope="module")
def defaults() -> dict[str, str]:
    fields = {
        name: field
        for models in programs().values()
        for m in models
        for name, field in m.model_fields.items()
    }
    return {
        PREFIX + name.upper(): "none" if field.is_required() else str(field.default) or "empty"
        for name, field in fields.items()
    }


def test_settings_are_all_there(needed_by: dict[str, set[str]]) -> None:
    outputs = {setting.env for setting in Setting}
    assert set(pages.sections(SETTINGS)) == set(needed_by) | outputs | {HOME_VARIABLE}


def test_every_environment_class_belongs_to_a_program() -> None:
    def below(kind: type[Environment]) -> Iterator[type[Environment]]:
        for each in kind.__subclasses__():
            yield each
            yield from below(each)

    used = {base for models in programs().values() for model in models for base in model.__mro__}
    ours = ("firstread.", "functions.", "model_service.", "ingest_service.", "portal.")
    assert not {each for each in below(Environment) if each.__module__.startswith(ours)} - used


def test_settings_say_who_needs_them(needed_by: dict[str, set[str]], defaults: dict[str, str]) -> None:
    for name, section in pages.sections(SETTINGS).items():
        if name not in needed_by:
            continue
        line = re.search(r"^Needed by: (.+?)\. Default: (.+?)\.(?:$| Example)", section, re.MULTILINE)
        assert line, name
        assert pages.code(line[1]) == needed_by[name], name
        assert line[2].strip("`") == defaults[name], name


def message_classes() -> dict[str, type[BaseModel]]:
    return {
        name: kind
        for name, kind in vars(messages).items()
        if isinstance(kind, type)
        and issubclass(kind, BaseModel)
        and kind.__module__ == messages.__name__
        and kind is not messages.Message
        and not name.startswith("_")
    }


def test_messages_are_all_there() -> None:
    assert set(pages.sections(EVENTS)) == set(message_classes())


@pytest.mark.parametrize(("name", "kind"), message_classes().items())
def test_the_example_of_a_message(name: str, kind: type[BaseModel]) -> None:
    (example,) = re.findall(r"```json\n(.*?)```", pages.sections(EVENTS)[name], re.DOTALL)
    message = kind.model_validate_json(example)
    if isinstance(message, messages.Message):  # ours: the example is the whole message
        assert message.model_dump(mode="json") == json.loads(example)


# Not imported: the model service takes time to start.
OTHER_REASONS = {
    "model_switched_off",
    "no_matching_instance",
    "out_of_memory",
    "timed_out",
    "unexpected_error",
    "worker_died",
}


@pytest.mark.parametrize(
    ("heading", "reasons"),
    [
        ("Quarantine reasons", {reason.value for reason in Reason}),
        ("Reasons of deid", {refusal.value for refusal in folder.Refusal}),
        ("Refusals of push", {refusal.value for refusal in Refusal}),
        ("Reasons of release and discard", {because.value for because in Because}),
        ("Troubles of reconcile", {trouble.value for trouble in Trouble}),
        ("Remarks on a result", {remark.value for remark in Remark}),
        ("Reasons of a result", {reason.value for reason in [*PixelReason, *VolumeReason]} | OTHER_REASONS),
        (
            "Reasons of masks, dose and uptake",
            {reason.value for reason in [*MaskReason, *DoseReason, *SuvReason]},
        ),
        ("Reasons of convert", {reason.value for reason in ConvertReason}),
        ("Reasons of learning", {reason.value for reason in LearnReason}),
        ("Reasons of radiomics", {reason.value for reason in RadiomicsReason}),
        ("Reasons of model evaluate", {reason.value for reason in CaseReason}),
    ],
)
def test_reasons_are_all_there_and_say_something(heading: str, reasons: set[str]) -> None:
    told = pages.sections(REASONS, level=3, within=heading)
    assert set(told) == reasons
    assert all(text.strip() for text in told.values())


def test_the_other_reasons_of_a_result_are_those_of_the_worker() -> None:
    analyse, running = (importlib.import_module(f"model_service.{name}") for name in ("analyse", "running"))
    found = {analyse.NO_INSTANCE, analyse.SWITCHED_OFF, analyse.UNEXPECTED, running.DIED, running.TIMED_OUT}
    assert found | set(importlib.import_module("model_service.worker").REASONS.values()) == OTHER_REASONS


def test_metrics_and_stages_are_all_there() -> None:
    told = pages.sections(METRICS)
    assert set(told) == {metric.title for metric in Metric}
    assert all(text.strip() for text in told.values())
    stages = [row[0].strip("`") for row in pages.rows(told[Metric.STAGE.title])]
    assert stages == [stage.value for stage in Stage]


def commands() -> dict[str, Any]:
    def below(group: Any, prefix: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - click by way of typer
        for name in group.list_commands(None):
            command = group.get_command(None, name)
            if hasattr(command, "commands"):
                yield from below(command, f"{prefix}{name} ")
            else:
                yield f"{prefix}{name}", command

    return dict(below(typer.main.get_command(app), ""))


def test_commands_are_all_there() -> None:
    assert set(pages.sections(COMMANDS)) == {f"firstread {name}" for name in commands()} | {"Other commands"}


@pytest.mark.parametrize(("name", "command"), commands().items())
def test_the_options_of_a_command(name: str, command: Any) -> None:  # noqa: ANN401 - click by way of typer
    told = {
        option
        for row in pages.rows(pages.sections(COMMANDS)[f"firstread {name}"])
        for option in pages.code(row[0])
    }
    options = [each for each in command.params if each.param_type_name == "option" and each.name != "help"]
    assert told == {name for each in options for name in (*each.opts, *each.secondary_opts)}


def test_the_options_and_outcomes_of_deid_are_all_there() -> None:
    section = pages.sections(COMMANDS)["firstread deid"]
    (line,) = re.findall(r"^Options: (.+?)\.$", section, re.MULTILINE | re.DOTALL)
    assert pages.code(line) == {option.replace("_", "-") for option in Option}
    told = pages.rows(pages.sections(COMMANDS, level=3, within="firstread deid")["Outcomes of a file"])
    assert {row[0].strip("`") for row in told} == {outcome.value for outcome in folder.Outcome}


def test_attributes_are_treated_as_told() -> None:
    chosen = rules(Profile.LONGITUDINAL.options)
    table = pages.rows(pages.sections(DEIDENTIFICATION)["Actions"])
    told = {code.strip("`"): action for code, action in table if tag_for_keyword(code.strip("`"))}
    assert len(told) > 15
    for keyword, action in told.items():
        tag = tag_for_keyword(keyword)
        assert tag is not None
        assert chosen.action(tag, dictionary_VR(tag)).value == action, keyword


def test_actions_and_options_are_all_there() -> None:
    table = pages.rows(pages.sections(DEIDENTIFICATION)["Actions"])
    assert {action.value for action in Action} <= {row[0].strip("`") for row in table}
    profiles = {row[1]: row[2:] for row in pages.rows(pages.sections(DEIDENTIFICATION)["Profiles"])}
    for option in (None, *Option):
        applied = [
            option is None or option in profile.options
            for profile in (Profile.LONGITUDINAL, Profile.SAFE_HARBOR_STRICT)
        ]
        told = profiles.get(METHOD_CODES[option].value, ["no", "no"])
        assert ["yes" if one else "no" for one in applied] == list(told), option
    switches = {row[0].strip("`"): row[1] for row in pages.rows(pages.sections(DEIDENTIFICATION)["Options"])}
    assert switches == {option.value: METHOD_CODES[option].value for option in Option}


@pytest.mark.parametrize(
    ("tag", "vr", "action"),
    [
        (0x00091001, "LO", Action.REMOVE),
        (0x50003000, "OW", Action.REMOVE),
        (0x60000022, "LO", Action.REMOVE),
        (0x00080000, "UL", Action.REMOVE),
        (0x00101111, "", Action.REMOVE),
        (0x00282000, "OB", Action.KEEP),
        (0x7FE00010, "OW", Action.REMOVE),
        (0x00020016, "AE", Action.REMOVE),
        (0x0040A160, "UT", Action.SWEEP),
        (0x00281050, "DS", Action.SWEEP),
        (0x00280010, "US", Action.KEEP),
    ],
)
def test_what_is_beyond_the_table_is_treated_as_told(tag: int, vr: str, action: Action) -> None:
    assert rules(Profile.LONGITUDINAL.options).action(tag, vr) is action
