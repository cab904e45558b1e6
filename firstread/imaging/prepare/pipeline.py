"""Steps one after the other, as data: from YAML, to YAML, and with a record of what each found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

from firstread import __version__
from firstread.imaging.prepare.anatomy import BodyMask, BrainMask, LungMask
from firstread.imaging.prepare.base import References
from firstread.imaging.prepare.intensity import BiasField, Percentiles, Window, ZScore
from firstread.imaging.prepare.register import Register
from firstread.imaging.prepare.spatial import (
    CropOrPad,
    CropToForeground,
    CropToMask,
    Reorient,
    Resample,
    ResampleLike,
)
from firstread.imaging.prepare.subject import Mask, PrepareError, Subject
from firstread.imaging.volume import Volume

if TYPE_CHECKING:
    import SimpleITK

AnyStep = Annotated[
    Resample
    | ResampleLike
    | Reorient
    | CropToMask
    | CropToForeground
    | CropOrPad
    | Window
    | ZScore
    | Percentiles
    | BiasField
    | Register
    | BodyMask
    | LungMask
    | BrainMask,
    Field(discriminator="kind"),
]


@dataclass(frozen=True)
class Prepared(Subject):
    """What came of a pipeline.

    Parameters
    ----------
    record
        For a sidecar, as JSON has it: version of FirstRead, and each step with all its parameters, what it found
        out, and the grid after it.
    """

    record: Mapping[str, Any] = field(default_factory=dict)


class Pipeline(BaseModel):
    """Steps, in their order.

    Parameters
    ----------
    steps
        Each with its `kind` and parameters.

    Examples
    --------
    >>> Pipeline.from_yaml("steps: [{kind: reorient, towards: RAS}]").steps[0].kind
    'reorient'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: tuple[AnyStep, ...]

    @property
    def makes(self) -> tuple[str, ...]:
        """Return the names of the masks that its steps add."""
        return tuple(each.makes for each in self.steps if each.makes)

    @property
    def refers_to(self) -> frozenset[str]:
        """Return the names of the references of its steps."""
        return frozenset(each.refers_to for each in self.steps if each.refers_to)

    @classmethod
    def from_yaml(cls, source: Path | str) -> Self:
        """Read a pipeline.

        Parameters
        ----------
        source
            A file, or its text: a string is a file's name where it is one line that ends in ``.yaml`` or ``.yml``.

        Raises
        ------
        ValueError
            If it is no YAML, or no pipeline; says where.
        OSError
            If the file cannot be read.
        """
        import yaml

        is_name = isinstance(source, Path) or ("\n" not in source and source.endswith((".yaml", ".yml")))
        text = Path(source).read_text(encoding="utf-8") if is_name else str(source)
        try:
            found = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ValueError(f"no YAML: {error}") from error
        return cls.model_validate(found)

    def to_yaml(self) -> str:
        """Return it as YAML with every parameter, defaults too: they may change with a version."""
        import yaml

        made: str = yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)
        return made

    def run(
        self,
        volume: Volume,
        masks: Mapping[str, Mask] | None = None,
        references: References | None = None,
    ) -> Prepared:
        """Do all steps.

        Parameters
        ----------
        volume
            Not changed.
        masks : mapping of str to numpy.ndarray, optional
            Slices x rows x columns, on the grid of the volume; bool, or uint8.
        references
            Volumes that `resample_like` and `register` name.

        Returns
        -------
        Prepared
            Volume, masks and record. The verdict stays what was found out about the series.

        Raises
        ------
        PrepareError
            With a reason, and the step that cannot do what it is asked to.
        """
        subject = Subject(volume, dict(masks or {}))
        steps: list[dict[str, object]] = []
        for number, step in enumerate(self.steps, 1):
            try:
                subject, figures = step.run(subject, references or {})
            except PrepareError as error:
                raise PrepareError(error.reason, f"{number} {step.kind}") from None
            steps.append(
                step.model_dump(mode="json")
                | {
                    "figures": figures,
                    "shape": list(subject.shape),
                    "spacing_mm": [round(each, 6) for each in subject.volume.spacing_mm],
                }
            )
        return Prepared(subject.volume, subject.masks, {"firstread": __version__, "steps": steps})

    def sitk(
        self,
        image: "SimpleITK.Image",
        *,
        modality: str = "",
        units: str = "",
        references: References | None = None,
    ) -> "SimpleITK.Image":
        """Do all steps to a SimpleITK image.

        Parameters
        ----------
        image
            Of three dimensions, and one number for each voxel.
        modality, units
            Of the image, as of `Volume`; where they are not known, steps for one modality believe that it is right.
        references
            As of `run`.

        Raises
        ------
        PrepareError
            As `run`.
        """
        from firstread.imaging.prepare.adapters import volume_of

        return self.run(volume_of(image, modality, units), references=references).volume.to_sitk()
