"""What does the cheap look at pixels miss, what does it stop for nothing, and how long does it take?

Lines of text are drawn into real images: fonts of this machine and a bitmap font, 8 to 40 pixels, contrasts from an
eighth of the image's range, soft and hard edges, outlined, on a black box, dark on bright. Clean images are the same
images before. The limits of the look were chosen on some of the images; the others were put aside and are measured
apart, and so are lines that went through JPEG after they were drawn. Without the shared data, pydicom's samples
alone are measured.
"""

import random
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
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
REPEATS = 200
LINES = (
    *("QUIMBY^THEODORA", "MRN 99887766", "03/05/1962", "St. Elsewhere Hospital", "Dr. Fiscus 18:54:34"),
    *("Acc: A4711-22", "Smith, John", "LEE ANNA 62Y", "ID:4711892"),
)
SIZES = (8, 9, 10, 12, 14, 16, 20, 24, 32, 40)
CONTRASTS = (1.0, 0.5, 0.25, 0.125)
STYLES = ("soft", "hard", "outlined", "boxed", "dark")
QUALITY = 75  # of JPEG
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
    chosen, others = ({name: list(load()) for name, load in sets.items()} for sets in (CHOSEN, OTHERS))
    body = "\n".join(
        [
            *("Clean images, and how many of them are shown to the detector for nothing:", ""),
            page.table(["images", "frames", "stopped", "part"], _stopped(chosen) + _stopped(others)),
            "",
            "Readable lines, one per image that is not stopped without: the part that is found, by contrast and height",
            "of the font.",
            "",
            *_section("Images on which the limits were chosen", chosen, _same),
            *_section("Other images", others, _same),
            *_section(
                f"Other images, JPEG of quality {QUALITY} after the line was drawn", others, _compressed
            ),
            page.table(["frame", "ms, fastest", "ms, median"], _speed(chosen)),
        ]
    )
    print(f"{TITLE}\n\n{body}")
    page.write(TITLE, body)


def _stopped(sets: dict[str, list[Array]]) -> list[list[str]]:
    rows = []
    for name, frames in sets.items():
        if frames:
            stopped = sum(may_have_text(frame) for frame in frames)
            rows.append([name, str(len(frames)), str(stopped), f"{100 * stopped / len(frames):.1f} %"])
    return rows


def _section(title: str, sets: dict[str, list[Array]], way: Callable[[Array], Array]) -> list[str]:
    lines = list(_planted([frame for frames in sets.values() for frame in frames], way))
    table = page.table(["contrast", "8-9 px", "10-16 px", "20-40 px", "all"], _recall(lines))
    return [f"{title}, {len(lines)} lines:", "", table, ""]


def _same(written: Array) -> Array:
    return written


def _compressed(written: Array) -> Array:
    low, high = int(written.min()), int(written.max())
    gray = ((written.astype(float) - low) * (255 / max(1, high - low))).astype(np.uint8)
    data = BytesIO()
    Image.fromarray(gray).save(data, "jpeg", quality=QUALITY)
    return np.asarray(Image.open(data))


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


def _speed(sets: dict[str, list[Array]]) -> list[list[str]]:
    rows = []
    for name, frame, turned in _timed(sets):
        times = []
        for _ in range(REPEATS):
            start = time.process_time()
            may_have_text(frame, turned=turned)
            times.append(1000 * (time.process_time() - start))
        rows.append([name, f"{min(times):.2f}", f"{sorted(times)[REPEATS // 2]:.2f}"])
    return rows


def _timed(sets: dict[str, list[Array]]) -> Iterator[tuple[str, Array, bool]]:
    """Yield frames without text: real ones, and noise as large as a radiograph's."""
    for name, frames in sets.items():
        quiet = [frame for frame in frames if frame.shape == (512, 512) and not may_have_text(frame)]
        if quiet:
            yield f"{name}, 512 x 512 {quiet[0].dtype}", quiet[len(quiet) // 2], False
    grid = np.random.default_rng(SEED)
    for side, dtype, turned in (
        (512, "uint16", False),
        (1024, "uint8", False),
        (2000, "uint16", False),
        (2000, "uint16", True),
    ):
        level, spread = (100, 4) if dtype == "uint8" else (1000, 12)
        frame = grid.normal(level, spread, (side, side)).astype(dtype)
        frame[: side // 4] = 0
        yield f"noise, {side} x {side} {dtype}{', both ways' * turned}", frame, turned


def _planted(frames: list[Array], way: Callable[[Array], Array]) -> Iterator[Planted]:
    chance = random.Random(SEED)
    for frame in frames:
        if min(frame.shape) < 128 or may_have_text(way(frame)):  # would be found without the line
            continue
        for _ in range(8 if frame.size < 10**6 else 4):
            planted = plant(frame, chance)
            if planted is not None:
                written, size, contrast = planted
                yield Planted(size, contrast, may_have_text(way(written)))


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


def _pictures(pattern: str, count: int, *, chosen: bool = False) -> Callable[[], Iterator[Array]]:
    """Load as many pictures, of those on which the limits were chosen or of the rest."""

    def load() -> Iterator[Array]:
        paths = sorted(SHARED.glob(pattern))
        seen = random.Random(SEED).sample(paths, min(count, len(paths)))
        rest = sorted({*paths} - {*seen})
        for path in seen if chosen else random.Random(SEED).sample(rest, min(count, len(rest))):
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


CHOSEN: dict[str, Callable[[], Iterator[Array]]] = {
    "CT, torso": _series("ct-torso/example_ct_dicom"),
    "MR, brain": _series("mr-brain-dicom"),
    "chest X-rays, 224 x 224, after JPEG": _pictures("cxr-pneumonia/*/*.jpeg", 200, chosen=True),
    "64 x 64 of six kinds, after JPEG": _pictures("mednist/*/*.jpeg", 300, chosen=True),
    "pydicom's samples": _samples,
}
OTHERS: dict[str, Callable[[], Iterator[Array]]] = {
    "other chest X-rays": _pictures("cxr-pneumonia/*/*.jpeg", 200),
    "others, 64 x 64": _pictures("mednist/*/*.jpeg", 300),
    "ultrasound, 256 x 256, marks in some": _pictures("busi/*/*.png", 150),
}
