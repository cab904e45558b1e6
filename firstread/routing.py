"""Which model looks at which instances of a study; pure rules on typed metadata."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from firstread.dicom.objects import SECONDARY_CAPTURES
from firstread.expression import holds, parse
from firstread.result import Code
from firstread.study import Instance, InstanceFacts, InstanceState

_FACTS = frozenset({*InstanceFacts.model_fields, "field_of_view_mm"})


class SeriesRule(BaseModel):
    """How the one series is chosen that a volume is made of. Localizers are never chosen.

    Parameters
    ----------
    planes
        ``axial``, ``coronal``, ``sagittal``; by Image Orientation (Patient).
    max_slice_thickness_mm
        Thicker or unknown slices do not match.
    prefer
        Of several series that match: the one of the thinnest slices, or of the most instances.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    planes: tuple[str, ...] = ()
    max_slice_thickness_mm: float | None = Field(None, gt=0)
    prefer: str = Field("thin", pattern="^(thin|most)$")


class RoutingRule(BaseModel):
    """What an instance must be for a model to apply. Empty tuples and None do not limit.

    Parameters
    ----------
    modalities
        Defined terms of Modality (0008,0060), PS3.3 C.7.3.1.1.1.
    body_parts
        Defined terms of Body Part Examined (0018,0015), PS3.16 Annex L; "" for unknown.
    views
        Values of View Position (0018,5101).
    min_age_years, max_age_years
        Age range in years, lower bound included, upper bound excluded. An unknown age never matches a limit.
    min_instances
        How many instances that match a study, or the series, must have.
    photometric
        Values of Photometric Interpretation (0028,0004).
    single_frame
        Whether instances of several frames are left out.
    allow_derived
        Whether secondary images, screenshots and, in a series, derived images are let in. Localizers never are.
    expression
        A further condition on the facts of an instance (`firstread.expression`), such as
        ``field_of_view_mm <= 120 and 'T1' in series_description``.
    series
        Set for a model of volumes: the one series is chosen by it.
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
    allow_derived: bool = False
    expression: str = ""
    series: SeriesRule | None = None

    @model_validator(mode="after")
    def _ages_in_order(self) -> "RoutingRule":
        low, high = self.min_age_years, self.max_age_years
        if low is not None and high is not None and low >= high:
            raise ValueError("min_age_years must be below max_age_years")
        return self

    @field_validator("expression")
    @classmethod
    def _of_facts(cls, value: str) -> str:
        if value:
            parse(value, _FACTS)
        return value

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
        return (
            self._age_mismatch(facts.age_years)
            or self._kind_mismatch(facts)
            or self._series_mismatch(facts)
            or self._expression_mismatch(facts)
        )

    def _age_mismatch(self, age: float | None) -> str:
        if self.min_age_years is None and self.max_age_years is None:
            return ""
        if age is None:
            return "age is unknown"
        low = 0.0 if self.min_age_years is None else self.min_age_years
        high = float("inf") if self.max_age_years is None else self.max_age_years
        return "" if low <= age < high else "age is outside the model's population"

    def _kind_mismatch(self, facts: InstanceFacts) -> str:
        """Judge Image Type (PS3.3 C.7.6.1.1.2 and C.8.2.1.1.1): pixels, examination, and what the modality adds."""
        if "LOCALIZER" in facts.image_type:
            return "a localizer"
        if self.allow_derived:
            return ""
        if facts.sop_class_uid in SECONDARY_CAPTURES or "SECONDARY" in facts.image_type[1:2]:
            return "a secondary image"
        # A projection image is often derived for presentation; a derived CT or MR image is another thing.
        return "a derived image" if self.series is not None and "DERIVED" in facts.image_type[:1] else ""

    def _series_mismatch(self, facts: InstanceFacts) -> str:
        if self.series is None:
            return ""
        if self.series.planes and facts.plane not in self.series.planes:
            return f"plane is {facts.plane or 'unknown'}"
        thickest = self.series.max_slice_thickness_mm
        if thickest is not None and (facts.slice_thickness_mm or float("inf")) > thickest:
            return "slices are too thick, or of unknown thickness"
        return ""

    def _expression_mismatch(self, facts: InstanceFacts) -> str:
        return "" if not self.expression or holds(self.expression, named(facts)) else f"not {self.expression}"


def named(facts: InstanceFacts) -> Mapping[str, Any]:
    """Return the facts that an expression may name, the longer side of the image in millimetres among them."""
    sides = (
        None if pixels is None or spacing is None else pixels * spacing
        for pixels, spacing in ((facts.rows, facts.row_spacing_mm), (facts.columns, facts.column_spacing_mm))
    )
    known = [side for side in sides if side is not None]
    return {**facts.model_dump(), "field_of_view_mm": max(known) if len(known) == 2 else None}


class ModelState(StrEnum):
    """Whether a model is used. `SHADOW`: its results are recorded and shown to nobody."""

    ON = "on"
    SHADOW = "shadow"
    OFF = "off"


class ModelRole(StrEnum):
    """`FINDING` looks for something; `AID` tells what kind of image it is, and flags nothing."""

    FINDING = "finding"
    AID = "aid"


class RegisteredModel(BaseModel):
    """A model the pipeline may route to.

    Parameters
    ----------
    model_id
        ``name@version``, the identity that results carry.
    bundle_sha256
        Digest of the bundle's files, so that a result names exactly what made it.
    bundle_key
        Key of the bundle's archive in the models bucket; "" for a bundle that every worker brings.
    concepts, sites
        Codes of what it can find, and of where in the body.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model_id: str = Field(pattern=r"^[a-z0-9_]+@[0-9A-Za-z.+-]+$")
    title: str
    intended_use: str
    rule: RoutingRule
    bundle_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bundle_key: str = ""
    role: ModelRole = ModelRole.FINDING
    state: ModelState = ModelState.ON
    concepts: tuple[Code, ...] = ()
    sites: tuple[Code, ...] = ()

    @property
    def name(self) -> str:
        """Return the name without the version."""
        return self.model_id.partition("@")[0]


