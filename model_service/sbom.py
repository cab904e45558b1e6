"""What is installed, as a CycloneDX document (CycloneDX 1.6, JSON; ECMA-424), read from the installed metadata.

Made while the image is built, so that it lists what the image holds and not what somebody wished for. The same packages
make the same bytes: no time and no random serial number.
"""

import json
import sys
import uuid
from collections.abc import Iterable, Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from firstread import __version__

_NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")  # RFC 9562, for URLs
_PROGRAM = "firstread-model-service"


def document(installed: Iterable[Distribution]) -> dict[str, Any]:
    """Return the document.

    Parameters
    ----------
    installed
        As `importlib.metadata.distributions` finds them.
    """
    components = sorted(map(_component, installed), key=lambda each: str(each["purl"]))
    identity = json.dumps(components, sort_keys=True)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, identity)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "name": _PROGRAM,
                "version": __version__,
                "bom-ref": f"pkg:generic/{_PROGRAM}@{__version__}",
            },
            "properties": [{"name": "python", "value": ".".join(map(str, sys.version_info[:3]))}],
        },
        "components": components,
    }


def write(path: Path) -> None:
    """Write the document of what is installed beside this program."""
    text = json.dumps(document(distributions()), indent=1, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8")


def _component(each: Distribution) -> dict[str, Any]:
    name = each.name.lower().replace("_", "-").replace(".", "-")
    purl = f"pkg:pypi/{name}@{each.version}"
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl,
        "name": each.name,
        "version": each.version,
        "purl": purl,
    }
    licence = _licence(each.metadata)  # type: ignore[arg-type]
    return {**found, **({"licenses": [licence]} if licence else {})}


def _licence(metadata: Mapping[str, str]) -> dict[str, Any] | None:
    expression = metadata.get("License-Expression")
    if expression:
        return {"expression": expression}
    name = (metadata.get("License") or "").strip().partition("\n")[0]
    return {"license": {"name": name[:120]}} if name else None
