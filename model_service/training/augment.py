"""Random changes of whole batches, each drawn per image.

The set was acquired as two populations, and a histogram alone tells its classes apart. So the intensity
changes are strong on purpose, and those that ranks cannot undo (clipping, bias field, blur, noise, borders)
matter most.
"""

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional

from model_service.training.config import AugmentConfig


class Augment:
    """Change a batch of images in [0, 1] at random.

    Parameters
    ----------
    config : AugmentConfig
        Ranges.
    generator : torch.Generator
        Source of all randomness.
    """

    def __init__(self, config: AugmentConfig, generator: Generator) -> None:
        self._config = config
        self._generator = generator

    def __call__(self, batch: Tensor) -> Tensor:
        """Return a changed copy of N x 1 x height x width values in [0, 1]."""
        batch = self._affine(batch)
        batch = self._tone(batch)
        batch = self._bias_field(batch)
        batch = self._sharpness(batch)
        batch = self._noise(batch)
        return self._border(batch)

    def _uniform(self, count: int, low: float, high: float) -> Tensor:
        return torch.rand(count, 1, 1, 1, generator=self._generator) * (high - low) + low

    def _chosen(self, count: int) -> Tensor:
        return torch.rand(count, 1, 1, 1, generator=self._generator) < self._config.probability

    def _affine(self, batch: Tensor) -> Tensor:
        count, config = len(batch), self._config
        angle = self._uniform(count, -1, 1).view(-1) * math.radians(config.rotate_degrees)
        scale = 1 + self._uniform(2 * count, -1, 1).view(2, -1) * config.scale
        shift = self._uniform(2 * count, -1, 1).view(2, -1) * 2 * config.translate
        mirror = torch.ones(count)
        if config.flip:
            mirror -= 2.0 * (self._uniform(count, 0, 1).view(-1) < 0.5)
        cos, sin = torch.cos(angle), torch.sin(angle)
        rows = [
            torch.stack([scale[0] * cos * mirror, -sin * scale[1], shift[0]], dim=1),
            torch.stack([scale[0] * sin * mirror, cos * scale[1], shift[1]], dim=1),
        ]
        grid = functional.affine_grid(torch.stack(rows, dim=1), list(batch.shape), align_corners=False)
        return functional.grid_sample(batch, grid, padding_mode="zeros", align_corners=False)

    def _tone(self, batch: Tensor) -> Tensor:
        count, config = len(batch), self._config
        low = self._uniform(count, 0, config.clip) * self._chosen(count)
        high = 1 - self._uniform(count, 0, config.clip) * self._chosen(count)
        windowed = ((batch - low) / (high - low)).clamp(0, 1)
        gamma = torch.exp(self._uniform(count, -config.log_gamma, config.log_gamma))
        return windowed.pow(gamma)

    def _bias_field(self, batch: Tensor) -> Tensor:
        count = len(batch)
        coarse = torch.rand(count, 1, 3, 3, generator=self._generator) * 2 - 1
        field = functional.interpolate(coarse, batch.shape[-2:], mode="bicubic", align_corners=True)
        strength = self._config.bias_field * self._chosen(count)
        return (batch * (1 + strength * field)).clamp(0, 1)

    def _sharpness(self, batch: Tensor) -> Tensor:
        count = len(batch)
        sigma = 0.3 + float(self._uniform(1, 0, 1)) * self._config.blur_sigma
        radius = max(1, math.ceil(2 * sigma))
        offsets = torch.arange(-radius, radius + 1, dtype=batch.dtype)
        kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
        kernel = kernel / kernel.sum()
        padded = functional.pad(batch, (radius,) * 4, mode="replicate")
        blurred = functional.conv2d(padded, kernel.view(1, 1, 1, -1))
        blurred = functional.conv2d(blurred, kernel.view(1, 1, -1, 1))
        # A negative weight sharpens, as the edge enhancement of some scanners does.
        weight = self._uniform(count, -0.6, 1.0) * self._chosen(count)
        return torch.lerp(batch, blurred, weight.expand_as(batch)).clamp(0, 1)

    def _noise(self, batch: Tensor) -> Tensor:
        count = len(batch)
        strength = self._uniform(count, 0, self._config.noise) * self._chosen(count)
        noise = torch.randn(batch.shape, generator=self._generator)
        return (batch + strength * noise).clamp(0, 1)

    def _border(self, batch: Tensor) -> Tensor:
        """Cover margins, as collimation does, with black, grey or white."""
        count, (height, width) = len(batch), batch.shape[-2:]
        margin = torch.rand(4, count, 1, 1, 1, generator=self._generator) * self._config.border
        margin = margin * torch.stack([self._chosen(count) for _ in range(4)])
        row = (torch.arange(height) / height).view(1, 1, -1, 1)
        column = (torch.arange(width) / width).view(1, 1, 1, -1)
        vertical = (row >= margin[0]) & (row < 1 - margin[1])
        horizontal = (column >= margin[2]) & (column < 1 - margin[3])
        level = self._uniform(count, -1.0, 1.0).clamp_min(0).expand_as(batch)
        return torch.where(vertical & horizontal, batch, level)
