"""float32 products of rows by digits and the tensor cores of bytes, on devices and pretended ones:
their bits, bounds and choice.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from tests import digits
from tests.gaussians import gaussians
from tests.pretended import Watch

import nc1fast as nc
from nc1fast import _core, cuda, reference

DEPTHS = [
    digits.LEAST,
    130,
    *(pytest.param(d, marks=pytest.mark.slow) for d in (digits.WHOLE, digits.WHOLE + 2, 1602)),
]
README = Path(__file__).parents[1] / "cuda" / "README.md"


@pytest.fixture
def by_digits(other_device):
    """A device, or what plays one, where rows of so many features are digits."""
    module = cuda.module()
    capability = module.device_info(0)["compute_capability"]

    def check(d):
        if not module.by_digits(*capability, d):
            pytest.skip("this device multiplies numbers")

    return check


def _rows(d):
    """Rows of one radius, two of them equal, one the opposite of another, and one whose entries are
    of many sizes.
    """
    rng = np.random.default_rng(d)
    X = digits.rows_of_length(66, d, 10, rng)
    X[5], X[65] = X[64], -X[3]
    return X


def _unit_rows(X, power):
    """As packed: times one factor in float64, then rounded."""
    return (X * (np.sqrt(1 / X.shape[1]) * 2.0**-power)).astype(np.float32)


def _cosines_of_classes(X, **settings):
    """Of rows that are a class each: every sum over a pair of classes is one value, kept
    exactly.
    """
    sums = nc.class_sums(X, np.arange(len(X)), nc.Linear(), dtype="float32", **settings)
    return sums.block_sums / 4.0**10


@pytest.mark.parametrize("d", DEPTHS)
def test_products_are_the_bits_of_the_definition(by_digits, d):
    by_digits(d)
    X = _rows(d)
    assert d * (1 / d) == 1
    found = _cosines_of_classes(X, device="cuda")
    expected = digits.cosines(_unit_rows(X, 10)).astype(float)
    apart = ~np.eye(len(X), dtype=bool)
    np.testing.assert_array_equal(found[apart], expected[apart])
    assert found[5, 64] == 1
    assert found[3, 65] == -1
    exact = (X @ X.T)[apart] / (d * 4.0**10)
    assert 0 < np.abs(found[apart] - exact).max() <= _core.packed_rounding(True, d, d)[0]


@pytest.mark.parametrize("d", DEPTHS)
def test_they_are_those_of_the_processor(by_digits, d, monkeypatch):
    by_digits(d)
    if "amx" not in _core.isas():
        pytest.skip("this processor has no AMX, or the system keeps it")
    monkeypatch.setenv("NC1FAST_ISA", "amx")
    X = _rows(d)
    np.testing.assert_array_equal(
        _cosines_of_classes(X, device="cuda"), _cosines_of_classes(X, device="cpu")
    )


KERNELS = [
    nc.NNGP("relu"),
    nc.NTK("relu"),
    nc.NTK("erf", 3, 1.2, 0.1),
    nc.NTK("relu") * nc.NNGP("erf"),
]


@pytest.mark.parametrize("seed", range(6))
def test_sums_are_within_their_bounds_of_an_independent_matrix(other_device, seed):
    """Biases, classes within panels, rows that are equal, nearly so, or zero; a Gram matrix by
    NumPy is the judge.
    """
    rng = np.random.default_rng(seed)
    kernel = KERNELS[seed % len(KERNELS)]
    sizes = rng.integers(1, 40, size=3)
    X, y = gaussians(
        sizes, int(rng.integers(digits.LEAST, 200)), std=10.0 ** rng.uniform(-3, 0), seed=seed
    )
    if len(X) > 3:
        X[1], X[2] = X[0], 0
    sums = nc.class_sums(X, y, kernel, device="cuda", dtype="float32")
    K = reference.gram(kernel, X)
    block = np.array([[K[np.ix_(y == a, y == b)].sum() for b in range(3)] for a in range(3)])
    apart = ~np.eye(3, dtype=bool)
    error = np.abs(sums.block_sums - block)
    assert (error <= sums.error.block_sums + 1e-13 * np.abs(block))[apart].all()
    for c in range(3):
        own = K[np.ix_(y == c, y == c)]
        within = own.trace() - own.mean(0).sum()
        assert abs(sums.within[c] - within) <= sums.error.within[c] + 1e-12 * own.trace()


def test_rows_of_zeros_are_orthogonal_to_all(other_device):
    X, y = gaussians((30, 20), 150)
    X[7] = 0
    sums = nc.class_sums(X, y, nc.Linear(), device="cuda", dtype="float32")
    exact = nc.class_sums(X, y, nc.Linear(), dtype="float64")
    assert np.abs(sums.block_sums - exact.block_sums).max() <= sums.error.block_sums.max()
    assert np.isfinite(sums.within).all()


@pytest.mark.parametrize(
    ("d", "dtype", "shared"),
    [
        (digits.LEAST - 1, "float32", 16),
        (digits.LEAST, "float32", 24),
        (digits.WHOLE, "float32", 24),
        (digits.WHOLE + 1, "float32", 40),
        (digits.LEAST, "float64", 32),
    ],
)
def test_which_rows_become_digits(shim, d, dtype, shared):
    """By the shared memory of a block: one unit of chords, two steps of both panels, or these
    beside sums of chunks.
    """
    X, y = gaussians((3, 2), d)
    watch = Watch(shim)
    watch.start()
    nc.class_sums(X, y, nc.NNGP("relu"), device="cuda", dtype=dtype)
    assert watch.seen().most_shared == shared << 10


def test_digits_are_chosen_where_the_count_says_faster(shim):
    for d in range(1, 3000, 37):
        chosen = {
            c
            for c in ((7, 5), (8, 0), (8, 6), (8, 9), (9, 0), (10, 0), (12, 0))
            if shim.by_digits(*c, d)
        }
        assert chosen == ({(8, 0), (9, 0)} if d >= digits.LEAST else set())
    slots = re.findall(
        r"^\| float32( by digits)? \| sm_(?:80|90) .* ([\d.]+) \|$",
        README.read_text(),
        re.MULTILINE,
    )
    assert len(slots) == 4
    assert max(float(s) for by, s in slots if by) < min(float(s) for by, s in slots if not by)


@pytest.mark.parametrize(("dtype", "d"), [("float64", 17), ("float32", 17), ("float32", 97)])
@pytest.mark.usefixtures("shim")
def test_a_missing_barrier_gives_other_numbers(dtype, d, monkeypatch):
    """The first of a block, after which a step of both panels is there for all; others are for a
    race detector (test_sanitize.py).
    """
    X = np.random.default_rng(0).standard_normal((130, d))

    def sums():
        try:
            found = nc.class_sums(X, np.arange(130) % 2, nc.NTK("relu"), device="cuda", dtype=dtype)
        except ValueError:  # of what is not a number
            return None
        return found.block_sums.tobytes()

    whole = sums()
    assert whole is not None
    monkeypatch.setenv("NC1FAST_SHIM_SKIP_BARRIER", "0")
    assert sums() != whole
