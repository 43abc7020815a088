#!/usr/bin/env -S uv run --script
# /// script
# dependencies = ["nox>=2024.10"]
# ///
"""The tests in environments that make does not have: other versions of Python, and the oldest
NumPy.
"""

from __future__ import annotations

import nox

nox.needs_version = ">=2024.10"
nox.options.default_venv_backend = "uv|virtualenv"

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
FAST = ("-m", "not slow and not tools")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """All tests but the slow ones, in one version of Python."""
    session.install("-c", "ci/constraints.txt", ".[study,test]")
    session.run("pytest", *FAST, *session.posargs)


@nox.session(python=PYTHONS[0], default=False)
def oldest(session: nox.Session) -> None:
    """The core of the package on the oldest Python and NumPy that it promises."""
    session.install("numpy==2.0.*", "pytest>=8.3", "hypothesis>=6.122", "mpmath>=1.3", ".[cli]")
    files = ("tests/test_metrics.py", "tests/test_golden.py", "tests/test_invariance.py")
    session.run("pytest", *FAST, *(session.posargs or files))


@nox.session(python=False, default=False)
def lint(session: nox.Session) -> None:
    """Linters, formats and types, in the environment of make."""
    session.run("make", "lint", external=True)


@nox.session(python=False, default=False)
def docs(session: nox.Session) -> None:
    """The documentation site in build/docs/html, in the environment of make."""
    session.run("make", "docs", external=True)


@nox.session(default=False)
def build(session: nox.Session) -> None:
    """Source distribution and wheel in dist/, with metadata that an index accepts."""
    session.install("build", "twine")
    session.run("python", "-m", "build")
    session.run("twine", "check", "--strict", "dist/*")


if __name__ == "__main__":
    nox.main()
