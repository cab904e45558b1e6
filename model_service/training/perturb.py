"""Changes that ask a model what it relies on: N x channels x height x width in [0, 1] in, and out."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

Perturbation = Callable[[Tensor], Tensor]

BORDER = 0.15
CHANGED = 400
"""At most so many images, evenly spread over the test split, are scored after each change."""


def border_mask(height: int, width: int, border: float = BORDER) -> Tensor:
    """Return a boolean height x width mask of the outer frame.

    Examples
    --------
    >>> int(border_mask(100, 100).sum())
    5100
    """
    row, column = round(height * border), round(width * border)
    mask = torch.ones(height, width, dtype=torch.bool)
    mask[row : height - row, column : width - column] = False
    return mask


def hide_border(batch: Tensor, border: float = BORDER) -> Tensor:
    """Cover the outer frame with each image's median."""
    height, width = batch.shape[-2:]
    return _cover(batch, border_mask(height, width, border))


def hide_centre(batch: Tensor) -> Tensor:
    """Cover all but the outer frame with each image's median."""
    return _cover(batch, ~border_mask(*batch.shape[-2:]))


def lung_fields(height: int, width: int) -> Tensor:
    """Return a boolean height x width mask of where the lungs lie on a frontal chest image: two ellipses.

    A template, not a segmentation: opacities make lungs as bright as their surroundings, so a mask made from
    brightness would follow the disease.
    """
    row = ((torch.arange(height) + 0.5) / height).view(-1, 1)
    column = ((torch.arange(width) + 0.5) / width).view(1, -1)
    ellipses = [((column - x) / 0.19) ** 2 + ((row - 0.5) / 0.36) ** 2 <= 1 for x in (0.29, 0.71)]
    return ellipses[0] | ellipses[1]


def hide_lungs(batch: Tensor) -> Tensor:
    """Cover the lung fields with each image's median."""
    return _cover(batch, lung_fields(*batch.shape[-2:]))


def only_lungs(batch: Tensor) -> Tensor:
    """Cover all but the lung fields with each image's median."""
    return _cover(batch, ~lung_fields(*batch.shape[-2:]))


def hide_overlays(batch: Tensor) -> Tensor:
    """Fill thin bright structures (calipers, letters, dotted lines) with what surrounds them.

    Thin and bright is what a morphological opening of 5 x 5 pixels takes away; tissue interfaces that look so
    are taken away with it.
    """
    opened = functional.max_pool2d(-functional.max_pool2d(-batch, 5, 1, 2), 5, 1, 2)
    thin = functional.max_pool2d(((batch - opened > 0.3) & (batch > 0.6)).float(), 3, 1, 1) > 0
    return torch.where(thin, functional.avg_pool2d(opened, 7, 1, 3, count_include_pad=False), batch)


def half_resolution(batch: Tensor) -> Tensor:
    """Reduce to half the resolution and back."""
    side = batch.shape[-2:]
    small = functional.interpolate(
        batch, scale_factor=0.5, mode="bilinear", antialias=True, align_corners=False
    )
    return functional.interpolate(small, side, mode="bilinear", align_corners=False)


def noisy(batch: Tensor) -> Tensor:
    """Add Gaussian noise of 0.05, the same on every call."""
    noise = torch.randn(batch.shape, generator=torch.Generator().manual_seed(0))
    return (batch + 0.05 * noise).clamp(0, 1)


def gamma(exponent: float) -> Perturbation:
    """Return a change that raises values to a power."""
    return lambda batch: batch.pow(exponent)


def low_contrast(batch: Tensor) -> Tensor:
    """Squeeze values into [0.3, 0.6]."""
    return 0.3 + 0.3 * batch


def clipped(batch: Tensor) -> Tensor:
    """Window narrowly, so that the darkest and brightest fifth of the range saturate."""
    return ((batch - 0.2) / 0.6).clamp(0, 1)


def letterboxed(batch: Tensor) -> Tensor:
    """Shrink into a black frame, as wide collimation does."""
    height, width = batch.shape[-2:]
    inner = (round(height * 0.8), round(width * 0.8))
    small = functional.interpolate(batch, inner, mode="bilinear", antialias=True, align_corners=False)
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    return functional.pad(small, (left, width - inner[1] - left, top, height - inner[0] - top))


UNCHANGED: dict[str, Perturbation] = {"unchanged": lambda batch: batch}
SHORTCUTS: dict[str, Perturbation] = {
    "border_of_0.10_hidden": lambda batch: hide_border(batch, 0.10),
    "border_of_0.15_hidden": hide_border,
    "only_border_of_0.15_visible": hide_centre,
}
SPECIAL: dict[str, Perturbation] = {
    "lung_fields_hidden": hide_lungs,
    "only_lung_fields_visible": only_lungs,
    "thin_bright_overlays_hidden": hide_overlays,
}
"""Changes that make sense for some images only; a configuration asks for them by name."""
ROBUSTNESS: dict[str, Perturbation] = {
    "gamma_0.5": gamma(0.5),
    "gamma_2": gamma(2.0),
    "low_contrast": low_contrast,
    "clipped_window": clipped,
    "half_resolution": half_resolution,
    "noise_0.05": noisy,
    "letterboxed": letterboxed,
    "mirrored": lambda batch: batch.flip(-1),
    "inverted_polarity": lambda batch: 1 - batch,
}


def _cover(batch: Tensor, mask: Tensor) -> Tensor:
    median = batch.flatten(2).median(dim=2).values[..., None, None]
    return torch.where(mask, median, batch)
