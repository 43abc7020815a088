"""Memory of this process, as the system counts it: what NumPy, the core and other packages take,
too.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path


def in_bytes(name):
    """A size of this process, as /proc/self/status calls it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) << 10
    raise KeyError(name)


def forget_peak():
    """Let VmHWM begin anew."""
    Path("/proc/self/clear_refs").write_text("5")


@contextmanager
def at_most(n_bytes):
    """More than this beside what is there at the beginning is a failure."""
    before = in_bytes("VmRSS")
    forget_peak()
    yield
    taken = in_bytes("VmHWM") - before
    assert taken <= n_bytes, f"{taken >> 20} MiB of {n_bytes >> 20}"
