"""What does the cheap look at pixels miss, what does it stop for nothing, and how long does it take?

Lines of text are drawn into real images: fonts of this machine and a bitmap font, 8 to 40 pixels, contrasts from an
eighth of the image's range, soft and hard edges, outlined, on a black box, dark on bright. Clean images are the same
images before. Without the shared data, pydicom's samples alone are measured.
"""

import random
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from PIL import Image, ImageDraw, ImageFont
from pydicom.data import get_testdata_file

from benchmarks import page
from firstread.deid.burned_in.prefilter import may_have_text

Array = npt.NDArray[Any]

TITLE = "Burned-in text: the cheap look"
SEED = 11
LINES = (
    *("QUIMBY^THEODORA", "MRN 99887766", "03/05/1962", "St. Elsewhere Hospital", "Dr. Fiscus 18:54:34"),
    *("Acc: A4711-22", "Smith, John", "LEE ANNA 62Y", "ID:4711892"),
)
SIZES = (8, 9, 10, 12, 14, 16, 20, 24, 32, 40)
CONTRASTS = (1.0, 0.5, 0.25, 0.125)
STYLES = ("soft", "hard", "outlined", "boxed", "dark")
READABLE = 4  # a contrast of so many standard deviations of what is under the text
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
FONTS = sorted(
    path
    for folder in ("dejavu", "liberation")
    for path in Path("/usr/share/fonts/truetype", folder).glob("*.ttf")
    if "MathTeX" not in path.name and "ExtraLight" not in path.name
)
SAMPLES = (
    *("CT_small.dcm", "MR_small.dcm", "693_UNCI.dcm", "RG1_UNCI.dcm", "RG3_UNCI.dcm", "MR2_UNCI.dcm"),
    *("JPEG2000.dcm", "emri_small.dcm", "eCT_Supplemental.dcm", "J2K_pixelrep_mismatch.dcm"),
)


@dataclass(frozen=True)
class Planted:
    """A line in an image: its height in pixels, and its contrast as a part of the range."""

    size: int
    contrast: float
    found: bool


def run() -> None:
    """Measure, print and write."""
    sets = {name: list(load()) for name, load in SETS.items()}
    rows = []
    for name, frames in sets.items():
        if not frames:
            continue
        stopped = sum(may_have_text(frame) for frame in frames)
        rows.append([name, str(len(frames)), str(stopped), f"{100 * stopped / len(frames):.1f} %"])
    lines = list(_planted([frame for frames in sets.values() for frame in frames]))
    body = "\n".join(
        [
            "Clean images, and how many of them are shown to the detector for nothing:",
            "",
            page.table(["images", "frames", "stopped", "part"], rows),
            "",
            f"{len(lines)} readable lines, one per image; the part that is found, by contrast and height of the font:",
            "",
            page.table(["contrast", "8-9 px", "10-16 px", "20-40 px", "all"], _recall(lines)),
            "",
            page.table(["frame", "ms"], _speed()),
        ]
    )
    print(f"{TITLE}\n\n{body}")
    page.write(TITLE, body)


def _recall(lines: list[Planted]) -> list[list[str]]:
    def part(chosen: list[Planted]) -> str:
        return f"{100 * sum(line.found for line in chosen) / max(1, len(chosen)):.2f} % of {len(chosen)}"

    rows = []
    for contrast in CONTRASTS:
        same = [line for line in lines if line.contrast == contrast]
        by_size = [
            part([line for line in same if low <= line.size <= high])
            for low, high in ((8, 9), (10, 16), (20, 40))
        ]
        rows.append([f"{contrast:g}", *by_size, part(same)])
    return rows


