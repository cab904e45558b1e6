"""A MONAI configuration as data: references are followed, literals are read, and nothing is ever evaluated.

MONAI's own parser runs what follows a ``$`` as Python, and builds whatever ``_target_`` names (docs.monai.io, "Config
syntax"). Bundles come from anybody, so here ``$`` may hold a literal, ``@`` a reference to one, and no more.
"""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from model_service.errors import BundleError

_DEPTH = 32
_MOST_VALUES = 100_000  # a few lines of YAML can alias themselves into millions
_LARGEST_FILE = 8 * 1024 * 1024
_LONGEST = 2000
_REFERENCE = re.compile(r"@([A-Za-z_]\w*(?:(?:#|::)\w+)*)")
_NO_SUFFIX = frozenset({"DivisiblePad", "SpatialPad"})
_PLAIN = (str, int, float, bool, type(None))


class Config:
    """The content of a configuration file.

    Parameters
    ----------
    content
        As JSON or YAML has it.
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        self._content = content
        self._values = 0

    @classmethod
    def read(cls, folder: Path) -> "Config":
        """Read ``configs/inference.json``, or ``.yaml``.

        Raises
        ------
        BundleError
            If there is none, or it is not a mapping.
        """
        content = read_mapping(folder / "configs", "inference")
        if content is None:
            raise BundleError("there is no configs/inference.json or configs/inference.yaml")
        return cls(content)

    @property
    def is_data(self) -> bool:
        """Whether there is nothing in it but data: no reference, no expression, no macro."""
        try:
            return bool(self.data(self._content, "inference configuration") == self._content)
        except BundleError:
            return False

    def has(self, name: str) -> bool:
        """Tell whether there is an item of that name at the top."""
        return name in self._content

    def data(self, value: object, where: str, depth: int = 0) -> Any:  # noqa: ANN401 - JSON
        """Return a value with every reference followed and every literal read.

        Parameters
        ----------
        value
            Part of the configuration; ``@name`` for an item of it.
        where
            What it is, for the error.
        depth
            How many values it is nested in.

        Raises
        ------
        BundleError
            If it is more than data.
        """
        self._values += 1
        if depth > _DEPTH or self._values > _MOST_VALUES:
            raise BundleError(f"{where}: nested too deep, or refers to itself")
        if isinstance(value, str):
            return self._text(value, where, depth)
        if isinstance(value, Mapping):
            return {str(key): self.data(each, f"{where}.{key}", depth + 1) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.data(each, f"{where}.{number}", depth + 1) for number, each in enumerate(value)]
        if isinstance(value, _PLAIN):
            return value
        raise BundleError(f"{where}: {type(value).__name__} is not data")

    def follow(self, value: object, where: str) -> Any:  # noqa: ANN401 - JSON
        """Return what a value refers to, its parts as they are; a value that is no reference is returned as it is."""
        for _ in range(_DEPTH):
            name = _REFERENCE.fullmatch(value.removeprefix("$").strip()) if isinstance(value, str) else None
            if name is None:
                return value
            value = self._item(name[1], where)
        raise BundleError(f"{where}: refers to itself")

    def components(self, value: object, where: str) -> Iterator[tuple[str, Mapping[str, Any], str]]:
        """Yield what a list, or a ``Compose`` of one, is made of: plain name, arguments, where.

        The plain name has no module, and not the ``d`` of a transform that works on a dictionary. Parts that are
        switched off (``_disabled_``) are passed over.
        """
        found = self.follow(value, where)
        if isinstance(found, list):
            for number, each in enumerate(found):
                yield from self.components(each, f"{where}.{number}")
            return
        if not isinstance(found, Mapping) or not isinstance(found.get("_target_"), str):
            raise BundleError(f"{where}: {_shortened(found)} is not a component by name")
        name = _plain(str(found["_target_"]).rpartition(".")[2])
        if self.data(found.get("_disabled_", False), f"{where}._disabled_"):
            return
        if name == "Compose":
            yield from self.components(found.get("transforms", []), where)
            return
        yield name, {key: each for key, each in found.items() if not key.startswith("_")}, f"{where} ({name})"

    def _text(self, value: str, where: str, depth: int) -> Any:  # noqa: ANN401 - JSON
        if value.startswith("%"):
            raise BundleError(f"{where}: {_shortened(value)} is a macro, which is not followed")
        if value.startswith("$"):
            return self._expression(value, where, depth)
        if value.startswith("@"):
            name = _REFERENCE.fullmatch(value)
            if name is None:
                raise BundleError(f"{where}: {_shortened(value)} is not a reference that is understood")
            return self.data(self._item(name[1], where), where, depth + 1)
        return value

    def _expression(self, value: str, where: str, depth: int) -> Any:  # noqa: ANN401 - JSON
        refused = BundleError(
            f"{where}: {_shortened(value)} is an expression; bundles are read as data, and no code of theirs is run"
        )
        if len(value) > _LONGEST:
            raise refused

        def literal(found: re.Match[str]) -> str:
            return repr(self.data(self._item(found[1], where), where, depth + 1))

        try:
            read = ast.literal_eval(_REFERENCE.sub(literal, value[1:]).strip())
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            raise refused from None
        if not _is_plain(read):
            raise refused
        return read

    def _item(self, name: str, where: str) -> Any:  # noqa: ANN401 - JSON
        found: Any = self._content
        for part in re.split("#|::", name):
            try:
                found = found[int(part)] if isinstance(found, list) else found[part]
            except (KeyError, IndexError, TypeError, ValueError):
                raise BundleError(f"{where}: @{name} refers to nothing") from None
        return found


def read_mapping(folder: Path, name: str) -> dict[str, Any] | None:
    """Read ``name.json``, ``name.yaml`` or ``name.yml`` of a folder; None where there is none.

    Raises
    ------
    BundleError
        If it is not a mapping, or cannot be read.
    """
    for suffix in (".json", ".yaml", ".yml"):
        path = folder / f"{name}{suffix}"
        if path.is_file():
            return parse(path)
    return None


def parse(path: Path) -> dict[str, Any]:
    """Read a JSON or YAML file that holds a mapping.

    Raises
    ------
    BundleError
        If it does not.
    """
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise BundleError(f"{path.name} is too large")
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except BundleError:
        raise
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise BundleError(f"{path.name} cannot be read: {type(error).__name__}") from None
    if not isinstance(content, dict):
        raise BundleError(f"{path.name} is not a mapping")
    return content


def _plain(name: str) -> str:
    for suffix in ("Dict", "D", "d"):
        if name.endswith(suffix) and name not in _NO_SUFFIX:
            return name.removesuffix(suffix)
    return name


def _is_plain(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(_is_plain(each) for pair in value.items() for each in pair)
    return isinstance(value, _PLAIN)


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
