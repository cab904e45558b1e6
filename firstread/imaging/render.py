"""From stored values to what is shown: Modality LUT, VOI LUT, polarity, PNG (PS3.3 C.11.1 and C.11.2)."""

import io
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom.dataset import Dataset

from firstread.imaging.lookup import apply_table, functional_item, numbers, read_table
from firstread.imaging.pixels import Frame, PixelError, PixelReason, decode

Gray = npt.NDArray[np.float32]
Window = tuple[float, float]

_LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601, the Y of YBR_FULL
_FULL_RANGE = (0.1, 99.9)  # percentiles: a few hot pixels or a lead marker must not set the range
_MAX_STRETCH = 8.0  # more than eight to one is a wrong header, not a detector


def modality_values(dataset: Dataset, frame: int = 0) -> Gray:
    """Return one grayscale frame in the units of its modality, such as Hounsfield units.

    Parameters
    ----------
    dataset
        A grayscale image with its file meta information.
    frame
        Index of the frame, 0 first.

    Returns
    -------
    numpy.ndarray
        Rows x columns, float32, polarity and padding as stored.

    Raises
    ------
    PixelError
        If the frame cannot be decoded or is a colour frame.
    """
    decoded = decode(dataset, frame)
    if decoded.is_colour:
        raise PixelError(PixelReason.UNSUPPORTED_PHOTOMETRIC)
    return _modality(dataset, frame, decoded.stored)


def grayscale(dataset: Dataset, frame: int = 0, window: Literal["voi", "full"] = "voi") -> Gray:
    """Return one frame as brightness between 0 (black) and 1 (white), in MONOCHROME2 polarity.

    Parameters
    ----------
    dataset
        An image with its file meta information.
    frame
        Index of the frame, 0 first.
    window
        ``"voi"`` applies the VOI LUT or the first window of the dataset, where it has one, as for a reader.
        ``"full"`` ignores both: windows are set by whoever looked last, and a model must not depend on that.

    Returns
    -------
    numpy.ndarray
        Rows x columns, float32. Padding is black. Colour becomes luminance.

    Raises
    ------
    PixelError
        If the frame cannot be rendered.

    Examples
    --------
    >>> from pydicom import dcmread, examples
    >>> grayscale(dcmread(examples.get_path("ct"))).shape
    (128, 128)
    """
    decoded = decode(dataset, frame)
    if decoded.is_colour:
        return np.asarray(decoded.stored.astype(np.float32) @ _LUMINANCE / decoded.white, dtype=np.float32)
    return _shown(dataset, frame, decoded, window)


def colour(dataset: Dataset, frame: int = 0) -> Gray:
    """Return one frame as red, green and blue between 0 and 1; a grayscale frame, thrice its full-range brightness.

    Parameters
    ----------
    dataset
        An image with its file meta information.
    frame
        Index of the frame, 0 first.

    Returns
    -------
    numpy.ndarray
        Rows x columns x 3, float32.

    Raises
    ------
    PixelError
        If the frame cannot be rendered.
    """
    decoded = decode(dataset, frame)
    if decoded.is_colour:
        return np.asarray(decoded.stored.astype(np.float32) / decoded.white, dtype=np.float32)
    return np.repeat(_shown(dataset, frame, decoded, "full")[..., None], 3, axis=-1)


def to_png(
    dataset: Dataset, frame: int = 0, max_side: int = 2048, window: Window | Literal["voi", "full"] = "voi"
) -> bytes:
    """Return one frame as an 8-bit PNG as a reader sees it; colour stays colour, pixels become square.

    Parameters
    ----------
    dataset
        An image with its file meta information.
    frame
        Index of the frame, 0 first.
    max_side
        Larger images are reduced to this many pixels on their longer side.
    window
        As for `grayscale`, or Window Center and Window Width to apply to a grayscale frame instead.

    Raises
    ------
    PixelError
        If the frame cannot be rendered.
    """
    buffer = io.BytesIO()
    _square(_picture(dataset, frame, window), _pixel_shape(dataset, frame), (max_side, max_side)).save(
        buffer, "PNG", compress_level=1
    )
    return buffer.getvalue()


