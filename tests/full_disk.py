"""A disk that is full, for this process: no file may grow beyond some bytes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def files_of_at_most(n_bytes: int) -> Iterator[None]:
    """Writing more to a file is an error, EFBIG. Skips the test where a process has no such
    limit.
    """
    resource = pytest.importorskip("resource", reason="needs limits of a process")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
