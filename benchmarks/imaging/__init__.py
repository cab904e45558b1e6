"""What volumes of series cost: to index them."""

from benchmarks.imaging import index


def run() -> None:
    """Measure, and write the sections."""
    index.run()