@dataclass(frozen=True)
class Rendering:
    """How a frame is rendered (PS3.18 8.3.5).

    Parameters
    ----------
    window
        As for `to_png`.
    size
        Columns and rows that the picture has to fit into; its proportions stay.
    region
        Left, top, width and height, in pixels of the frame, of what is shown; None for all of it.
    quality
        Of a JPEG, 1 to 100; None for a PNG.
    """

    window: Window | Literal["voi", "full"] = "voi"
    size: tuple[int, int] = (4096, 4096)
    region: tuple[float, float, float, float] | None = None
    quality: int | None = None


def render(dataset: Dataset, frame: int, how: Rendering) -> bytes:
    """Return one frame as a PNG or JPEG; colour stays colour, pixels become square.

    Parameters
    ----------
    dataset
        An image with its file meta information.
    frame
        Index of the frame, 0 first.
    how
        Window, size, region and format.

    Raises
    ------
    PixelError
        If the frame cannot be rendered, or the region is none of it.
    """
    image = _picture(dataset, frame, how.window)
    if how.region is not None:
        left, top, width, height = how.region
        box = tuple(round(each) for each in (left, top, left + width, top + height))
        if not (0 <= box[0] < box[2] <= image.width and 0 <= box[1] < box[3] <= image.height):
            raise PixelError(PixelReason.NO_SUCH_REGION)
        image = image.crop((box[0], box[1], box[2], box[3]))
    image = _square(image, _pixel_shape(dataset, frame), how.size)
    buffer = io.BytesIO()
    if how.quality is None:
        image.save(buffer, "PNG", compress_level=1)
    else:
        image.save(buffer, "JPEG", quality=how.quality)
    return buffer.getvalue()


def _picture(dataset: Dataset, frame: int, window: Window | Literal["voi", "full"]) -> Image.Image:
    decoded = decode(dataset, frame)
    if decoded.is_colour:
        scaled = decoded.stored.astype(np.float32) * (255.0 / decoded.white)
        return Image.fromarray(np.clip(np.rint(scaled), 0, 255).astype(np.uint8))
    shown = _shown(dataset, frame, decoded, window)
    return Image.fromarray(np.rint(shown * 255.0).astype(np.uint8))


def _shown(dataset: Dataset, frame: int, decoded: Frame, window: Window | Literal["voi", "full"]) -> Gray:
    padding = _padding(dataset, decoded.stored)
    values = _modality(dataset, frame, decoded.stored)
    if window == "full":
        shown = None
    elif window == "voi":
        shown = _voi(dataset, frame, values)
    else:
        shown = _windowed(values, *_checked(window), _function(dataset, frame))
    if shown is None:
        shown = _full_range(values, padding)
    if decoded.inverted:
        shown = 1.0 - shown
    if padding is not None:
        # Padding is outside the image whatever its value and polarity (PS3.3 C.7.5.1.1.2).
        shown[padding] = 0.0
    return shown.astype(np.float32, copy=False)


def _checked(window: Window) -> Window:
    center, width = window
    if not (np.isfinite(center) and np.isfinite(width) and width > 0 and max(abs(center), width) < 1e9):
        raise PixelError(PixelReason.BAD_WINDOW)
    return center, width


def _padding(dataset: Dataset, stored: npt.NDArray[Any]) -> npt.NDArray[np.bool_] | None:
    value = numbers(dataset, "PixelPaddingValue")
    if not value:
        return None
    limit = numbers(dataset, "PixelPaddingRangeLimit") or value
    low, high = sorted((value[0], limit[0]))
    mask: npt.NDArray[np.bool_] = (stored >= low) & (stored <= high)
    return mask if mask.any() else None


def _modality(dataset: Dataset, frame: int, stored: npt.NDArray[Any]) -> Gray:
    """Apply the Modality LUT or Rescale Slope and Intercept (PS3.3 C.11.1)."""
    items = dataset.get("ModalityLUTSequence")
    if items:
        try:
            table, first, _ = read_table(items[0])
        except Exception:
            raise PixelError(PixelReason.BAD_LOOKUP_TABLE) from None
        return apply_table(stored, table, first).astype(np.float32)
    source = functional_item(dataset, frame, "PixelValueTransformationSequence")
    slope = numbers(source, "RescaleSlope") or (1.0,)
    intercept = numbers(source, "RescaleIntercept") or (0.0,)
    return stored.astype(np.float32) * np.float32(slope[0]) + np.float32(intercept[0])


