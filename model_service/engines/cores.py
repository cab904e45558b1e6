"""How many threads this process may keep busy: its real share of the machine's processors."""

import math
import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def cpu_share(cgroup: Path = _CGROUP) -> int:
    """Return the processors that this process may use, one at least.

    The smaller of the affinity mask and the quota of the control group, version 2 (``cpu.max``) or 1
    (``cpu.cfs_quota_us``): more threads than that wait for each other at every barrier.

    Parameters
    ----------
    cgroup : pathlib.Path
        Where the control group is mounted; a container sees its own as the root.

    Returns
    -------
    int
        A quota of part of a processor counts as a whole one.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(cgroup)
    return max(1, min(allowed, math.ceil(quota)) if quota else allowed)


def _quota(cgroup: Path) -> float | None:
    try:
        if (cgroup / "cpu.max").exists():
            quota, period = (cgroup / "cpu.max").read_text(encoding="ascii").split()[:2]
        else:
            quota = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text(encoding="ascii")
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text(encoding="ascii")
        return int(quota) / int(period) if int(quota) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):  # no control group, or "max": no limit
        return None


def processor() -> str:
    """Return the processor's model and instruction sets, of which the fastest engine depends."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    kept = ("model name", "flags", "CPU implementer", "CPU part", "Features")
    found = {line.split(":", 1)[0].strip(): line.split(":", 1)[1].strip() for line in lines if ":" in line}
    return "; ".join(f"{key}: {found[key]}" for key in kept if key in found)
