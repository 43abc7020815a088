"""One thread of Python beside others: the same calls on the same objects at once give the bits that
they give alone.

Run with and without the GIL (ci/test_wheels.sh has a free-threaded Python).
"""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import nc1fast as nc
from nc1fast.core import series

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Call = Callable[[int], Any]

THREADS = 8
SIZES = (40, 61, 90)

random = np.random.default_rng(7)
y = random.permutation(np.repeat(np.arange(len(SIZES)), SIZES))
X = random.standard_normal((len(y), 5)) + 0.5 * y[:, None]
V = random.standard_normal((len(y), 2))
KERNELS = (
    nc.NTK("relu", 3, 1.5, 0.1),
    nc.NNGP("erf"),
    nc.NTK("tanh"),  # by a series, whose table is made once
    0.5 * nc.NNGP("relu") * nc.NNGP("gelu") + nc.Linear(),
)


@pytest.fixture(autouse=True)
def _turns() -> Iterator[None]:
    """Threads take turns as often as they can; tables of series are made anew."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    series._tabulated.cache_clear()
    yield
    sys.setswitchinterval(interval)


def _at_once(calls: list[Call]) -> list[Any]:
    """What each thread gets, all of which begin at the same time; thread t starts with call t and
    goes round.
    """
    barrier = threading.Barrier(THREADS)

    def run(t: int) -> list[Any]:
        barrier.wait()
        order = [(t + k) % len(calls) for k in range(len(calls))]
        found = {k: calls[k](t) for k in order}
        return [found[k] for k in range(len(calls))]

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


def _bits(found: Any) -> Any:
    """What is compared: bytes of arrays, and of the numbers of results."""
    if isinstance(found, np.ndarray):
        return found.shape, found.tobytes()
    if isinstance(found, list | tuple):
        return [_bits(each) for each in found]
    if isinstance(found, nc.ClassSums):
        return _bits(found.block_sums), _bits(found.class_rows)
    if isinstance(found, nc.Collapse):
        return [float(getattr(found, name)).hex() for name in ("nc1", "nc2_etf", "error_bound")]
    return float(found).hex()


def _check(calls: list[Call]) -> None:
    expected = [_bits(call(0)) for call in calls]
    series._tabulated.cache_clear()
    for found in _at_once(calls):
        assert [_bits(each) for each in found] == expected


@pytest.mark.filterwarnings("ignore::nc1fast.AccuracyWarning")
@pytest.mark.parametrize("n_threads", [1, 3])
def test_passes_over_shared_rows(n_threads: int) -> None:
    shared: dict[str, Any] = {"convention": "papyan", "n_threads": n_threads}
    _check(
        [
            lambda t: nc.collapse(X, y, KERNELS[0], **shared),
            lambda t: nc.collapse(X, y, list(KERNELS), **shared),
            lambda t: nc.collapse(X, y, list(KERNELS), dtype="float32", **shared),
            lambda t: nc.class_sums(X, y, list(KERNELS), n_threads=n_threads),
            lambda t: nc.collapse(X, y, convention="papyan"),
            lambda t: nc.collapse_each([(X, y), (X[9:], y[9:])] * 3, KERNELS[0], **shared),
        ]
    )


def test_kernels_that_threads_share() -> None:
    _check(
        [
            *[lambda t, k=k: k(X, n_threads=2) for k in KERNELS],
            *[lambda t, k=k: k.diag(X) for k in KERNELS],
            lambda t: KERNELS[0].matvec(X, V),
            lambda t: nc.NTK("relu", 3, 1.5, 0.1)(X[:50], X),
        ]
    )


def test_sums_of_each_thread_are_its_own() -> None:
    whole = nc.FeatureSums()
    whole.update(X, y)

    def batches(t: int) -> nc.Collapse:
        sums = nc.FeatureSums()
        for part in np.array_split(np.arange(len(y)), 5):
            sums.update(X[part], y[part])
        return sums.collapse("papyan")

    _check([batches, lambda t: whole.collapse("papyan"), lambda t: whole.class_sums().block_sums])


def test_values_that_a_result_computes_when_asked() -> None:
    """Every thread asks a result that no thread has asked before."""
    names = (
        "nc1",
        "nc2_etf",
        "nc2_equinorm",
        "nc2_equiangle",
        "cdnv",
        "nc1_by_class",
        "class_gram",
    )
    for _ in range(5):
        result = nc.collapse(X, y, convention="papyan")

        def calls(of: nc.Collapse = result) -> list[Call]:
            return [lambda t, name=name: np.asarray(getattr(of, name)) for name in names]  # type: ignore[misc]

        first, *others = [_bits(each) for each in _at_once(calls())]
        assert all(found == first for found in others)


def test_a_journal_is_one_thread_s_own(tmp_path: Any) -> None:
    """Of threads that write one journal at once, one goes on, and the others are told; apart, all
    have the same bits.
    """
    expected = nc.collapse(X, y, KERNELS[0], convention="papyan").nc1

    def own(t: int) -> float:
        path = tmp_path / f"{t}.journal"
        return nc.collapse(X, y, KERNELS[0], convention="papyan", journal=path).nc1

    def one(t: int) -> float | str:
        try:
            path = tmp_path / "one.journal"
            return nc.collapse(X, y, KERNELS[0], convention="papyan", journal=path).nc1
        except ValueError as error:
            return str(error)

    for each, shared in _at_once([own, one]):
        assert each == expected
        assert shared == expected or "another run is writing" in shared


@pytest.mark.skipif(
    not hasattr(sys, "_is_gil_enabled"), reason="a Python that always has its lock: before 3.13"
)
def test_the_core_does_not_bring_the_gil_back() -> None:
    import sysconfig

    free = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    assert sys._is_gil_enabled() is not free  # type: ignore[attr-defined]
