"""Registration of a volume to a reference by one rigid or affine transform, with SimpleITK."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from firstread.imaging.prepare.base import Figures, References, Step, digest_of, reference
from firstread.imaging.prepare.grids import Interpolation, resample
from firstread.imaging.prepare.subject import PrepareError, PrepareReason, Subject
from firstread.imaging.slices import Matrix
from firstread.imaging.volume import Volume, image_of

if TYPE_CHECKING:
    import SimpleITK

_LEVELS = ((4, 2.0), (2, 1.0), (1, 0.0))  # shrink factor, and smoothing in voxels
_FEWEST = 8  # voxels of an axis, on each level; on fewer anything is found


class Register(Step):
    """Move a volume, its masks along, onto a reference of the same anatomy, and onto its grid.

    Parameters
    ----------
    reference
        Its name among the references.
    transform
        Rigid (three turns and three shifts), or affine.
    metric
        ``mutual_information`` (Mattes, 32 bins) between any modalities; ``correlation`` within one.
    start
        Whether the middles of both images, or of their brightness, lie on one another at first.
    sampling
        Share of the voxels that the metric looks at.
    seed
        Of the samples: the same seed gives the same transform.
    iterations
        At most, on each of three levels; of fewer where an axis has less than 32 voxels.
    interpolation, outside
        As of `Resample`.
    """

    kind: Literal["register"] = "register"
    reference: str
    transform: Literal["rigid", "affine"] = "rigid"
    metric: Literal["mutual_information", "correlation"] = "mutual_information"
    start: Literal["geometry", "moments"] = "geometry"
    sampling: Annotated[float, Field(gt=0, le=1)] = 0.2
    seed: Annotated[int, Field(ge=1, le=2**31 - 1)] = 1
    iterations: Annotated[int, Field(ge=1, le=2000)] = 200
    interpolation: Interpolation = "linear"
    outside: float | None = None

    @property
    def refers_to(self) -> str:
        """Return the name of its reference."""
        return self.reference

    def run(self, subject: Subject, references: References) -> tuple[Subject, Figures]:
        """Do it; refused for anything but one upright volume of 8 voxels each way that overlaps the reference.

        The figures have the metric (lower is better), the steps of the last level, the SHA-256 of the reference,
        and the transform: 4 x 4, from points of the reference to points of the volume, mm, LPS.
        A metric says little about whether anatomy lies on anatomy: look at what came of it.
        """
        subject.require()
        fixed = reference(references, self.reference)
        subject.chosen(None)
        smallest = min(*subject.shape, *Subject(fixed).shape)
        levels = [each for each in _LEVELS if smallest // each[0] >= _FEWEST]
        if not levels:
            raise PrepareError(PrepareReason.NOT_REGISTERED)
        matrix, figures = self._found(fixed, subject.volume, levels)
        made = resample(
            subject, fixed.affine, Subject(fixed).shape, self.interpolation, self.outside, transform=matrix
        )
        # Where its voxels lie is said in the coordinates of the reference from here on.
        made = replace(made, volume=replace(made.volume, frame_of_reference=fixed.frame_of_reference))
        return made, figures | {"reference_sha256": digest_of(fixed), "matrix": matrix.round(9).tolist()}

    def _found(
        self, reference: Volume, volume: Volume, levels: list[tuple[int, float]]
    ) -> tuple[Matrix, Figures]:
        import SimpleITK

        fixed, moving = (
            image_of(each.values.astype(np.float32), each.affine) for each in (reference, volume)
        )
        search = SimpleITK.ImageRegistrationMethod()
        if self.metric == "correlation":
            search.SetMetricAsCorrelation()
        else:
            search.SetMetricAsMattesMutualInformation(32)
        search.SetMetricSamplingStrategy(search.RANDOM)
        search.SetMetricSamplingPercentage(self.sampling, self.seed)
        search.SetInterpolator(SimpleITK.sitkLinear)
        search.SetOptimizerAsRegularStepGradientDescent(
            learningRate=2.0,
            minStep=1e-4,
            numberOfIterations=self.iterations,
            gradientMagnitudeTolerance=1e-8,
        )
        search.SetOptimizerScalesFromPhysicalShift()
        search.SetShrinkFactorsPerLevel([factor for factor, _ in levels])
        search.SetSmoothingSigmasPerLevel([sigma for _, sigma in levels])
        search.SmoothingSigmasAreSpecifiedInPhysicalUnitsOff()
        search.SetNumberOfThreads(1)  # sums in one order: the same transform on each machine
        begun = SimpleITK.AffineTransform(3) if self.transform == "affine" else SimpleITK.Euler3DTransform()
        begin = SimpleITK.CenteredTransformInitializerFilter()
        begin.SetOperationMode(begin.MOMENTS if self.start == "moments" else begin.GEOMETRY)
        try:
            search.SetInitialTransform(begin.Execute(fixed, moving, begun), inPlace=False)
            found = search.Execute(fixed, moving)
        except RuntimeError:  # all samples of the reference lie beside the volume, or it has no brightness
            raise PrepareError(PrepareReason.NOT_REGISTERED) from None
        figures: Figures = {
            "metric": float(search.GetMetricValue()),
            "last_level_iterations": int(search.GetOptimizerIteration()),
        }
        return _matrix(found), figures


def _matrix(transform: "SimpleITK.Transform") -> Matrix:
    """Return a linear transform as a matrix, whatever its centre is."""
    zero = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    made = np.eye(4)
    made[:3, 3] = zero
    for axis, unit in enumerate(np.eye(3)):
        made[:3, axis] = np.array(transform.TransformPoint(unit.tolist())) - zero
    return made
