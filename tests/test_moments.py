"""Rows added to the moments of their classes by the compiled core, against exact sums."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from nc1fast import _core
from nc1fast.core import linear
from nc1fast.core.linear import FOLD, RawMoments, add_rows
from nc1fast.sums.moments import MomentTable, row_lengths

UNIT = 2.0**-53


def _raw(C: int, d: int, dtype: Any) -> RawMoments:
    return RawMoments(
        np.zeros(C),
        np.zeros(1),
        np.zeros((2, C)),
        np.zeros((C, d), dtype),
        np.zeros((C, d)),
        np.zeros((C, d)),
    )


def _exact(column: Any, shift: Any) -> Fraction:
    return sum((Fraction(float(h)) - Fraction(float(shift)) for h in column), Fraction(0))


@pytest.mark.parametrize(
    ("rows", "of_shift"), [("float32", "float32"), ("float32", "float64"), ("float64", "float64")]
)
@pytest.mark.parametrize("d", [1, 33, 1030])
def test_sums_are_exact_to_their_bound_after_many_batches(rows: str, of_shift: str, d: int) -> None:
    rng = np.random.default_rng(0)
    C, sums = 5, _raw(5, d, of_shift)
    H = (rng.standard_normal((900, d)) * 10.0 ** rng.integers(-6, 6, (1, d)) + 100).astype(rows)
    y = rng.integers(-1, C - 1, 900)  # some rows of no class, and a class without rows
    for start in range(0, 900, 37):
        add_rows(H[start : start + 37], y[start : start + 37], sums, 1)
    assert sums.sizes.tolist() == [*np.bincount(y[y >= 0], minlength=C - 1), 0]
    assert not sums.shift[-1].any()
    assert FOLD <= sums.longest[0] < FOLD + 37
    for c in range(C - 1):
        mine = H[y == c]
        assert (sums.shift[c] == mine[0]).all()
        for k in range(0, d, 211):
            exact = _exact(mine[:, k], sums.shift[c, k])
            magnitude = float(np.abs(mine[:, k].astype(float) - float(sums.shift[c, k])).sum())
            off = Fraction(sums.high[c, k]) + Fraction(sums.low[c, k]) - exact
            assert abs(off) <= (sums.longest[0] + 2) * UNIT * magnitude
        deviations = (mine.astype(np.longdouble) - sums.shift[c].astype(np.longdouble)) ** 2
        squares = float(deviations.sum())
        bound = (d + sums.longest[0] + 6) * UNIT * squares
        assert abs(sums.squares[:, c].sum() - squares) <= bound + 1e-18 * squares


def test_errors_do_not_grow_with_the_number_of_batches() -> None:
    sums, n = _raw(2, 3, "float64"), 64_000
    H = np.full((64, 3), 0.1)
    add_rows(np.zeros((1, 3)), np.zeros(1, np.int64), sums, 1)
    for _ in range(n // 64):
        add_rows(H, np.zeros(64, np.int64), sums, 1)
    exact = Fraction(0.1) * n
    off = abs(Fraction(sums.high[0, 0]) + Fraction(sums.low[0, 0]) - exact)
    assert off <= (sums.longest[0] + 2) * Fraction(UNIT) * exact
    running = np.add.accumulate(np.full(n, 0.1))[-1]
    assert abs(Fraction(float(running)) - exact) > 10 * off  # what plain sums lose


@pytest.mark.parametrize("C", [1, 3, 3000, 5_000_000])
def test_bits_depend_neither_on_threads_nor_on_where_rows_lie(C: int, monkeypatch: Any) -> None:
    monkeypatch.setattr(linear, "_FEW_NUMBERS", 0)
    rng = np.random.default_rng(1)
    d = 2 if C > 10_000 else 1500
    H, y = rng.standard_normal((300, 2 * d)).astype(np.float32), rng.integers(0, C, 300)
    y[-1] = C - 1
    wide, order = H[::-1, d:], np.argsort(y, kind="stable")
    found = []
    for n_threads, part in ((1, slice(None)), (3, slice(None)), (1, order)):
        sums = _raw(C, d, "float32")
        add_rows(wide if isinstance(part, slice) else wide[part].copy(), y[part], sums, n_threads)
        found.append(sums)
    for other in found[1:]:
        for mine, theirs in zip(found[0], other, strict=True):
            assert np.array_equal(mine, theirs)


def test_what_does_not_fit_is_refused() -> None:
    sums, H, y = _raw(3, 4, "float64"), np.ones((5, 4)), np.arange(5) % 3
    for bad in (np.array([0, 1, 2, 3, 0]), np.array([0, 1, 2, -2, 0])):
        with pytest.raises(ValueError, match="class is out of range"):
            add_rows(H, bad, sums, 1)
    assert not sums.sizes.any()
    for rows, classes, to in (
        (H[:, :3], y, sums),
        (H, y[1:], sums),
        (np.asfortranarray(H), y, sums),
        (H, y, sums._replace(low=np.zeros((4, 3)).T)),
        (H, y, sums._replace(high=np.zeros((3, 4), np.float32))),
        (H, y, _raw(3, 4, "float32")),
    ):
        with pytest.raises(ValueError, match="do not fit"):
            add_rows(rows, classes, to, 1)
    with pytest.raises(TypeError, match="float32 or of float64"):
        _core.add_rows(H.astype(np.float16), y, sums, 0)
    frozen = sums._replace(sizes=np.zeros(3))
    frozen.sizes.flags.writeable = False
    with pytest.raises(ValueError, match="do not fit"):
        add_rows(H, y, frozen, 1)


def test_nan_and_infinity_are_seen_in_the_squares() -> None:
    for bad in (np.nan, np.inf):
        sums, H = _raw(2, 40, "float32"), np.ones((3, 40), np.float32)
        H[1, 39] = bad
        add_rows(H, np.array([0, 0, 1]), sums, 1)
        assert not math.isfinite(sums.squares[0, 0])
        assert math.isfinite(sums.squares[0, 1])


def test_a_table_merges_class_by_class() -> None:
    rng = np.random.default_rng(2)
    parts = [rng.standard_normal((n, 7)) * 1e-3 + 5 for n in (4, 9, 1, 6)]

    def table(*groups: Any) -> MomentTable:
        shift = np.array([g[0] for g in groups])
        means = [(g.astype(np.longdouble) - g[0]).mean(axis=0) for g in groups]
        squares = [float(((g - g[0] - m) ** 2).sum()) for g, m in zip(groups, means, strict=True)]
        zero = np.zeros(len(groups))
        sizes = np.array([len(g) for g in groups])
        return MomentTable(sizes, shift, np.array(means, float), np.array(squares), zero, zero)

    mine = table(parts[0], parts[1], parts[3])
    steps = np.concatenate(list(mine.add(np.array([2, 0]), table(parts[2], parts[1]))))
    expected = table(
        np.concatenate([parts[0], parts[1]]), parts[1], np.concatenate([parts[3], parts[2]])
    )
    assert mine.n.tolist() == expected.n.tolist() == [13, 9, 7]
    np.testing.assert_allclose(mine.means, expected.means, rtol=1e-15)
    assert (np.abs(mine.squares - expected.squares) <= mine.squares_error + 1e-22).all()
    lengths = [13, 7]
    apart = [parts[3].mean(axis=0) - parts[2][0], parts[0].mean(axis=0) - parts[1].mean(axis=0)]
    weights = [6 * 1 / 7, 4 * 9 / 13]
    assert lengths[0] == mine.n[0]
    for step, weight, gap in zip(steps, weights, apart, strict=True):
        np.testing.assert_allclose(np.abs(step), np.sqrt(weight) * np.abs(gap), rtol=1e-9)


def test_lengths_of_rows_out_of_the_range_of_squares() -> None:
    A = np.array([[3e-300, 4e-300], [3e200, 4e200], [0, 0]])
    np.testing.assert_allclose(row_lengths(A), [5e-300, 5e200, 0], rtol=1e-15)
