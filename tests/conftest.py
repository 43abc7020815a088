"""What every test shares: the machine named in the header, and property tests without time limits."""

from __future__ import annotations

import os
import platform

import hypothesis
import numpy as np

# A shared machine may stall at any moment, so no example has a deadline; the examples are the same on every run.
hypothesis.settings.register_profile("nc1fast", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("nc1fast")


def pytest_report_header() -> str:
    import nc1fast

    cores = len(os.sched_getaffinity(0))
    return f"nc1fast {nc1fast.__version__}, NumPy {np.__version__}, {platform.machine()}, {cores} cores"
