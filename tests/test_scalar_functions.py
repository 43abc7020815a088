"""The functions of cpp/nc1fast/math.hpp, lane by lane: a coarse sweep within the errors that
cpp/README.md states.
"""

from __future__ import annotations

import math
import re
import sys
from copy import copy
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.tools
ROOT = Path(__file__).resolve().parent.parent
if not (ROOT / "ci" / "scalar_functions.py").is_file():
    pytest.skip("the checks are not part of this source distribution", allow_module_level=True)
sys.path.insert(0, str(ROOT / "ci"))

import scalar_functions as scalars
from coefficients import TABLES
from scalar_cases import BOUND, CASES, MPMATH, NUMPY, mp, smallest_normal

N_OUTPUTS = {case.function: len(case.outputs) for case in CASES}


@pytest.fixture(scope="module")
def lanes(tmp_path_factory):
    return scalars.compile_all(ROOT / "cpp", tmp_path_factory.mktemp("lanes"))


@pytest.fixture(scope="module")
def results(lanes):
    return scalars.measure(lanes, step=scalars.QUICK_STEP, n_float64=scalars.QUICK_FLOAT64)


def _evaluate(lanes, function, x, y=None):
    """Of every lane type, the outputs (n_outputs, n) at numbers x, y; with the type."""
    for lane in lanes:
        for dtype in lane.dtypes:
            xs = np.resize(np.array(x, dtype), 64)
            ys = xs if y is None else np.resize(np.array(y, dtype), 64)
            yield lane(function, xs, ys, N_OUTPUTS[function])[:, : len(x)], np.dtype(dtype)


def test_errors_are_within_the_table(results):
    assert scalars.exceeded(results) == []


def test_the_table_has_no_other_rows(results):
    here = {name for *_, name in results}
    stated = scalars.limits(scalars.TABLE.read_text(encoding="utf-8"))
    assert {key for key in stated if key[-1] in here} == set(results)


@pytest.mark.parametrize("ulp", [1.0, math.inf, math.nan])
def test_a_larger_error_is_told(results, ulp):
    key = ("arc(m).theta", CASES[0].domain, "float32", "baseline")
    worse = copy(results[key])
    worse.join(scalars.Worst(worse.ulp + ulp, at=0.25))
    [line] = scalars.exceeded(results | {key: worse})
    assert line.startswith(", ".join(key))
    assert (0.25).hex() in line


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.function}: {case.domain}")
def test_the_judge_of_float32_agrees_with_mpmath(case):
    low, high = scalars.ordinals(np.array(case.ends("float32"), np.float32))
    x = scalars.floats(np.linspace(low, high, 150).astype(np.int64), "float32").astype(np.float64)
    exact = np.array([[float(v) for v in case.truth(mp.mpf(value), MPMATH)] for value in x]).T
    np.testing.assert_allclose(case.truth(x, NUMPY), exact, rtol=2e-15)


def test_the_gap_is_what_its_series_says():
    with mp.workdps(400):
        for m in (1e-300, 1e-20, 0.3, 1.0):
            theta = mp.acos(1 - mp.mpf(m))
            gap = mp.sin(theta) - theta * mp.cos(theta)
            assert abs(CASES[0].truth(mp.mpf(m), MPMATH)[1] / gap - 1) < 1e-38


@pytest.mark.parametrize("name", TABLES)
def test_coefficients_are_those_derived(name):
    header = (ROOT / "cpp" / "nc1fast" / "math.hpp").read_text(encoding="utf-8")
    pattern = (
        rf"// [^\n]* ([\d.e-]+) \| ([\d.e-]+)\n[^{{]*struct {name} "
        rf"{{[^{{]*{{([^}}]*)}};\s*}};\s*template <>\s*struct {name}<float> {{[^{{]*{{([^}}]*)}}"
    )
    found = re.search(pattern, header)
    assert found is not None
    for n, error, numbers, digits in zip(
        TABLES[name].sizes, found.group(1, 2), found.group(3, 4), (18, 10), strict=True
    ):
        stated = [mp.mpf(number.strip().rstrip("f")) for number in numbers.split(",")]
        derived = TABLES[name].coefficients(n)
        assert len(stated) == n
        assert all(
            abs(a - b) <= abs(b) * mp.mpf(10) ** (1 - digits)
            for a, b in zip(stated, derived, strict=True)
        )
        assert TABLES[name].error(derived, 200) <= 1.1 * float(error)


def test_roots_at_zero(lanes):
    for out, _ in _evaluate(lanes, "sqrt", [0.0]):
        assert out[0, 0] == 0
    for out, _ in _evaluate(lanes, "arc", [0.0]):
        assert not out.any()
    for out, dtype in _evaluate(lanes, "rsqrt", [0.0]):
        assert 0.5 / math.sqrt(smallest_normal(str(dtype))) < out[0, 0] < math.inf


def test_bounds_on_roots_are_just_above(lanes):
    for lane in lanes:
        for dtype in lane.dtypes:
            low, high = 2 * smallest_normal(dtype), float(np.finfo(dtype).max) / 2
            w = np.r_[np.geomspace(low, high, 64_000), np.linspace(1, 4, 64_000)].astype(dtype)
            [above] = lane("rsqrt_above", w, w, 1).astype(np.float64)
            excess = above * np.sqrt(w.astype(np.float64)) - 1
            assert excess.min() > 0
            assert excess.max() < 1e-3


@pytest.mark.parametrize("function", sorted(N_OUTPUTS))
def test_nan_stays_nan(lanes, function):
    for out, _ in _evaluate(lanes, function, [math.nan, -math.nan]):
        assert np.isnan(out).all()


def test_exponentials_end_where_they_say(lanes):
    for out, dtype in _evaluate(lanes, "exp", [-math.inf, -1e30, 1e30, math.inf]):
        top = np.exp(BOUND[str(dtype)])
        np.testing.assert_allclose(out[0], [0, 0, top, top], rtol=2 * np.finfo(dtype).eps)
    for out, _ in _evaluate(lanes, "expm1", [-math.inf, -1e30, 0.0]):
        np.testing.assert_array_equal(out[0], [-1, -1, 0])


def test_odd_functions_are_odd(lanes):
    x = np.linspace(0, 0.39, 64)
    for function, y in (("asin", 1 - x), ("sin_small", None)):
        pairs = zip(
            _evaluate(lanes, function, x, y), _evaluate(lanes, function, -x, y), strict=True
        )
        for (plus, _), (minus, _) in pairs:
            np.testing.assert_array_equal(plus, -minus)
