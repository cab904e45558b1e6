"""Decide which models are used: the kill switch, and shadow mode."""

from dataclasses import dataclass

from firstread.errors import FirstReadError, NotFoundError
from firstread.operations.operator import Operator
from firstread.policy import Action
from firstread.records.audit import AuditTrail, Detail, audited
from firstread.records.models import ModelRepository
from firstread.routing import ModelState, RegisteredModel


class WhichVersionError(FirstReadError):
    """A name that stands for several versions, where one must be meant; the text lists them."""


def subject(model_id: str) -> str:
    """Return the subject of audit events about a model."""
    return f"model#{model_id}"


@dataclass(frozen=True)
class Models:
    """What an operator may do with models.

    Parameters
    ----------
    operator
        Who.
    models, trail
        The records.
    """

    operator: Operator
    models: ModelRepository
    trail: AuditTrail

    def all(self) -> list[RegisteredModel]:
        """Return all registered models, by id."""
        self.operator.must(Action.MODEL_MANAGE)
        return self.models.all()

    def show(self, name: str) -> list[tuple[RegisteredModel, list[dict[str, Detail]]]]:
        """Return a model, or all versions of a name, each with what operators did to it.

        Raises
        ------
        NotFoundError
            If it is not registered.
        """
        self.operator.must(Action.MODEL_MANAGE)
        return [(each, self.trail.of(subject(each.model_id))) for each in self._named(name)]

    def switch(self, name: str, state: ModelState) -> list[RegisteredModel]:
        """Switch a model; a bare name switches all its versions off, or the only one on or into the shadow.

        Parameters
        ----------
        name
            ``name@version``, or ``name``.
        state
            What it becomes.

        Raises
        ------
        NotFoundError
            If it is not registered.
        WhichVersionError
            If several versions are registered and one must be named.
        """
        self.operator.must(Action.MODEL_MANAGE)
        named = self._named(name)
        if len(named) > 1 and state is not ModelState.OFF:
            raise WhichVersionError(f"say which version: {', '.join(each.model_id for each in named)}")
        return [self._switch(each, state) for each in named]

    def register(self, model: RegisteredModel) -> RegisteredModel:
        """Register a model, and return it in the state that it then has (`ModelRepository.register`)."""
        self.operator.must(Action.MODEL_MANAGE)
        event = self.operator.event(
            subject(model.model_id),
            Action.MODEL_MANAGE.value,
            did="register",
            bundle_sha256=model.bundle_sha256,
        )
        return self.models.register(model, [audited(event)])

    def _switch(self, model: RegisteredModel, state: ModelState) -> RegisteredModel:
        event = self.operator.event(
            subject(model.model_id), Action.MODEL_MANAGE.value, did=state.value, was=model.state.value
        )
        return self.models.switch(model.model_id, state, [audited(event)])

    def _named(self, name: str) -> list[RegisteredModel]:
        bare, _, version = name.partition("@")
        found = [each for each in self.models.of_name(bare) if not version or each.model_id == name]
        if not found:
            raise NotFoundError("no such model is registered; see `firstread model list`")
        return found
