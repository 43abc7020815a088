"""Intervals of rows of which a few hold most of NC1: they cover, or there are none and the reason
is said.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from bench._tails import FAMILIES
from tests.gaussians import gaussians

import nc1fast as nc
from nc1fast.estimators import features, pairs

NTK = nc.NTK("relu")
# Of 40 intervals that cover with probability 0.95 each, fewer than 31 do once in 10^6.
SEEDS, LEAST = 40, 31


def _covered(method, X, y, kernel, *, seeds=SEEDS, **how):
    """How many intervals of the seeds hold the exact value, and how many there are."""
    exact = nc.collapse(X, y, kernel, convention="papyan").nc1
    hits, refused = 0, 0
    for seed in range(seeds):
        try:
            low, high = method(X, y, kernel, seed=seed, convention="papyan", **how).interval
        except ValueError as error:
            if "has no interval of nc1" not in str(error):
                raise
            refused += 1
        else:
            assert 0 <= low < high < math.inf
            hits += low <= exact <= high
    return hits, seeds - refused


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.slow
def test_intervals_of_pairs_cover_whatever_the_tails(family):
    """Bench/bench_coverage.py takes 300 seeds."""
    X, y = FAMILIES[family](1000)
    hits, there = _covered(pairs, X, y, NTK, n_pairs=12_000 if "16" in family else 3_000)
    assert hits >= LEAST - (SEEDS - there)
    assert there > SEEDS / 4


def test_intervals_of_pairs_cover_where_many_samples_are_refused():
    """Tr Sigma_B is 4 of its standard errors: samples that were let through by their own would be
    lucky ones.
    """
    X, y = FAMILIES["16 classes, 29 to 57,782"](2000)
    hits, there = _covered(pairs, X, y, nc.NNGP("erf"), seeds=60, n_pairs=6000)
    assert 0 < there < 60
    assert hits >= 0.8 * there


@pytest.mark.parametrize("family", ["one row x 1000", "t_1.5 norms"])
def test_intervals_of_features_cover_whatever_the_tails(family):
    X, y = FAMILIES[family](300)
    hits, there = _covered(features, X, y, nc.NNGP("relu"), n_units=256)
    assert there > SEEDS / 2
    assert hits >= LEAST - (SEEDS - there)


def test_units_of_which_few_matter_have_no_interval():
    """Of an NTK, distances within collapsed classes come from units that change sign there: one in
    a thousand here, and two beside a few wrong labels.
    """
    X, y = gaussians((300, 300), 8, std=1e-5)
    for (A, b), n_units in (((X, y), 512), (FAMILIES["five mislabelled"](500), 2048)):
        with pytest.raises(ValueError, match=r"rests on too few of them.*method='exact'"):
            features(A, b, NTK, n_units=n_units, convention="papyan")
    exact = nc.collapse(X, y, NTK, convention="papyan").nc1
    low, high = pairs(X, y, NTK, n_pairs=5000, convention="papyan").interval
    assert low <= exact <= high


def test_class_means_that_are_not_told_apart_have_no_interval():
    """Classes that differ by chance: a negative Tr Sigma_B of the sample is no nc1."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(3000, 20)), np.arange(3000) % 3
    with pytest.raises(ValueError, match="Tr Sigma_B is not significantly above 0"):
        pairs(X, y, NTK, n_pairs=1000)


def test_pairs_grow_until_they_tell_or_are_all():
    X, y = FAMILIES["t_1.5 norms"](1000)
    exact = nc.collapse(X, y, NTK, convention="papyan")
    result = pairs(X, y, NTK, tolerance=0.1, convention="papyan")
    assert result.interval[1] - result.nc1 <= 0.1 * result.nc1
    assert "of them with certainty" in result.reason
    low, high = pairs(X, y, NTK, tolerance=1e-9, convention="papyan").interval  # all pairs
    assert low <= exact.nc1 <= high
    assert high - low < 1e-9 * exact.nc1
