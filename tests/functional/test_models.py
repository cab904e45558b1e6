"""The registered models: the kill switch, new versions, shadow mode, and the commands for them."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from firstread.cli import app
from firstread.errors import NotAllowedError, NotFoundError, TransientError
from firstread.policy import Actor, Role
from firstread.records import transactions
from firstread.records.models import ModelRepository
from firstread.records.tables import ModelRow
from firstread.routing import ModelState, RegisteredModel, RoutingRule, route
from tests.support.operations import operations
from tests.support.records import instance

pytestmark = pytest.mark.usefixtures("cloud")
MODELS = ModelRepository()
ON, SHADOW, OFF = ModelState.ON, ModelState.SHADOW, ModelState.OFF
ADMIN = Actor("ann", Role.ADMIN)


def model(model_id: str, title: str = "a", state: ModelState = ON) -> RegisteredModel:
    return RegisteredModel(
        model_id=model_id,
        title=title,
        intended_use="tests",
        rule=RoutingRule(),
        bundle_sha256="0" * 64,
        state=state,
    )


def states() -> dict[str, str]:
    return {each.model_id: each.state.value for each in MODELS.all()}


def test_models_are_listed_by_id_and_replaced() -> None:
    for made in (model("b@1", "old"), model("a@1"), model("b@1", "new")):
        MODELS.register(made)
    assert MODELS.all() == [model("a@1"), model("b@1", "new")]
    assert MODELS.get("b@1") == model("b@1", "new")
    assert MODELS.get("b@2") is None


def test_a_new_version_takes_the_place_of_those_before_it() -> None:
    for name in ("m@0.1.0", "m@0.2.0", "mm@0.1.0"):
        MODELS.register(model(name))
    assert states() == {"m@0.1.0": "off", "m@0.2.0": "on", "mm@0.1.0": "on"}
    MODELS.register(model("m@0.1.0", "again"))
    assert states() == {"m@0.1.0": "off", "m@0.2.0": "on", "mm@0.1.0": "on"}


@pytest.mark.parametrize("state", [OFF, SHADOW])
def test_what_an_operator_chose_outlives_registering_again(state: ModelState) -> None:
    MODELS.register(model("m@1"))
    MODELS.switch("m@1", state)
    assert MODELS.register(model("m@1", "new title")).state is state
    assert MODELS.get("m@1") == model("m@1", "new title", state)


@pytest.mark.parametrize("state", list(ModelState))
def test_a_new_version_comes_in_as_its_name_was(state: ModelState) -> None:
    MODELS.register(model("m@1"))
    MODELS.register(model("m@2"))
    MODELS.switch("m@2", state)
    assert MODELS.register(model("m@3")).state is state
    assert states() == {"m@1": "off", "m@2": "off", "m@3": state.value}


def test_a_version_in_shadow_stands_beside_the_one_in_use() -> None:
    MODELS.register(model("m@1"))
    assert MODELS.register(model("m@2", state=SHADOW)).state is SHADOW
    assert states() == {"m@1": "on", "m@2": "shadow"}
    MODELS.switch("m@2", ON)
    assert states() == {"m@1": "off", "m@2": "on"}


def test_a_model_that_is_not_there_is_not_switched() -> None:
    with pytest.raises(NotFoundError):
        MODELS.switch("m@1", OFF)
    assert MODELS.all() == []


def test_a_row_of_before_keeps_the_state_of_its_body() -> None:
    for name, state in (("m@1", OFF), ("n@1", ON)):
        ModelRow(kind="model", model_id=name, body=model(name, state=state).model_dump(mode="json")).save()
    assert states() == {"m@1": "off", "n@1": "on"}
    MODELS.switch("n@1", OFF)
    MODELS.register(model("m@1", state=OFF))
    assert states() == {"m@1": "off", "n@1": "off"}
    MODELS.register(model("n@2"))
    MODELS.switch("n@2", ON)
    assert states() == {"m@1": "off", "n@1": "off", "n@2": "on"}


def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object], times: int = 1) -> None:
    """Let somebody act between the reading and the writing, as often as said."""
    left = [times]

    def commit(build: Any) -> None:  # noqa: ANN401 - whatever the repository builds
        if left[0]:
            left[0] -= 1
            act()
        transactions.commit(build)

    monkeypatch.setattr("firstread.records.models.commit", commit)


def raw(model_id: str, state: ModelState) -> None:
    ModelRow(kind="model", model_id=model_id).update(actions=[ModelRow.state.set(state.value)])


def test_a_kill_switch_wins_over_a_new_version_that_comes_at_the_same_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    MODELS.register(model("m@1"))
    meanwhile(monkeypatch, lambda: raw("m@1", OFF))
    assert MODELS.register(model("m@2")).state is OFF
    assert states() == {"m@1": "off", "m@2": "off"}


def test_two_deployments_at_once_register_once(monkeypatch: pytest.MonkeyPatch) -> None:
    MODELS.register(model("m@1"))
    meanwhile(monkeypatch, lambda: ModelRepository().register(model("m@2")))
    assert MODELS.register(model("m@2")).state is ON
    assert states() == {"m@1": "off", "m@2": "on"}


def test_who_never_gets_through_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    MODELS.register(model("m@1"))
    MODELS.register(model("m@2"))
    flips = iter([SHADOW, OFF] * 10)
    meanwhile(monkeypatch, lambda: raw("m@1", next(flips)), times=99)
    with pytest.raises(TransientError):
        MODELS.switch("m@2", ON)
    with pytest.raises(TransientError):
        MODELS.register(model("m@3"))
    assert MODELS.get("m@3") is None


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["register", "register shadow", *ModelState]), st.sampled_from(["m@1", "m@2", "m@3"])
    ),
    max_size=12,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_at_most_one_version_is_on_and_registering_never_revives(steps: list[tuple[str, str]]) -> None:
    for row in ModelRow.query("model"):
        row.delete()
    for step, name in steps:
        before = states()
        if step.startswith("register"):
            MODELS.register(model(name, state=SHADOW if "shadow" in step else ON))
            assert states().get(name) == before.get(name, states()[name])
            if before and "on" not in before.values():
                assert "on" not in states().values()
        elif name in before:
            MODELS.switch(name, ModelState(step))
            assert states()[name] == step
        assert list(states().values()).count("on") <= 1


def test_routing_respects_the_switch() -> None:
    MODELS.register(model("m@1"))
    MODELS.switch("m@1", OFF)
    found = route(MODELS.all(), [instance()])
    assert (found.models, found.beside) == ((), ())
    assert found.not_applicable == {"m@1": "the model is switched off"}


def firstread(*arguments: str) -> Result:
    done = CliRunner().invoke(app, ["model", *arguments, "--deployed"], env={"COLUMNS": "200"})
    assert "Traceback" not in done.output, done.output
    return done


def test_the_commands_switch_and_write_down_who_did_it() -> None:
    MODELS.register(model("m@1", "looks for something"))
    MODELS.register(model("m@2", "looks better", SHADOW))
    listed = firstread("list").stdout
    assert "m@1" in listed and "shadow" in listed and "looks better" in listed
    lines = [json.loads(line) for line in firstread("list", "--json").stdout.splitlines()]
    assert [(each["model_id"], each["state"]) for each in lines] == [("m@1", "on"), ("m@2", "shadow")]
    done = firstread("on", "m")
    assert (done.exit_code, done.stderr) == (1, "firstread: say which version: m@1, m@2\n")
    assert firstread("on", "m@2", "--actor", "kim").stdout == "m@2: on\n"
    assert states() == {"m@1": "off", "m@2": "on"}
    done = firstread("off", "m", "--actor", "ann")
    assert (done.exit_code, done.stdout) == (0, "m@1: off\nm@2: off\n")
    assert firstread("shadow", "m@1").stdout == "m@1: shadow\n"
    shown = json.loads(firstread("show", "m@2", "--json").stdout)
    assert [(each["actor"], each["role"], each["did"], each["was"]) for each in shown["audit"]] == [
        ("kim", "admin", "on", "shadow"),
        ("ann", "admin", "off", "on"),
    ]
    assert "looks better" in firstread("show", "m").stdout
    for command in ("show", "on", "off", "shadow"):
        done = firstread(command, "nothing")
        assert (done.exit_code, "no such model" in done.stderr) == (1, True)


def test_a_model_is_registered_with_its_audit_event() -> None:
    models = operations(ADMIN).models
    models.register(model("m@1"))
    ((_, events),) = models.show("m@1")
    assert [(each["action"], each["did"], each["bundle_sha256"]) for each in events] == [
        ("model.manage", "register", "0" * 64)
    ]


@pytest.mark.parametrize("role", [Role.RADIOLOGIST, Role.DATA_STEWARD, Role.SERVICE])
def test_other_roles_may_not(role: Role) -> None:
    MODELS.register(model("m@1"))
    models = operations(Actor("kim", role)).models
    for act in (
        models.all,
        lambda: models.show("m@1"),
        lambda: models.switch("m@1", OFF),
        lambda: models.register(model("m@2")),
    ):
        with pytest.raises(NotAllowedError):
            act()
    assert states() == {"m@1": "on"}
