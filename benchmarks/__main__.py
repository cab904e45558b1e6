"""Run benchmarks by name; all of them without one."""

import sys

from benchmarks import burned_in, deid, imaging, inference, ingest, portal, stow, way, worker
from benchmarks.imaging import convert, patches
from benchmarks.portal import viewer

BENCHMARKS = {
    "burned_in": burned_in.run,
    "convert": convert.run,
    "deid": deid.run,
    "imaging": imaging.run,
    "inference": inference.run,
    "ingest": ingest.run,
    "patches": patches.run,
    "portal": portal.run,
    "stow": stow.run,
    "viewer": viewer.run,
    "way": way.run,
    "worker": worker.run,
}


def main(names: list[str]) -> int:
    """Run the benchmarks; returns the exit code."""
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    for name in names or list(BENCHMARKS):
        BENCHMARKS[name]()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
