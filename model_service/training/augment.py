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
        batch = self._affine(self._turned(self._marked(batch)))
        batch = self._tinted(self._tone(batch))
        batch = self._bias_field(batch)
        batch = self._sharpness(batch)
        batch = self._noise(batch)
        return self._inverted(self._border(batch))

    def _uniform(self, count: int, low: float, high: float) -> Tensor:
        return torch.rand(count, 1, 1, 1, generator=self._generator) * (high - low) + low

    def _chosen(self, count: int) -> Tensor:
        return torch.rand(count, 1, 1, 1, generator=self._generator) < self._config.probability

    def _marked(self, batch: Tensor) -> Tensor:
        """Draw crosses, dotted lines and letter-like boxes, as calipers and labels are burned in."""
        marked = batch.clone()
        height, width = batch.shape[-2:]
        for image, number in zip(marked, self._uniform(len(batch), 0, 1).view(-1), strict=True):
            if number >= self._config.marks:
                continue
            level = 0.7 + 0.3 * float(self._uniform(1, 0, 1))
            rows, columns = (torch.rand(2, 4, generator=self._generator) * 0.8 + 0.1).unbind()
            points = [(int(r * height), int(c * width)) for r, c in zip(rows, columns, strict=True)]
            arm = max(2, height // 60)
            for row, column in points[:2]:
                image[:, max(0, row - arm) : row + arm + 1, column] = level
                image[:, row, max(0, column - arm) : column + arm + 1] = level
            for share in torch.linspace(0, 1, max(2, height // 8)).tolist():
                row, column = (round(a + share * (b - a)) for a, b in zip(*points[:2], strict=True))
                image[:, row, column] = level
            row, column = points[2]
            letters = torch.rand(2 * arm, 8 * arm, generator=self._generator) < 0.5
            place = image[:, row : row + 2 * arm, column : column + 8 * arm]
            place[:, letters[: place.shape[1], : place.shape[2]]] = level
        return marked

    def _turned(self, batch: Tensor) -> Tensor:
        if not self._config.quarter_turns:
            return batch
        turns = torch.randint(0, 4, (len(batch),), generator=self._generator).tolist()
        return torch.stack([image.rot90(turn, (-2, -1)) for image, turn in zip(batch, turns, strict=True)])

    def _tinted(self, batch: Tensor) -> Tensor:
        """Take the colour away, or lay a cast or a coloured patch over the image."""
        if batch.shape[1] != 3 or not self._config.tint:
            return batch
        count, side = len(batch), batch.shape[-2:]
        chosen = torch.rand(count, 1, 1, 1, generator=self._generator)
        grey = batch.mean(dim=1, keepdim=True).expand_as(batch)
        cast = torch.rand(count, 3, 1, 1, generator=self._generator)
        patch = functional.interpolate(
            torch.rand(count, 1, 5, 5, generator=self._generator), side, mode="bicubic"
        )
        patch = (patch > 0.75) & (grey > 0.1)
        tint = self._config.tint
        batch = torch.where(chosen < tint, grey, batch)
        batch = torch.where((chosen > 1 - tint / 2), batch * (0.6 + 0.4 * cast), batch)
        return torch.where((chosen < tint / 3) & patch, cast.expand_as(batch), batch)

    def _inverted(self, batch: Tensor) -> Tensor:
        if not self._config.invert:
            return batch
        return torch.where(self._uniform(len(batch), 0, 1) < self._config.invert, 1 - batch, batch)

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
        # Black corners alone would become a mark of having been moved, which no image has at inference.
        padding = "zeros" if float(self._uniform(1, 0, 1)) < config.black_corners else "border"
        return functional.grid_sample(batch, grid, padding_mode=padding, align_corners=False)

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
        channels = batch.shape[1]
        across, down = (
            kernel.view(shape).repeat(channels, 1, 1, 1) for shape in ((1, 1, 1, -1), (1, 1, -1, 1))
        )
        blurred = functional.conv2d(functional.conv2d(padded, across, groups=channels), down, groups=channels)
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
