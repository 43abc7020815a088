"""Several starts: the lowest minimum is kept, the others are reported, and one start is the plain
descent.
"""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

import nc1fast as nc
from nc1fast import studies
from nc1fast.adaptive.equations import FreeEnergy
from nc1fast.adaptive.search import Minimization
from nc1fast.adaptive.settings import SolverSettings
from nc1fast.inputs.targets import encode
from nc1fast.studies.table import RELEASED_ADAPTIVE

WIDTH, READOUT, NOISE = 500, 1 / 128, 1e-6
# Data sets of D2 (N, d0, seed) with two minima; which start finds the lower one, by earlier runs of
# random starts.
FROM_ABOVE, FROM_THE_PRIOR = (128, 2, 2409354761), (128, 2, 506265618)
MANY_MINIMA = (128, 8, 3519336144)
EXPENSIVE = (512, 8, 1701102133)


def problem(N, d0, seed):
    X, y = nc.datasets.paper_d2(N, d0, seed)
    classes = np.unique(y, return_inverse=True)[1]
    return X, y, encode("scalar", classes, 4).values


def solve(X, Y, **options):
    return nc.adaptive.solve(X, Y, noise=NOISE, **options)


def plain_free_energy(X, Y):
    """F of Sigma = L L^T/d0 as a function of the entries of L, in plain NumPy; without its
    constants.
    """
    N, d0 = X.shape
    lower = np.tril_indices(d0)

    def value(entries):
        L = np.zeros((d0, d0))
        L[lower] = entries
        L[np.diag_indices(d0)] = np.exp(np.clip(L.diagonal(), -20, 20))
        W = X @ L / np.sqrt(d0)
        K = W @ W.T
        scale = np.sqrt(1 + 2 * K.diagonal())
        Q = 2 / np.pi * np.arcsin(np.clip(2 * K / np.outer(scale, scale), -1, 1))
        try:
            factor = cho_factor(READOUT * Q + NOISE * np.eye(N), lower=True)
        except np.linalg.LinAlgError:
            return 1e12
        log_det = 2 * np.log(factor[0].diagonal()).sum()
        prior = (L * L).sum() - 2 * np.log(L.diagonal()).sum() + d0 * np.log(d0)
        return float(WIDTH / 2 * prior + ((Y * cho_solve(factor, Y)).sum() + log_det) / 2)

    return value, lower


@pytest.mark.parametrize(
    ("where", "winner"), [(FROM_ABOVE, "8 x prior"), (FROM_THE_PRIOR, "prior")]
)
def test_the_default_finds_the_lower_minimum_and_says_from_where(where, winner):
    X, y, Y = problem(*where)
    alone, found = solve(X, Y, multistart=1), solve(X, Y)
    assert found.start == winner
    assert f"lowest of 2 branches from 2 starts, found from {winner}" in repr(found)
    assert alone.start == "prior"
    assert len(found.branches) == found.n_starts == 2
    low, high = found.branches
    assert low.starts == (winner,)
    assert {*low.starts, *high.starts} == {"prior", "8 x prior"}
    assert low.free_energy < high.free_energy * (1 - 1e-5)
    if winner == "prior":
        assert alone.free_energy == pytest.approx(low.free_energy, rel=1e-9)
    else:
        assert alone.free_energy == pytest.approx(high.free_energy, rel=1e-6)
        nc1 = nc.collapse(X, y, [alone.kernel, found.kernel])
        assert nc1[1].nc1 > 2 * nc1[0].nc1  # another kernel altogether


@pytest.mark.parametrize("where", [FROM_ABOVE, FROM_THE_PRIOR])
def test_no_minimum_of_twenty_random_starts_is_lower(where):
    """The minima of a free energy that is written out here, by another minimiser."""
    X, _, Y = problem(*where)
    found = solve(X, Y)
    value, lower = plain_free_energy(X, Y)
    rng = np.random.default_rng(0)
    lowest = []
    for _ in range(20):
        start = rng.normal(scale=1.5, size=len(lower[0]))
        lowest.append(
            minimize(value, start, method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-3}).fun
        )
    assert found.free_energy <= min(lowest) * (1 + 1e-9)
    assert min(lowest) == pytest.approx(found.free_energy, rel=1e-6)  # and one of them is it


def test_branches_are_sorted_distinct_and_stationary():
    X, _, Y = problem(*MANY_MINIMA)
    found = solve(X, Y, multistart=6)
    assert len(found.branches) >= 3
    values = [branch.free_energy for branch in found.branches]
    assert values == sorted(values)
    np.testing.assert_array_equal(found.branches[0].sigma, found.sigma)
    assert values[0] == found.free_energy
    names = [name for branch in found.branches for name in branch.starts]
    assert sorted(names) == sorted(
        ["prior", "8 x prior", "path of widths", "prior / 8", "64 x prior", "random 1"]
    )
    assert found.start in found.branches[0].starts
    kernels = [branch.kernel(X) for branch in found.branches]
    for i, K in enumerate(kernels):
        for j in range(i):
            different_kernel = np.linalg.norm(K - kernels[j]) > 1e-2 * np.linalg.norm(K)
            assert different_kernel or values[i] > values[j] * (1 + 1e-6)
    for branch in found.branches[1:]:
        assert branch.residual <= 1e-4
        refined = solve(X, Y, start=branch.sigma, multistart=1)
        assert refined.residual <= 1e-7
        assert refined.free_energy == pytest.approx(branch.free_energy, rel=1e-6)