def _voi(dataset: Dataset, frame: int, values: Gray) -> Gray | None:
    """Apply the first VOI LUT, else the first window; None where there is neither (PS3.3 C.11.2)."""
    items = dataset.get("VOILUTSequence")
    if items:
        try:
            table, first, white = read_table(items[0])
        except Exception:
            raise PixelError(PixelReason.BAD_LOOKUP_TABLE) from None
        return _unit(apply_table(np.rint(values), table, first) / white)
    source = functional_item(dataset, frame, "FrameVOILUTSequence")
    center, width = numbers(source, "WindowCenter"), numbers(source, "WindowWidth")
    if not center or not width or width[0] <= 0:
        return None  # a window without width says nothing, so the full range is shown instead
    return _windowed(values, center[0], width[0], _function(dataset, frame))


def _function(dataset: Dataset, frame: int) -> str:
    source = functional_item(dataset, frame, "FrameVOILUTSequence")
    return str(source.get("VOILUTFunction") or "LINEAR").strip()


def _windowed(values: Gray, center: float, width: float, function: str) -> Gray:
    """Apply a window by its VOI LUT Function (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""
    if function == "SIGMOID":
        exponent = np.clip(-4.0 * (values - center) / width, -60.0, 60.0)
        return np.asarray(1.0 / (1.0 + np.exp(exponent)), dtype=np.float32)
    if function == "LINEAR_EXACT":
        return _unit((values - center) / width + 0.5)
    if width <= 1.0:
        return (values > center - 0.5).astype(np.float32)
    return _unit((values - (center - 0.5)) / (width - 1.0) + 0.5)


def _unit(values: npt.NDArray[Any]) -> Gray:
    return np.asarray(np.clip(values, 0.0, 1.0), dtype=np.float32)


def _full_range(values: Gray, padding: npt.NDArray[np.bool_] | None) -> Gray:
    inside = values if padding is None else values[~padding]
    inside = inside[np.isfinite(inside)]
    if inside.size == 0:
        return np.zeros_like(values)
    low, high = (float(limit) for limit in np.percentile(inside, _FULL_RANGE))
    if high <= low:
        # Nearly every pixel is alike: what little differs is then all there is to see.
        low, high = float(inside.min()), float(inside.max())
    if high <= low:
        return np.zeros_like(values)
    return _unit((np.nan_to_num(values, nan=low) - low) / (high - low))


def _pixel_shape(dataset: Dataset, frame: int) -> float:
    """Return height / width of a pixel."""
    measures = functional_item(dataset, frame, "PixelMeasuresSequence")
    pairs = (
        numbers(measures, "PixelSpacing"),  # row spacing \ column spacing, PS3.3 10.7.1.3
        numbers(dataset, "ImagerPixelSpacing"),
        numbers(dataset, "NominalScannedPixelSpacing"),
        numbers(dataset, "PixelAspectRatio"),  # vertical \ horizontal, PS3.3 C.7.6.3.1.7
    )
    for pair in pairs:
        if len(pair) == 2 and min(pair) > 0:
            ratio = pair[0] / pair[1]
            return ratio if 1 / _MAX_STRETCH <= ratio <= _MAX_STRETCH else 1.0
    return 1.0


def _square(image: Image.Image, shape: float, fits: tuple[int, int]) -> Image.Image:
    """Stretch the axis with the larger pixels, so that no sample is lost, then reduce to what fits."""
    width = image.width * max(1.0, 1.0 / shape)
    height = image.height * max(1.0, shape)
    scale = min(1.0, fits[0] / width, fits[1] / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if size == image.size:
        return image
    reduces = size[0] < image.width or size[1] < image.height
    return image.resize(size, Image.Resampling.LANCZOS if reduces else Image.Resampling.BILINEAR)
