"""The page docs/reference/benchmarks.md: one section per benchmark, replaced by the run that measured it."""

import os
import platform
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "benchmarks.md"
_HEAD = """# Benchmarks

Written by `make bench`; do not edit. Each section was measured in one run on the machine that it names. Compare ratios,
not seconds: the machine of another day is another machine.
"""


def machine() -> str:
    """Return what the figures depend on: processor, cores, versions, day."""
    return (
        f"{processor()}, {os.cpu_count()} cores; Python {platform.python_version()}, torch {version('torch')}, "
        f"pydicom {version('pydicom')}, ministack {version('ministack')}; {datetime.now(UTC):%Y-%m-%d}"
    )


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *rows)]
    return "\n".join(lines)


def write(title: str, body: str) -> None:
    """Replace or add the section of one benchmark."""
    text = PAGE.read_text(encoding="utf-8") if PAGE.exists() else _HEAD
    section = f"\n## {title}\n\n{body.strip()}\n\nMachine: {machine()}\n"
    pattern = re.compile(rf"\n## {re.escape(title)}\n.*?(?=\n## |\Z)", re.DOTALL)
    text = pattern.sub(lambda _: section, text) if pattern.search(text) else text.rstrip() + "\n" + section
    PAGE.write_text(text, encoding="utf-8")