def test_equal_seeds_give_equal_bits_and_the_history_has_every_start():
    X, _, Y = problem(*FROM_ABOVE)
    a, b = (solve(X, Y, multistart=7, seed=3) for _ in range(2))
    np.testing.assert_array_equal(a.sigma, b.sigma)
    assert set(a.history["start"]) == set(range(7))
    path = a.history["width"][a.history["start"] == 2]
    assert list(dict.fromkeys(path)) == [64 * WIDTH, 16 * WIDTH, 4 * WIDTH, WIDTH]
    assert a.history["free_energy"][-1] == a.free_energy
    assert a.history["residual"][-1] == a.residual
    last = [a.history["evaluation"][a.history["start"] == k].max() for k in range(7)]
    assert a.evaluations >= sum(last)
    assert [branch.starts for branch in a.branches] == [branch.starts for branch in b.branches]
    first = solve(X, Y, multistart=7, seed=4)
    assert first.free_energy == pytest.approx(a.free_energy, rel=1e-9)


def test_one_start_is_the_plain_descent():
    """One minimisation from L = I to the tolerance, without a loose end: the same bits."""
    X, _, Y = problem(*FROM_THE_PRIOR)
    found = solve(X, Y, multistart=1)
    energy = FreeEnergy(X, Y, SolverSettings(noise=NOISE))
    descent = Minimization.begin(energy, WIDTH, np.eye(2))
    descent.refine(1e-8)
    np.testing.assert_array_equal(found.sigma, energy.sigma(descent.L))
    assert found.evaluations == descent.evaluations
    assert found.start == "prior"
    assert [branch.starts for branch in found.branches] == [("prior",)]
    assert found.branches[0].residual == found.residual <= 1e-8


def test_a_start_of_the_caller_goes_first():
    X, _, Y = problem(*FROM_ABOVE)
    low = solve(X, Y)
    found = solve(X, Y, start=low.sigma, multistart=2)
    assert [branch.starts for branch in found.branches] == [("start",), ("prior",)]
    assert found.free_energy == pytest.approx(low.free_energy, rel=1e-11)


def test_continuation_begins_at_the_width_before():
    X, _, Y = problem(*FROM_ABOVE)
    alone = solve(X, Y, widths=[5000], multistart=1)
    assert [stage.start for stage in alone.stages] == ["prior", "path of widths"]
    assert [stage.n_starts for stage in alone.stages] == [1, 1]
    both = solve(X, Y, widths=[5000], multistart=2)
    names = [sorted(n for b in stage.branches for n in b.starts) for stage in both.stages]
    assert names == [["8 x prior", "prior"], ["8 x prior", "path of widths"]]
    assert both.free_energy <= alone.free_energy * (1 + 1e-9)
    assert both.evaluations == sum(stage.evaluations for stage in both.stages)


@pytest.mark.slow
def test_the_prior_ends_on_a_high_branch_of_eight_features():
    X, y, Y = problem(*EXPENSIVE)
    found = solve(X, Y)
    assert found.start == "8 x prior"
    low, high = found.branches
    assert high.free_energy > 1.5 * low.free_energy
    nngp, below, above = nc.collapse(X, y, [nc.NNGP("erf"), low.kernel, high.kernel])
    assert below.nc1 > 10 * nngp.nc1 > 10 * above.nc1


STUDY = """
name: branches
title: Two minima
repeats: 1
arms:
  - name: a
    data:
      - {source: gaussian_mixture, name: D2, means: [-6, -2, 2, 6], stds: 0.5, n_samples: [128],
         n_features: [8]}
    conventions: [class, papyan]
    adaptive: [{noise: 1.0e-6, multistart: 3}, {noise: 1.0e-6, equations: released}]
"""


def test_a_study_writes_the_branches(tmp_path):
    study = studies.parse(STUDY)
    rows = studies.run(study, tmp_path).rows
    drawn = studies.plan(study)[0].draw()
    Y = encode("scalar", np.unique(drawn.y, return_inverse=True)[1], 4).values
    solution = solve(drawn.X, Y, multistart=3)
    own = [row for row in rows if row["model"] == "AdaptiveKernel"]
    assert {(row["starts"], row["branches"]) for row in own} == {(3, len(solution.branches))}
    for row in own:  # of another process, whose BLAS may have other threads
        np.testing.assert_allclose(row["free_energy"], solution.free_energy, rtol=1e-12)
    assert len(solution.branches) > 1
    kernels = [branch.kernel for branch in solution.branches]
    results = nc.collapse(drawn.X, drawn.y, kernels, convention="class")
    for row in own:
        listed = [float(text) for text in row["branch_nc1"].split(" ")]
        np.testing.assert_allclose(listed, [result.nc1 for result in results], rtol=1e-5)
    assert {row["status"] for row in own} == {"ok"}
    theirs = [row for row in rows if row["model"] == RELEASED_ADAPTIVE]
    assert {(row["starts"], row["branches"], row["branch_nc1"]) for row in theirs} == {(1, 1, "")}
    assert np.isnan([row["free_energy"] for row in theirs]).all()
    written = csv.DictReader(io.StringIO((tmp_path / "table.csv").read_text()))
    assert {row["branch_nc1"] for row in written} == {own[0]["branch_nc1"], ""}
