"""What a hospital's hour does to the way in, and what a hundred thousand stored instances do to it."""

from benchmarks.ingest import growth, profile


def run() -> None:
    """Run both."""
    profile.run()
    growth.run()
