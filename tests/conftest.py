"""What every test shares: the machine named in the header, and property tests without time limits."""

from __future__ import annotations

import os
import platform

import hypothesis
import numpy as np
import pytest

# A shared machine may stall at any moment, so no example has a deadline; the examples are the same on every run.
hypothesis.settings.register_profile("nc1fast", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("nc1fast")


def pytest_report_header() -> str:
    import nc1fast

    cores = len(os.sched_getaffinity(0))
    return f"nc1fast {nc1fast.__version__}, NumPy {np.__version__}, {platform.machine()}, {cores} cores"


@pytest.fixture
def call(capsys):
    """Run the command line; returns exit code, stdout and stderr."""
    from nc1fast.cli import main

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return end.value.code, out, err

    return run
