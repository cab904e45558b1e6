"""``input`` of a manifest, derived from the preprocessing and the inferer of a MONAI configuration."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from model_service.adding.resolver import Config
from model_service.errors import BundleError

Arguments = Mapping[str, Any]

_EIGHT_BITS = (0.0, 255.0)
# What changes the type, the device or the bookkeeping, and no value.
_NEUTRAL = frozenset(
    {
        "AddChannel",
        "AsChannelFirst",
        "CastToType",
        "CopyItems",
        "DeleteItems",
        "EnsureChannelFirst",
        "EnsureType",
        "Identity",
        "SaveImage",
        "SelectItems",
        "SqueezeDim",
        "ToDevice",
        "ToTensor",
    }
)
# Where and how fast windows are computed, and what is beyond the edge.
_SLIDING_NEUTRAL = (
    *("sw_batch_size", "sw_device", "device", "progress", "cache_roi_weight_map", "cpu_thresh"),
    *("buffer_steps", "buffer_dim", "padding_mode", "sigma_scale"),
)
_STATISTICS = ("minmax", "zscore")


@dataclass
class InputReader:
    """Goes through a preprocessing from its first step to its last.

    Parameters
    ----------
    config
        The configuration.
    dimensions
        Spatial ones, 2 or 3.
    channels
        Of the image.
    """

    config: Config
    dimensions: int
    channels: int
    remarks: list[str] = field(default_factory=list)
    _found: dict[str, Any] = field(default_factory=dict)
    _columns_first: bool = False
    _eight_bits: bool = False

    def read(self) -> dict[str, Any]:
        """Return ``input`` of a manifest.

        Raises
        ------
        BundleError
            If a step cannot be said in a manifest; names it.
        """
        if not self.config.has("preprocessing"):
            raise BundleError("inference configuration has no item preprocessing")
        for step, arguments, where in self.config.components("@preprocessing", "preprocessing"):
            if step in _NEUTRAL or not self._is_of_the_image(arguments, where):
                continue
            if step not in self.steps:
                raise BundleError(f"{where}: this step has no counterpart in a manifest")
            self.steps[step](arguments, where)
        self._inferer()
        return self._volume() if self.dimensions == 3 else self._image()

    @property
    def steps(self) -> Mapping[str, Callable[[Arguments, str], None]]:
        """Return the steps that have a counterpart in a manifest."""
        return {
            "LoadImage": self._load,
            "Orientation": self._orientation,
            "Spacing": self._spacing,
            "Resize": self._resize,
            "Transpose": self._transpose,
            "CropForeground": self._crop,
            "DivisiblePad": self._divisible,
            "SpatialPad": self._pad,
            "ScaleIntensity": self._scale,
            "ScaleIntensityRange": self._range,
            "ScaleIntensityRangePercentiles": self._percentiles,
            "NormalizeIntensity": self._normalize,
        }

    def _is_of_the_image(self, arguments: Arguments, where: str) -> bool:
        keys = self.config.data(arguments.get("keys", "image"), f"{where}.keys")
        return "image" in (keys if isinstance(keys, list) else [keys])

    def _value(self, arguments: Arguments, where: str, name: str, default: object) -> Any:  # noqa: ANN401 - JSON
        return self.config.data(arguments.get(name, default), f"{where}.{name}")

    def _only(self, arguments: Arguments, where: str, *names: str) -> None:
        """Refuse arguments that would change what a step does."""
        unknown = sorted(set(arguments) - {"keys", "allow_missing_keys", "dtype", *names})
        if unknown:
            raise BundleError(f"{where}: {', '.join(unknown)} has no counterpart in a manifest")

    def _load(self, arguments: Arguments, where: str) -> None:
        self._only(
            arguments,
            where,
            *("ensure_channel_first", "image_only", "meta_keys", "meta_key_postfix", "overwriting"),
            *("prune_meta_pattern", "prune_meta_sep", "reader", "reverse_indexing", "simple_keys"),
        )
        # MONAI's readers put the columns of a picture first; only `reverse_indexing` of the reader of PNG changes it.
        self._columns_first = bool(self._value(arguments, where, "reverse_indexing", True))
        if "NumpyReader" in str(self._value(arguments, where, "reader", "")):
            raise BundleError(f"{where}: nobody knows which axis of an array comes first")

    def _orientation(self, arguments: Arguments, where: str) -> None:
        self._only(arguments, where, "axcodes", "as_closest_canonical", "labels")
        if self.dimensions != 3 or self._value(arguments, where, "as_closest_canonical", False):
            raise BundleError(f"{where}: only volumes are brought to named axes")
        self._set("orientation", self._value(arguments, where, "axcodes", None), where)

    def _spacing(self, arguments: Arguments, where: str) -> None:
        self._only(
            arguments,
            where,
            *("pixdim", "mode", "padding_mode", "align_corners", "diagonal", "recompute_affine"),
        )
        if self.dimensions != 3 or "orientation" not in self._found:
            raise BundleError(f"{where}: a spacing needs a volume, and Orientationd before it")
        self._set("spacing_mm", self._numbers(arguments, where, "pixdim", 3), where)

    def _resize(self, arguments: Arguments, where: str) -> None:
        self._only(
            arguments,
            where,
            "spatial_size",
            "mode",
            "align_corners",
            "anti_aliasing",
            "size_mode",
            "anti_aliasing_sigma",
        )
        if self.dimensions != 2 or self._value(arguments, where, "size_mode", "all") != "all":
            raise BundleError(
                f"{where}: only images are brought to a size; a volume has a spacing and windows"
            )
        if "intensity" in self._found and self._found["intensity"]["kind"] in _STATISTICS:
            self.remarks.append("intensities are taken after resizing; the bundle takes them before")
        self._set("size", [int(each) for each in self._numbers(arguments, where, "spatial_size", 2)], where)

    def _transpose(self, arguments: Arguments, where: str) -> None:
        self._only(arguments, where, "indices")
        if self._value(arguments, where, "indices", None) != [0, 2, 1] or "size" in self._found:
            raise BundleError(
                f"{where}: only the two axes of an image that is not yet resized can change places"
            )
        self._columns_first = not self._columns_first

    def _crop(self, arguments: Arguments, where: str) -> None:
        neutral = ("source_key", "start_coord_key", "end_coord_key", "return_coords", "allow_smaller", "mode")
        self._only(arguments, where, *neutral, "channel_indices", "margin", "k_divisible")
        if self._value(arguments, where, "margin", 0) or self._value(arguments, where, "k_divisible", 1) != 1:
            raise BundleError(f"{where}: a margin has no counterpart in a manifest")
        before = self._found.get("intensity", {})
        # "Above 0" is "above the smallest value" only where 0 is the smallest.
        if self.dimensions != 3 or before.get("to_low") != 0 or not before.get("clip", True):
            raise BundleError(
                f"{where}: it crops to values above 0, which here are not those above the smallest"
            )
        if before["kind"] == "range":
            self.remarks.append(
                "the foreground is what is above the smallest value; the bundle cuts at its range"
            )
        self._set("crop_foreground", True, where)

    def _divisible(self, arguments: Arguments, where: str) -> None:
        self._only(arguments, where, "k", "mode", "method")
        k = self._value(arguments, where, "k", None)
        several = k if isinstance(k, list) else [k]
        if not several or len(set(several)) != 1:
            raise BundleError(f"{where}: padding differs between axes")
        self._set("multiple_of", several[0], where)

    def _pad(self, arguments: Arguments, where: str) -> None:
        self._only(arguments, where, "spatial_size", "mode", "method")
        self._found["padded_to"] = self._numbers(arguments, where, "spatial_size", self.dimensions)

    def _scale(self, arguments: Arguments, where: str) -> None:
        self._only(arguments, where, "minv", "maxv", "factor", "channel_wise")
        low = self._value(arguments, where, "minv", 0.0)
        high = self._value(arguments, where, "maxv", 1.0)
        if self._value(arguments, where, "factor", None) is not None or low is None or high is None:
            raise BundleError(f"{where}: a factor has no counterpart in a manifest")
        self._by_channel(arguments, where)
        self._set("intensity", {"kind": "minmax", "to_low": low, "to_high": high, "clip": True}, where)

    def _percentiles(self, arguments: Arguments, where: str) -> None:
        self._only(arguments, where, "lower", "upper", "b_min", "b_max", "clip", "relative", "channel_wise")
        value = partial(self._value, arguments, where)
        if value("relative", False) or value("b_min", None) is None or value("b_max", None) is None:
            raise BundleError(f"{where}: a range that depends on the image has no counterpart in a manifest")
        self._by_channel(arguments, where)
        found = {
            "kind": "minmax",
            "lower_percentile": value("lower", 0.0),
            "upper_percentile": value("upper", 100.0),
            "to_low": value("b_min", 0.0),
            "to_high": value("b_max", 1.0),
            "clip": value("clip", False),
        }
        self._set("intensity", found, where)

    def _range(self, arguments: Arguments, where: str) -> None:
        self._only(arguments, where, "a_min", "a_max", "b_min", "b_max", "clip")
        value = partial(self._value, arguments, where)
        low, high = value("a_min", None), value("a_max", None)
        to_low, to_high = value("b_min", None), value("b_max", None)
        if (to_low is None) != (to_high is None):
            raise BundleError(f"{where}: b_min and b_max go together")
        found = {
            "kind": "range",
            "low": low,
            "high": high,
            "to_low": 0.0 if to_low is None else to_low,
            "to_high": 1.0 if to_high is None else to_high,
            "clip": value("clip", False),
        }
        self._ranged(found, where)

    def _normalize(self, arguments: Arguments, where: str) -> None:
        self._only(arguments, where, "subtrahend", "divisor", "nonzero", "channel_wise")
        value = partial(self._value, arguments, where)
        shift, scale = value("subtrahend", None), value("divisor", None)
        if shift is None and scale is None:
            found = {"kind": "zscore", "nonzero": value("nonzero", False)}
            if self.channels > 1 and value("channel_wise", False):
                found["channel_wise"] = True
            self._set("intensity", found, where)
            return
        if not isinstance(shift, int | float) or not isinstance(scale, int | float) or scale <= 0:
            raise BundleError(f"{where}: subtrahend and divisor are two numbers, or neither")
        if value("nonzero", False):
            raise BundleError(f"{where}: nonzero has no counterpart in a manifest")
        self._ranged(
            {
                "kind": "range",
                "low": shift,
                "high": shift + scale,
                "to_low": 0.0,
                "to_high": 1.0,
                "clip": False,
            },
            where,
        )

    def _ranged(self, found: dict[str, Any], where: str) -> None:
        """Set a range; of an image, 0 to 255 means the brightness of eight bits."""
        if self.dimensions == 2 and (found["low"], found["high"]) == _EIGHT_BITS:
            found |= {"low": 0.0, "high": 1.0}
            self._eight_bits = True
        self._set("intensity", found, where)

    def _by_channel(self, arguments: Arguments, where: str) -> None:
        if self.channels > 1 and self._value(arguments, where, "channel_wise", False):
            raise BundleError(f"{where}: channel_wise has no counterpart in a manifest")

    def _inferer(self) -> None:
        if not self.config.has("inferer"):
            return
        for name, arguments, where in self.config.components("@inferer", "inferer"):
            if name == "SimpleInferer":
                continue
            if name != "SlidingWindowInferer":
                raise BundleError(f"{where}: this inferer has no counterpart in a manifest")
            self._only(arguments, where, *_SLIDING_NEUTRAL, "roi_size", "overlap", "mode")
            roi = self._numbers(arguments, where, "roi_size", self.dimensions)
            self._set("window", [int(each) for each in roi], where)
            self._set("overlap", self._value(arguments, where, "overlap", 0.25), where)
            self._set("blend", self._value(arguments, where, "mode", "constant"), where)

    def _numbers(self, arguments: Arguments, where: str, name: str, count: int) -> list[float]:
        found = self._value(arguments, where, name, None)
        several = found if isinstance(found, list) else [found] * count
        positive = all(isinstance(each, int | float) and each > 0 for each in several)
        if len(several) != count or not positive:
            raise BundleError(f"{where}.{name}: {count} numbers above 0 are needed")
        return several

    def _set(self, name: str, value: object, where: str) -> None:
        if name in self._found:
            raise BundleError(f"{where}: a second step of its kind; a manifest has one {name}")
        self._found[name] = value

    def _complete(self) -> dict[str, Any]:
        if "intensity" not in self._found:
            raise BundleError("preprocessing: no step says what intensities the network takes")
        padded = self._found.pop("padded_to", None)
        if padded is not None and padded != self._found.get("window"):
            raise BundleError(
                "preprocessing: SpatialPadd pads to another shape than the window of the inferer"
            )
        return self._found

    def _volume(self) -> dict[str, Any]:
        if "orientation" not in self._found:
            raise BundleError(
                "preprocessing: without Orientationd nobody knows which way the network sees a volume"
            )
        return {"kind": "volume", **self._complete()}

    def _image(self) -> dict[str, Any]:
        found = self._complete()
        intensity = found["intensity"]
        if self._columns_first:
            found["columns_first"] = True
            for name in ("size", "window"):
                if name in found:
                    found[name] = found[name][::-1]
        # What depends on the image's own values is the same of its brightness and of its stored values.
        of_units = intensity["kind"] == "range" and not self._eight_bits
        values = "modality" if of_units else "brightness"
        return {"kind": "image", "channels": self.channels, "values": values, **found}
