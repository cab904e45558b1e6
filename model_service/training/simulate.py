"""Images that are drawn or recomputed, for training only: what belongs to no class, and heads as MR shows them."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter, ImageFont

_SIDE = 192
_WORDS = "name date study series patient left right report result normal view page total list".split()
Generator = np.random.Generator


def draw(generator: Generator) -> Image.Image:
    """Draw an image of no class: noise, clouds, shapes, a page of text or a chart, sometimes in colour.

    Parameters
    ----------
    generator : numpy.random.Generator
        Decides everything.

    Returns
    -------
    PIL.Image.Image
        RGB, 192 x 192.
    """
    kinds: tuple[Callable[[Generator], Image.Image], ...] = (_noise, _clouds, _shapes, _text, _chart)
    return kinds[generator.integers(len(kinds))](generator)


def as_magnetic_resonance(image: Image.Image, generator: Generator) -> Image.Image:
    """Recompute a windowed head CT so that its parts have the brightness they have in MR.

    Bone, the brightest part of the CT, becomes dark; the skin around it bright; the brain keeps its detail at a
    level between, dark or bright fluid included. It is a rough simulation: real MR of whole heads from several
    places was not at hand.

    Parameters
    ----------
    image : PIL.Image.Image
        Head CT whose window makes bone white.
    generator : numpy.random.Generator
        Decides levels and blur.

    Returns
    -------
    PIL.Image.Image
        Greyscale.
    """
    smooth = image.convert("L").filter(ImageFilter.GaussianBlur(float(generator.uniform(0.3, 0.8))))
    values = np.asarray(smooth, dtype=np.float32) / 255.0
    bone = values > generator.uniform(0.72, 0.85)
    inside = _enclosed(bone)
    skin = ~inside & ~bone & (values > 0.22)
    detail = np.clip((values - 0.25) / 0.4, 0, 1) ** generator.uniform(0.6, 1.4)
    if generator.random() < 0.4:
        detail = 1 - detail  # fluid is bright, as T2-weighting shows it
    brain = generator.uniform(0.15, 0.35) + generator.uniform(0.3, 0.5) * detail
    result = np.zeros_like(values)
    result[inside] = brain[inside]
    result[bone] = generator.uniform(0.02, 0.2)
    result[skin] = generator.uniform(0.3, 1.0)
    drawn = Image.fromarray((np.clip(result, 0, 1) * 255).astype(np.uint8))
    return drawn.filter(ImageFilter.GaussianBlur(float(generator.uniform(0.4, 0.9))))


def _enclosed(bone: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return what lies between bone in all four directions."""
    sides = [
        np.maximum.accumulate(bone, axis=0),
        np.maximum.accumulate(bone[::-1], axis=0)[::-1],
        np.maximum.accumulate(bone, axis=1),
        np.maximum.accumulate(bone[:, ::-1], axis=1)[:, ::-1],
    ]
    return np.asarray(np.logical_and.reduce(sides) & ~bone, dtype=np.bool_)


def _colour(generator: Generator) -> tuple[int, int, int]:
    if generator.random() < 0.5:
        return (int(generator.integers(256)),) * 3
    red, green, blue = (int(value) for value in generator.integers(0, 256, 3))
    return red, green, blue


def _canvas(generator: Generator) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGB", (_SIDE, _SIDE), _colour(generator))
    return image, ImageDraw.Draw(image)


def _noise(generator: Generator) -> Image.Image:
    cells = int(generator.integers(4, _SIDE))
    channels = 3 if generator.random() < 0.4 else 1
    values = generator.integers(0, 256, (cells, cells, channels), dtype=np.uint8)
    return Image.fromarray(np.repeat(values, 3 // channels, axis=2)).resize((_SIDE, _SIDE))


def _clouds(generator: Generator) -> Image.Image:
    total = np.zeros((_SIDE, _SIDE), np.float32)
    for octave in range(1, 7):
        cells = generator.random((2**octave, 2**octave)).astype(np.float32)
        layer = Image.fromarray(cells).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
        total += np.asarray(layer) * generator.uniform(0.4, 0.7) ** octave
    total = (total - total.min()) / (total.max() - total.min())
    tint = np.array(_colour(generator), np.float32)
    return Image.fromarray((total[..., None] * tint).astype(np.uint8))


def _shapes(generator: Generator) -> Image.Image:
    image, pen = _canvas(generator)
    for _ in range(int(generator.integers(1, 12))):
        left, top = (int(v) for v in generator.integers(-20, _SIDE, 2))
        box = (left, top, left + int(generator.integers(4, 140)), top + int(generator.integers(4, 140)))
        outline = generator.random() < 0.3
        fill, line = (None, _colour(generator)) if outline else (_colour(generator), None)
        (pen.ellipse if generator.random() < 0.5 else pen.rectangle)(box, fill=fill, outline=line, width=3)
    return image.filter(ImageFilter.GaussianBlur(float(generator.uniform(0, 3))))


def _text(generator: Generator) -> Image.Image:
    image, pen = _canvas(generator)
    ink, size = _colour(generator), int(generator.integers(8, 26))
    font = ImageFont.load_default(size)
    for row in range(4, _SIDE, size + 4):
        words = generator.choice(_WORDS, int(generator.integers(1, 8)))
        pen.text((int(generator.integers(2, 40)), row), " ".join(words), fill=ink, font=font)
    return image


def _chart(generator: Generator) -> Image.Image:
    image, pen = _canvas(generator)
    ink, count = _colour(generator), int(generator.integers(3, 30))
    heights = generator.integers(4, _SIDE - 8, count)
    step = _SIDE / count
    if generator.random() < 0.5:
        for number, height in enumerate(heights):
            left = int(number * step)
            pen.rectangle((left, _SIDE - int(height), left + max(1, int(step * 0.7)), _SIDE), fill=ink)
    else:
        points = [(int(number * step), int(height)) for number, height in enumerate(heights)]
        pen.line(points, fill=ink, width=int(generator.integers(1, 5)))
    return image
