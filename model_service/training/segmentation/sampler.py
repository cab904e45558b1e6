"""Random patches of prepared cases: geometry by one resampling, then intensity."""

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional

from model_service.training.segmentation.config import AugmentConfig
from model_service.training.segmentation.data import Prepared


class PatchSampler:
    """Draw patches with random geometry and intensity.

    Parameters
    ----------
    config : AugmentConfig
        Ranges.
    patch : tuple of int
        Spatial shape of a patch.
    generator : torch.Generator
        Source of all randomness.
    """

    def __init__(self, config: AugmentConfig, patch: tuple[int, ...], generator: Generator) -> None:
        self._config = config
        self._patch = patch
        self._generator = generator

    def __call__(self, cases: list[Prepared]) -> tuple[Tensor, Tensor]:
        """Draw one patch per case.

        Returns
        -------
        tuple of torch.Tensor
            Images and targets, batch x channels x patch. Outside the image, the image is 0 (its mean) and the
            target background.
        """
        drawn = [self._draw(case) for case in cases]
        images, targets = (torch.stack(part) for part in zip(*drawn, strict=True))
        return self._intensity(images), targets

    def _draw(self, case: Prepared) -> tuple[Tensor, Tensor]:
        shape = torch.tensor(case.image.shape[1:], dtype=torch.float32)
        matrix = self._matrix(len(self._patch))
        axes = [torch.arange(n, dtype=torch.float32) - (n - 1) / 2 for n in self._patch]
        offsets = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
        points = offsets @ matrix.T + self._centre(shape)
        # grid_sample wants the fastest axis first, and -1 to 1 from first to last voxel.
        grid = (points / (shape - 1) * 2 - 1).flip(-1)[None]
        both = torch.cat([case.image, case.target])[None]
        drawn = functional.grid_sample(both, grid, padding_mode="zeros", align_corners=True)[0]
        image, target = drawn[: len(case.image)], drawn[len(case.image) :]
        if len(target) > 1:
            target = torch.cat([1 - target[1:].sum(dim=0, keepdim=True), target[1:]])
        return image, target

    def _centre(self, shape: Tensor) -> Tensor:
        middle = (shape - 1) / 2
        if self._config.centre == "image":
            return middle + self._symmetric(len(shape)) * self._config.translate
        inner = (shape - torch.tensor(self._patch)).clamp_min(0) / 2
        return middle + self._symmetric(len(shape)) * inner

    def _matrix(self, dimensions: int) -> Tensor:
        config = self._config
        matrix = torch.diag(
            (1 + self._symmetric(dimensions) * config.scale) * (1 + self._symmetric(1) * config.scale)
        )
        for axis in config.flip_axes:
            if self._uniform(1) < 0.5:
                matrix[:, axis] *= -1
        planes = [(0, 1)] if dimensions == 2 else [(0, 1), (0, 2), (1, 2)]
        for first, second in planes:
            angle = float(self._symmetric(1)) * math.radians(config.rotate_degrees)
            turn = torch.eye(dimensions)
            turn[first, first] = turn[second, second] = math.cos(angle)
            turn[first, second], turn[second, first] = -math.sin(angle), math.sin(angle)
            matrix = turn @ matrix
        return matrix

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self._generator)

    def _symmetric(self, *shape: int) -> Tensor:
        return self._uniform(*shape) * 2 - 1

    def _maybe(self, count: int, dimensions: int) -> Tensor:
        chosen = self._uniform(count) < self._config.probability
        return chosen.float().view(count, 1, *([1] * dimensions))

    def _intensity(self, images: Tensor) -> Tensor:
        config, count, channels = self._config, images.shape[0], images.shape[1]
        dimensions = images.dim() - 2
        ones = [1] * dimensions
        images = self._gamma(images)
        gain = 1 + self._symmetric(count, channels, *ones) * config.gain * self._maybe(count, dimensions)
        offset = self._symmetric(count, channels, *ones) * config.offset * self._maybe(count, dimensions)
        images = images * gain + offset
        coarse = self._symmetric(count, 1, *([4] * dimensions))
        mode = "bilinear" if dimensions == 2 else "trilinear"
        field = functional.interpolate(coarse, images.shape[2:], mode=mode, align_corners=True)
        images = images * (1 + field * config.bias_field * self._maybe(count, dimensions))
        images = self._blur(images)
        strength = self._uniform(count, 1, *ones) * config.noise * self._maybe(count, dimensions)
        return images + strength * torch.randn(images.shape, generator=self._generator)

    def _gamma(self, images: Tensor) -> Tensor:
        count, dimensions = images.shape[0], images.dim() - 2
        flat = images.flatten(2)
        low = flat.amin(dim=2).view(*images.shape[:2], *([1] * dimensions))
        high = flat.amax(dim=2).view(*images.shape[:2], *([1] * dimensions))
        span = (high - low).clamp_min(1e-3)
        exponent = torch.exp(self._symmetric(count, 1, *([1] * dimensions)) * self._config.log_gamma)
        exponent = exponent ** self._maybe(count, dimensions)
        return ((images - low) / span).clamp(0, 1).pow(exponent) * span + low

    def _blur(self, images: Tensor) -> Tensor:
        channels, dimensions = images.shape[1], images.dim() - 2
        sigma = 0.3 + float(self._uniform(1)) * self._config.blur_sigma
        radius = max(1, math.ceil(2 * sigma))
        kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma) ** 2)
        kernel = kernel / kernel.sum()
        conv = functional.conv2d if dimensions == 2 else functional.conv3d
        blurred = functional.pad(images, (radius,) * (2 * dimensions), mode="replicate")
        for axis in range(dimensions):
            shape = [1, 1] + [1] * dimensions
            shape[2 + axis] = -1
            weight = kernel.view(shape).expand(channels, *kernel.view(shape).shape[1:])
            blurred = conv(blurred, weight, groups=channels)
        # A negative weight sharpens.
        amount = (self._uniform(len(images), 1, *([1] * dimensions)) * 1.5 - 0.5) * self._maybe(
            len(images), dimensions
        )
        return torch.lerp(images, blurred, amount.expand_as(images))
