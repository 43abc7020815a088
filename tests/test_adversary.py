"""`error_bound` against an adversary: problems drawn to break it, and all that once did.

The truth is that of `tests.ball_sums`, an enclosure. NC1FAST_EXHAUSTIVE=1 draws 20 times as many problems; `python -m tests.adversary`
is the long run, with tables of what it saw. A failing problem is printed as code, and belongs into `tests/adversary/known.py`.
"""

from __future__ import annotations

import dataclasses
import os
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.adversary import verdict
from tests.adversary.drawing import FAMILIES, Numpy, drawn, problem, problems
from tests.adversary.known import GRAM, KNOWN
from tests.adversary.problems import Adapted, Problem
from tests.ball_sums import judge as truth_of

import nc1fast as nc

MORE = 20 if os.environ.get("NC1FAST_EXHAUSTIVE") == "1" else 1
UNDESIRED = (*verdict.FAILURES, "undecided")


def _failures(cases):
    found = ((case, verdict.judge(case)) for case in cases)
    return "\n".join(f"{case!r}: {v}" for case, v in found if v.status in UNDESIRED)


@pytest.mark.parametrize("family", FAMILIES)
@settings(
    max_examples=50 * MORE,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate, Phase.shrink),
)
@given(data=st.data())
def test_no_error_above_its_bound(family, data):
    assert not _failures([data.draw(problems(family))])


@pytest.mark.parametrize("batch", range(10))
def test_no_error_above_its_bound_in_the_first_problems_of_the_long_run(batch):
    assert not _failures(map(problem, range(batch, 800 * MORE, 10)))


@pytest.mark.parametrize("cause", KNOWN)
def test_what_was_once_found(cause):
    assert not _failures(KNOWN[cause])


@pytest.mark.parametrize("case", GRAM, ids=repr)
def test_entries_of_a_gram_matrix_are_as_accurate_as_promised(case):
    assert verdict.judge(case, gram=True).gram_ratio <= 1


def test_a_problem_is_code_and_the_same_for_ever():
    names = {"Problem": Problem, "Adapted": Adapted, "nc": nc}
    for index in range(200):
        case = problem(index)
        same = eval(repr(case), names)
        assert same == case
        for ours, theirs in zip(case.data(), same.data(), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_a_wrong_number_is_noticed():
    """Results just outside their bound, and just inside."""
    for seed in range(40):
        case = drawn(Numpy([seed]), "benign")
        X, y = case.data()
        kernel = case.kernel_object()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", nc.AccuracyWarning)
            result = nc.collapse(X, y, kernel, convention=case.convention)
        truth = truth_of(kernel, X, y, case.convention)
        if truth.nc1 is None:
            continue
        exact = float(truth.nc1)
        for size, status in ((0.9, "ok"), (1.1, "violation")):
            moved = dataclasses.replace(result, nc1=exact + size * 1e-9, error_bound=1e-9)
            assert verdict.compare(moved, truth).status == status, case
