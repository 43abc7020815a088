"""`error_bound` against an adversary: problems drawn to break it, and all that once did.

The truth is that of `tests.ball_sums`, an enclosure. NC1FAST_EXHAUSTIVE=1 draws 20 times as many
problems; `python -m tests.adversary` is the long run, with tables of what it saw. A failing problem
is printed as code, and belongs into `tests/adversary/known.py`.
"""

from __future__ import annotations

import dataclasses
import math
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, event, given, settings, target
from hypothesis import strategies as st
from tests.adversary import verdict
from tests.adversary.drawing import ACTIVATIONS, DTYPES, FAMILIES, problem, problems
from tests.adversary.known import GRAM, KNOWN
from tests.adversary.problems import TWISTS, Adapted, Problem
from tests.ball_sums import judge as truth_of

import nc1fast as nc
from nc1fast.metrics import CONVENTIONS

MORE = 20 if os.environ.get("NC1FAST_EXHAUSTIVE") == "1" else 1


def _bad(case, found):
    """Whether a verdict must not be; the traces of "released" may cancel to zero, which balls
    cannot tell.
    """
    undecided = found.status == "undecided" and case.convention != "released"
    return undecided or found.status in verdict.FAILURES


def _failures(cases):
    found = ((case, verdict.judge(case)) for case in cases)
    return "\n".join(f"{case!r}: {v}" for case, v in found if _bad(case, v))


@pytest.mark.parametrize("family", FAMILIES)
@settings(
    max_examples=40 * MORE,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate, Phase.target, Phase.shrink),
)
@given(data=st.data())
def test_no_error_above_its_bound(family, data):
    """Hypothesis looks for large quotients; --hypothesis-show-statistics shows those that it
    saw.
    """
    case = data.draw(problems(family))
    found = verdict.judge(case)
    if 0 < found.ratio < np.inf:
        event("error over bound", f"1e{math.ceil(math.log10(found.ratio))}")
        target(math.log10(found.ratio))
    assert not _bad(case, found), f"{case!r}: {found}"


@pytest.mark.parametrize("batch", range(10))
def test_no_error_above_its_bound_in_the_first_problems_of_the_long_run(batch):
    assert not _failures(map(problem, range(batch, 600 * MORE, 10)))


@pytest.mark.slow
def test_no_error_of_a_device_above_its_bound(other_device):
    cases = (problem(index, seed=3) for index in range(15 * MORE))
    on_device = [
        c for c in cases if c.method == "exact" and isinstance(c.kernel_object(), nc.kernels.Kernel)
    ]
    found = [(case, verdict.judge(case, device=other_device)) for case in on_device]
    failures = [f"{case!r}: {v}" for case, v in found if _bad(case, v)]
    assert not failures, "\n".join(failures)


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


def test_problems_cover_what_they_claim():
    cases = [problem(index) for index in range(3000)]
    kernels = [case.kernel_object() for case in cases]
    assert {case.family for case in cases} == {name for name, share in FAMILIES.items() if share}
    assert {case.dtype for case in cases} == set(DTYPES)
    assert {case.convention for case in cases} == set(CONVENTIONS)
    assert {name for case in cases for name, _ in case.twists} == set(TWISTS)
    assert {getattr(k, "activation", ACTIVATIONS[0]) for k in kernels} == set(ACTIVATIONS)
    depths = {k.depth for k in kernels if isinstance(k, nc.NNGP)}
    assert min(depths) == 2
    assert max(depths) > 58
    tangent = {(k.parametrization, k.train_bias) for k in kernels if isinstance(k, nc.NTK)}
    assert len(tangent) == 6
    lengths = [case.length for case in cases]
    assert min(lengths) < 1e-140
    assert max(lengths) > 1e140
    assert min(case.spread for case in cases) < 1e-14
    assert max(sum(case.sizes) for case in cases) > 40


def test_a_wrong_number_is_noticed():
    """Results just outside their bound, and just inside."""
    rng = np.random.default_rng(5)
    X, y = (
        rng.normal(size=(9, 3)) + np.repeat([[0.0], [1.0], [3.0]], 3, axis=0),
        np.repeat([0, 1, 2], 3),
    )
    for kernel in (nc.Linear(), nc.NNGP("relu"), nc.NTK("erf", 3), nc.NNGP("sign", 2, 1.0, 0.1)):
        result = nc.collapse(X, y, kernel)
        truth = truth_of(kernel, X, y, "papyan")
        assert verdict.compare(result, truth).status == "ok"
        for size, status in ((0.9, "ok"), (1.1, "violation"), (np.nan, "violation")):
            moved = dataclasses.replace(
                result, nc1=float(truth.nc1) + size * 1e-9, error_bound=1e-9
            )
            assert verdict.compare(moved, truth).status == status
        off = dataclasses.replace(result, trace_within=result.trace_within * (1 + 1e-10))
        assert verdict.compare(off, truth).what == "trace_within"
