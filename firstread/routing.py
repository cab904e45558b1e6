"""Which model looks at which instances of a study; pure rules on typed metadata."""

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field, model_validator

from firstread.study import Instance, InstanceFacts, InstanceState


class RoutingRule(BaseModel):
    """What an instance must be for a model to apply. Empty tuples and None do not limit.

    Parameters
    ----------
    modalities
        Defined terms of Modality (0008,0060), PS3.3 C.7.3.1.1.1.
    body_parts
        Defined terms of Body Part Examined (0018,0015), PS3.16 Annex L.
    views
        Values of View Position (0018,5101).
    min_age_years, max_age_years
        Age range in years, lower bound included, upper bound excluded. An unknown age never matches a limit.
    min_instances
        How many instances that match a study must have.
    photometric
        Values of Photometric Interpretation (0028,0004).
    single_frame
        Whether instances of several frames are left out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    modalities: tuple[str, ...] = ()
    body_parts: tuple[str, ...] = ()
    views: tuple[str, ...] = ()
    min_age_years: float | None = Field(None, ge=0)
    max_age_years: float | None = Field(None, gt=0)
    min_instances: int = Field(1, ge=1)
    photometric: tuple[str, ...] = ()
    single_frame: bool = False

    @model_validator(mode="after")
    def _ages_in_order(self) -> "RoutingRule":
        low, high = self.min_age_years, self.max_age_years
        if low is not None and high is not None and low >= high:
            raise ValueError("min_age_years must be below max_age_years")
        return self

    def mismatch(self, facts: InstanceFacts) -> str:
        """Return why an instance does not fit, or "" where it does."""
        if not facts.rows or not facts.columns:
            return "not an image"
        terms = (
            ("modality", facts.modality, self.modalities),
            ("body part", facts.body_part, self.body_parts),
            ("view", facts.view_position, self.views),
            ("photometric interpretation", facts.photometric, self.photometric),
        )
        for name, value, allowed in terms:
            if allowed and value not in allowed:
                return f"{name} is {value or 'unknown'}"
        if self.single_frame and facts.frames != 1:
            return f"{facts.frames} frames"
        return self._age_mismatch(facts.age_years)

    def _age_mismatch(self, age: float | None) -> str:
        if self.min_age_years is None and self.max_age_years is None:
            return ""
        if age is None:
            return "age is unknown"
        low = 0.0 if self.min_age_years is None else self.min_age_years
        high = float("inf") if self.max_age_years is None else self.max_age_years
        return "" if low <= age < high else "age is outside the model's population"


class RegisteredModel(BaseModel):
    """A model the pipeline may route to.

    Parameters
    ----------
    model_id
        ``name@version``, the identity that results carry.
    bundle_sha256
        Digest of the bundle's files, so that a result names exactly what made it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model_id: str = Field(pattern=r"^[a-z0-9_]+@[0-9A-Za-z.+-]+$")
    title: str
    intended_use: str
    rule: RoutingRule
    bundle_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    enabled: bool = True


class Route(BaseModel):
    """The routing of a study version: which models apply, and why the others do not."""

    model_config = ConfigDict(frozen=True)

    models: tuple[str, ...]
    not_applicable: dict[str, str]


def matching(rule: RoutingRule, instances: Iterable[Instance]) -> list[Instance]:
    """Return the stored instances that a rule accepts, in series and instance order."""
    found = [i for i in instances if i.state is InstanceState.STORED and not rule.mismatch(i.facts)]
    return sorted(found, key=lambda i: (i.facts.series_uid, i.facts.instance_number or 0, i.sop_uid))


def route(models: Iterable[RegisteredModel], instances: Iterable[Instance]) -> Route:
    """Choose the models for a study version.

    Parameters
    ----------
    models
        The registered models; disabled ones are passed over with that reason.
    instances
        All instances of the study version, held ones included.

    Returns
    -------
    Route
        Model ids that apply, and the reason for each that does not.
    """
    everything = list(instances)
    stored = [instance for instance in everything if instance.state is InstanceState.STORED]
    chosen: list[str] = []
    refused: dict[str, str] = {}
    for model in sorted(models, key=lambda m: m.model_id):
        reason = _refusal(model, stored)
        if reason:
            refused[model.model_id] = reason
        else:
            chosen.append(model.model_id)
    return Route(models=tuple(chosen), not_applicable=refused)


def _refusal(model: RegisteredModel, stored: list[Instance]) -> str:
    if not model.enabled:
        return "the model is switched off"
    if not stored:
        return "no instance could be passed on"
    found = matching(model.rule, stored)
    if len(found) >= model.rule.min_instances:
        return ""
    if found:
        return f"only {len(found)} of {model.rule.min_instances} instances needed"
    reasons = sorted({model.rule.mismatch(instance.facts) for instance in stored})
    return "; ".join(reasons[:3])
