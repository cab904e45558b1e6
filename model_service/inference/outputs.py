"""What logits and maps mean by the manifest: probabilities, label maps, boxes."""

import numpy as np
import numpy.typing as npt

from model_service.errors import BundleError
from model_service.inference.images import Area, PreparedImage
from model_service.inference.intensity import Array
from model_service.manifest import Calibration, Classification, Detection, Recognition, Segmentation
from model_service.prediction import Box, Classified, Detected, LabelMap

Doubles = npt.NDArray[np.float64]


def sigmoid(logits: npt.NDArray[np.floating], calibration: Calibration) -> Doubles:
    """Return the logistic of logits / temperature + bias, in double precision."""
    scaled = logits.astype(np.float64) / calibration.temperature + calibration.bias
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-scaled)))


def softmax(logits: npt.NDArray[np.floating], calibration: Calibration) -> Doubles:
    """Return the softmax of logits / temperature over the first axis, in double precision."""
    scaled = logits.astype(np.float64) / calibration.temperature
    raised = np.exp(scaled - scaled.max(axis=0))
    return np.asarray(raised / raised.sum(axis=0))


def classified(
    output: Classification | Recognition, logits: Array, maps: Array | None, image: PreparedImage
) -> Classified:
    """Make probabilities of the logits of one image, and bring its activation maps to the source.

    Parameters
    ----------
    output : Classification or Recognition
        What the manifest says.
    logits : numpy.ndarray
        One per channel.
    maps : numpy.ndarray or None
        Channels x rows x columns, raw.
    image : PreparedImage
        What the network saw.
    """
    channels = [each.channel for each in output.classes]
    if logits.ndim != 1 or max(channels) >= len(logits):
        raise BundleError(f"the network gives {logits.shape} for an image, not the channels of the manifest")
    by_itself = isinstance(output, Classification) and output.activation == "sigmoid"
    found = (sigmoid if by_itself else softmax)(logits, output.calibration)
    shown: tuple[Array, ...] = ()
    if maps is not None and isinstance(output, Classification) and output.overlay is not None:
        scaled = np.clip(maps[channels] / np.float32(output.overlay.scale), 0, 1)
        shown = tuple(image.set_in(each) for each in scaled)
    return Classified(tuple(float(found[channel]) for channel in channels), shown)


class Labelling:
    """Label maps of (weighted sums of) logits; used as `windows.Reduce`.

    Parameters
    ----------
    output : Segmentation
        What the manifest says. With ``sigmoid`` the likelier of two segments wins where both reach the threshold.
    """

    def __init__(self, output: Segmentation) -> None:
        self._output = output
        threshold = min(max(output.threshold, 1e-7), 1 - 1e-7)
        self._logit = np.float32(np.log(threshold / (1 - threshold)))
        self._channels = len(output.segments) + (output.activation == "softmax")

    def __call__(self, logits: Array, weight: Array) -> LabelMap:
        """Return the label of each place: no softmax, no division, for neither changes which channel is largest."""
        if len(logits) != self._channels:
            raise BundleError(f"the network gives {len(logits)} channels, the segments need {self._channels}")
        labels, best = _largest_channel(logits)
        if self._output.activation == "sigmoid":
            labels += 1
            labels[best < weight * self._logit] = 0
        return labels

    def whole(self, logits: Array) -> LabelMap:
        """Return the label map of a network that saw everything at once."""
        return self(logits, np.ones(logits.shape[1:], np.float32))


def _largest_channel(logits: Array) -> tuple[LabelMap, Array]:
    """Return which channel is largest, and how large; the first of equals. Faster than `numpy.argmax` over axis 0."""
    best = logits[0].copy()
    labels = np.zeros(best.shape, np.uint8)
    for number, channel in enumerate(logits[1:], start=1):
        labels[channel > best] = number
        np.maximum(best, channel, out=best)
    return labels, best


def largest_parts(labels: LabelMap, segments: int) -> LabelMap:
    """Keep the largest connected part of each segment; faces connect, the first of equals stays."""
    from scipy import ndimage  # not part of the cold start of models that need none

    kept = np.zeros_like(labels)
    for number in range(1, segments + 1):
        parts, count = ndimage.label(labels == number)
        if count:
            sizes = np.bincount(parts.ravel())[1:]
            kept[parts == sizes.argmax() + 1] = number
    return kept


def scores(output: Detection, logits: Array, weight: Array) -> Array:
    """Return the blended logits of the detection's channel; used as `windows.Reduce`."""
    if output.channel >= len(logits):
        raise BundleError(f"the network gives {len(logits)} channels, not the one of the manifest")
    found: Array = logits[output.channel] / weight
    return found


def detected(output: Detection, logits: Array, image: PreparedImage) -> Detected:
    """Make boxes of a map of logits: connected parts, diagonals too, whose calibrated score is above the threshold.

    Parameters
    ----------
    output : Detection
        What the manifest says.
    logits : numpy.ndarray
        Rows x columns over what the network saw, of any resolution.
    image : PreparedImage
        What the network saw.
    """
    from scipy import ndimage

    score = sigmoid(logits, output.calibration)
    inside = _over(logits.shape, image)
    score[~inside] = 0.0  # padding is no finding
    parts, _ = ndimage.label(score > output.candidate_threshold, structure=np.ones((3, 3)))
    boxes = []
    for number, place in enumerate(ndimage.find_objects(parts), start=1):
        part = parts[place] == number
        if part.sum() >= output.min_pixels:
            area = Area(place[0].start, place[0].stop, place[1].start, place[1].stop)
            top, bottom, left, right = image.area_back(area, (logits.shape[0], logits.shape[1]))
            boxes.append(Box(float(score[place][part].max()), top, bottom, left, right))
    boxes.sort(key=lambda box: (-box.probability, box.top, box.left))
    return Detected(tuple(boxes[: output.max_boxes]), float(score.max()))


def _over(grid: tuple[int, ...], image: PreparedImage) -> npt.NDArray[np.bool_]:
    """Tell which places of a map lie over the content, at least in part."""
    rows, columns = (
        (np.arange(cells) + 1 > first * cells / side) & (np.arange(cells) < last * cells / side)
        for cells, side, first, last in zip(
            grid, image.values.shape[1:], image.content[::2], image.content[1::2], strict=True
        )
    )
    return np.asarray(rows[:, None] & columns)