class Route(BaseModel):
    """The routing of a study version.

    Parameters
    ----------
    models
        Those that apply and count.
    beside
        Those that apply and are recorded only: in shadow, or aids.
    not_applicable
        Why the others do not apply.
    """

    model_config = ConfigDict(frozen=True)

    models: tuple[str, ...]
    beside: tuple[str, ...] = ()
    not_applicable: dict[str, str]


@dataclass(frozen=True)
class Selection:
    """What of a study a rule selects.

    Parameters
    ----------
    instances
        In series and instance order; of one series only, where the rule is for volumes.
    passed_over
        Why each other series is not looked at, by Series Instance UID.
    reason
        Why nothing is selected; "" where something is.
    """

    instances: tuple[Instance, ...] = ()
    passed_over: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""


def select(rule: RoutingRule, instances: Iterable[Instance]) -> Selection:
    """Select the instances of a study that a model looks at.

    Parameters
    ----------
    rule
        The model's.
    instances
        Those of a study version; only stored ones can be selected.
    """
    stored = [each for each in instances if each.state is InstanceState.STORED]
    if not stored:
        return Selection(reason="no instance could be passed on")
    matching: dict[str, list[Instance]] = {}
    refused: dict[str, str] = {}
    for each in sorted(stored, key=_order):
        series, reason = each.facts.series_uid, rule.mismatch(each.facts)
        if reason:
            refused.setdefault(series, reason)
        else:
            matching.setdefault(series, []).append(each)
    passed_over = {series: reason for series, reason in refused.items() if series not in matching}
    if not matching:
        return Selection(passed_over=passed_over, reason="; ".join(sorted(set(refused.values()))[:3]))
    if rule.series is None:
        return _images(rule, matching, passed_over)
    return _volume(rule, rule.series, matching, passed_over)


def _order(instance: Instance) -> tuple[str, int, str]:
    return instance.facts.series_uid, instance.facts.instance_number or 0, instance.sop_uid


def _images(rule: RoutingRule, matching: dict[str, list[Instance]], passed_over: dict[str, str]) -> Selection:
    found = tuple(each for members in matching.values() for each in members)
    if len(found) < rule.min_instances:
        return Selection(passed_over=passed_over, reason=_too_few(len(found), rule))
    return Selection(found, passed_over)


def _volume(
    rule: RoutingRule, chosen: SeriesRule, matching: dict[str, list[Instance]], passed_over: dict[str, str]
) -> Selection:
    large = {uid: found for uid, found in matching.items() if _frames(found) >= rule.min_instances}
    small = {uid: _too_few(_frames(found), rule) for uid, found in matching.items() if uid not in large}
    if not large:
        return Selection(passed_over=passed_over | small, reason="; ".join(sorted(set(small.values()))[:3]))

    def rank(series: str) -> tuple[float, int, str]:
        found = large[series]
        thickness = max(each.facts.slice_thickness_mm or float("inf") for each in found)
        return (thickness if chosen.prefer == "thin" else 0.0, -_frames(found), series)

    best, *others = sorted(large, key=rank)
    not_best = dict.fromkeys(others, "another series of the study was preferred")
    return Selection(tuple(large[best]), passed_over | small | not_best)


def _frames(found: list[Instance]) -> int:
    return sum(each.facts.frames for each in found)


def _too_few(count: int, rule: RoutingRule) -> str:
    return f"only {count} of {rule.min_instances} instances needed"


def route(models: Iterable[RegisteredModel], instances: Iterable[Instance]) -> Route:
    """Choose the models for a study version.

    Parameters
    ----------
    models
        The registered models; those switched off are passed over with that reason.
    instances
        All instances of the study version, held ones included.

    Returns
    -------
    Route
        Model ids that apply, and the reason for each that does not.
    """
    everything = list(instances)
    chosen: list[str] = []
    beside: list[str] = []
    refused: dict[str, str] = {}
    for model in sorted(models, key=lambda each: each.model_id):
        off = model.state is ModelState.OFF
        reason = "the model is switched off" if off else select(model.rule, everything).reason
        if not reason:
            counts = model.state is ModelState.ON and model.role is ModelRole.FINDING
            (chosen if counts else beside).append(model.model_id)
        elif model.state is not ModelState.SHADOW and model.role is ModelRole.FINDING:
            refused[model.model_id] = reason
    return Route(models=tuple(chosen), beside=tuple(beside), not_applicable=refused)
