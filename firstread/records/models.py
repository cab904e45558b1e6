"""The registered models: what they are, and whether they are used."""

from collections.abc import Sequence
from typing import Any

from pynamodb.transactions import TransactWrite

from firstread.errors import NotFoundError, TransientError
from firstread.records.tables import ModelRow
from firstread.records.transactions import Addition, ConditionFailedError, commit
from firstread.routing import ModelState, RegisteredModel

_KIND = "model"
_TRIES = 8


class ModelRepository:
    """The registered models.

    The state of a model is an attribute of its own: writing a registration again cannot undo what an operator chose,
    however the two meet.
    """

    def register(self, model: RegisteredModel, also: Sequence[Addition] = ()) -> RegisteredModel:
        """Write a registration, and return it in the state that it then has.

        A model that is known keeps its state, and so do its other versions. A new version that comes in `ModelState.ON`
        takes the place of those before it: it gets the state that the name had, so that a model that was switched off
        stays off, and the others are switched off. One that comes in shadow, or off, stands beside the others.

        Parameters
        ----------
        model
            The registration.
        also
            Further writes for the same transaction.

        Raises
        ------
        TransientError
            If others kept changing the versions of this model.
        """
        for _ in range(_TRIES):
            known = self.of_name(model.name)
            if any(each.model_id == model.model_id for each in known):
                build = _rewriting(model)
            else:
                came = model.model_copy(update={"state": _state_of_newcomer(model.state, known)})
                build = _adding(came, known if model.state is ModelState.ON else [])
            try:
                commit(_all_of(build, *also))
            except ConditionFailedError:
                continue  # somebody switched or registered a version of it just now
            return self._must(model.model_id)
        raise TransientError("the versions of the model kept changing")

    def switch(self, model_id: str, state: ModelState, also: Sequence[Addition] = ()) -> RegisteredModel:
        """Switch a model on, off or into the shadow; where it goes on, no other version of it stays on.

        Parameters
        ----------
        model_id
            Which.
        state
            What it becomes.
        also
            Further writes for the same transaction.

        Raises
        ------
        NotFoundError
            If it is not registered.
        TransientError
            If others kept changing the versions of this model.
        """
        for _ in range(_TRIES):
            model = self._must(model_id)
            others = [each for each in self.of_name(model.name) if each.model_id != model_id]
            replaced = others if state is ModelState.ON else []
            try:
                commit(_all_of(_switching(model_id, state), *map(_retiring, replaced), *also))
            except ConditionFailedError:
                continue
            return model.model_copy(update={"state": state})
        raise TransientError("the versions of the model kept changing")

    def get(self, model_id: str) -> RegisteredModel | None:
        """Return a registration, or None."""
        try:
            return _model(ModelRow.get(_KIND, model_id, consistent_read=True))
        except ModelRow.DoesNotExist:
            return None

    def of_name(self, name: str) -> list[RegisteredModel]:
        """Return all versions of a model, by id."""
        rows = ModelRow.query(_KIND, ModelRow.model_id.startswith(f"{name}@"), consistent_read=True)
        return [_model(row) for row in rows]

    def all(self) -> list[RegisteredModel]:
        """Return all registered models, by id."""
        return [_model(row) for row in ModelRow.query(_KIND, consistent_read=True)]

    def _must(self, model_id: str) -> RegisteredModel:
        found = self.get(model_id)
        if found is None:
            raise NotFoundError("no such model is registered")
        return found


def _model(row: ModelRow) -> RegisteredModel:
    state = {"state": row.state} if row.state else {}  # rows of before had it in the body
    return RegisteredModel.model_validate({**row.body, **state})


def _body(model: RegisteredModel) -> dict[str, Any]:
    return model.model_dump(mode="json", exclude={"state"})


def _state_of_newcomer(wanted: ModelState, known: Sequence[RegisteredModel]) -> ModelState:
    """Return the state a new version comes in with: that of its name, the one that shows most first."""
    if wanted is not ModelState.ON or not known:
        return wanted
    states = {each.state for each in known}
    return next(state for state in (ModelState.ON, ModelState.SHADOW, ModelState.OFF) if state in states)


def _all_of(*additions: Addition) -> Addition:
    def build(transaction: TransactWrite) -> None:
        for each in additions:
            each(transaction)

    return build


def _adding(model: RegisteredModel, replaced: Sequence[RegisteredModel]) -> Addition:
    row = ModelRow(kind=_KIND, model_id=model.model_id, state=model.state.value, body=_body(model))

    def save(transaction: TransactWrite) -> None:
        transaction.save(row, condition=ModelRow.model_id.does_not_exist())

    return _all_of(save, *map(_retiring, replaced))


def _rewriting(model: RegisteredModel) -> Addition:
    def write(transaction: TransactWrite) -> None:
        # A row of before the attribute had no way to be switched: what it says of its state is what it came with.
        state = ModelRow.state.set(ModelRow.state | model.state.value)
        transaction.update(
            ModelRow(kind=_KIND, model_id=model.model_id),
            actions=[ModelRow.body.set(_body(model)), state],
            condition=ModelRow.model_id.exists(),
        )

    return write


def _switching(model_id: str, state: ModelState) -> Addition:
    def write(transaction: TransactWrite) -> None:
        transaction.update(
            ModelRow(kind=_KIND, model_id=model_id),
            actions=[ModelRow.state.set(state.value)],
            condition=ModelRow.model_id.exists(),
        )

    return write


def _retiring(model: RegisteredModel) -> Addition:
    """Switch a version off that is as it was read: an operator who switches it meanwhile is asked about first."""

    def write(transaction: TransactWrite) -> None:
        transaction.update(
            ModelRow(kind=_KIND, model_id=model.model_id),
            actions=[ModelRow.state.set(ModelState.OFF.value)],
            condition=(ModelRow.state == model.state.value) | ModelRow.state.does_not_exist(),
        )

    return write