def _speed() -> list[list[str]]:
    rows = []
    grid = np.random.default_rng(SEED)
    for side, dtype in ((512, "uint16"), (512, "int16"), (1024, "uint8"), (2000, "uint16")):
        frame = grid.normal(1000 if dtype != "uint8" else 100, 12, (side, side)).astype(dtype)
        frame[: side // 4] = 0
        may_have_text(frame)
        times = []
        for _ in range(40):
            start = time.perf_counter()
            may_have_text(frame)
            times.append(time.perf_counter() - start)
        rows.append([f"{side} x {side} {dtype}", f"{1000 * sorted(times)[len(times) // 2]:.2f}"])
    return rows


def _planted(frames: list[Array]) -> Iterator[Planted]:
    chance = random.Random(SEED)
    for frame in frames:
        if min(frame.shape) < 128:
            continue
        for _ in range(8 if frame.size < 10**6 else 4):
            planted = plant(frame, chance)
            if planted is not None:
                written, size, contrast = planted
                yield Planted(size, contrast, may_have_text(written))


def plant(frame: Array, chance: random.Random) -> tuple[Array, int, float] | None:
    """Draw a readable line into a copy; None where no readable place was met in thirty attempts."""
    low, high = (float(limit) for limit in np.percentile(frame, (1, 99.5)))
    for _ in range(30):
        size, contrast, style = chance.choice(SIZES), chance.choice(CONTRASTS), chance.choice(STYLES)
        text, font = chance.choice(LINES), _font(chance, size)
        right, bottom = (int(side) + 4 for side in font.getbbox(text)[2:])
        if high <= low or right >= frame.shape[1] or bottom >= frame.shape[0]:
            continue
        left, top = chance.randrange(frame.shape[1] - right), chance.randrange(frame.shape[0] - bottom)
        place = np.s_[top : top + bottom, left : left + right]
        inked = _inked(
            frame[place].astype(float), text, font, style, contrast * (high - low), float(frame.min())
        )
        if inked is None:
            continue
        limits = np.iinfo(frame.dtype)
        written = frame.copy()
        written[place] = np.clip(np.rint(inked), limits.min, limits.max).astype(frame.dtype)
        return written, size, contrast
    return None


def _font(chance: random.Random, size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    if not FONTS or chance.random() < 0.1:
        return ImageFont.load_default_imagefont()
    return ImageFont.truetype(chance.choice(FONTS), size)


def _inked(
    under: Array,
    text: str,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    style: str,
    step: float,
    black: float,
) -> Array | None:
    """Return what is under a text with the text on it; None where nobody could read it."""
    ink = _cover(under.shape, text, font, hard=style == "hard")
    if style in ("outlined", "boxed"):
        boxed = style == "boxed" or isinstance(font, ImageFont.ImageFont)
        edge = np.ones(under.shape) if boxed else _cover(under.shape, text, font, around=1)
        under = under * (1 - edge) + black * edge
        return np.asarray(under * (1 - ink) + (black + step) * ink)
    value = float(np.median(under)) + (-step if style == "dark" else step)
    extreme = float(np.percentile(under, 5 if style == "dark" else 95))
    hidden = extreme < value + step / 2 if style == "dark" else extreme > value - step / 2
    if value < black or hidden or step < READABLE * float(under.std()):
        return None
    return np.asarray(under * (1 - ink) + value * ink)


def _cover(
    shape: tuple[int, ...],
    text: str,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    *,
    hard: bool = False,
    around: int = 0,
) -> Array:
    canvas = Image.new("L", (shape[1], shape[0]))
    draw = ImageDraw.Draw(canvas)
    draw.fontmode = "1" if hard else "L"
    draw.text((2, 2), text, fill=255, font=font, stroke_width=around)
    return np.asarray(canvas) / 255.0


def _series(folder: str) -> Callable[[], Iterator[Array]]:
    def load() -> Iterator[Array]:
        for path in sorted(SHARED.glob(f"{folder}/**/*")):
            if path.is_file():
                yield pydicom.dcmread(path).pixel_array

    return load


def _pictures(folder: str, count: int) -> Callable[[], Iterator[Array]]:
    def load() -> Iterator[Array]:
        paths = sorted(SHARED.glob(f"{folder}/*/*.jpeg"))
        for path in random.Random(SEED).sample(paths, min(count, len(paths))):
            yield np.asarray(Image.open(path).convert("L"))

    return load


def _samples() -> Iterator[Array]:
    for name in SAMPLES:
        path = get_testdata_file(name, download=False)
        if path is None:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pixels = pydicom.dcmread(str(path)).pixel_array
        yield from pixels[:: max(1, len(pixels) // 3)] if pixels.ndim == 3 else [pixels]


SETS: dict[str, Callable[[], Iterator[Array]]] = {
    "CT, torso": _series("ct-torso/example_ct_dicom"),
    "MR, brain": _series("mr-brain-dicom"),
    "chest X-rays, 224 x 224, after JPEG": _pictures("cxr-pneumonia", 200),
    "64 x 64 of six kinds, after JPEG": _pictures("mednist", 300),
    "pydicom's samples": _samples,
}
