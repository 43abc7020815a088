"""Expected collapse as it is called: the result, its errors and warnings, and the command."""

from __future__ import annotations

import math
import sys
import warnings

import numpy as np
import pytest
from tests.test_theory import KERNELS

import nc1fast as nc
from nc1fast.theory import expected_collapse


def test_result_says_what_it_is():
    found = expected_collapse(
        nc.NTK("erf"), [-2, 2], 0.5, n_features=np.int64(3), sizes=np.array([4, 6])
    )
    assert (found.means, found.stds, found.n_features) == ((-2.0, 2.0), (0.5, 0.5), 3)
    assert (found.sizes, found.convention, found.kernel) == ((4, 6), "papyan", nc.NTK("erf"))
    with pytest.raises(AttributeError):
        found.nc1 = 0.0  # type: ignore[misc]
    assert nc.theory.expected_collapse is expected_collapse


@pytest.mark.parametrize("name", KERNELS)
def test_coinciding_classes_have_infinite_nc1(name):
    with pytest.warns(nc.AccuracyWarning, match="infinite"):
        found = expected_collapse(KERNELS[name], (1.3, 1.3, 1.3), 0.4, n_features=5)
    assert found.nc1 == math.inf
    with pytest.raises(ValueError, match="0/0"):
        expected_collapse(KERNELS[name], (1.3, 1.3), 0, n_features=5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # means of few rows differ
        assert expected_collapse(KERNELS[name], (1, 1), 0.4, n_features=5, sizes=(9, 9)).nc1 > 1


RELU = nc.NNGP("relu")
OF_ANOTHER_KIND = [
    ({"kernel": None}, "kernel must be an NNGP, ConjugateKernel, NTK or Linear, got None"),
    ({"kernel": nc.AdaptiveKernel(np.eye(4))}, "kernel must be"),
    ({"n_features": 2.5}, "n_features must be an integer or math.inf"),
    ({"n_features": math.nan}, "n_features must be an integer or math.inf"),
]
OUT_OF_RANGE = [
    ({"kernel": nc.NNGP("relu", weight_variance=0)}, "NC1 is 0/0"),
    ({"kernel": nc.NNGP("relu", 3), "n_features": math.inf}, "n_features may be infinite for"),
    ({"means": [1.0]}, "means must be of at least two classes"),
    ({"means": 1.0}, "means must have shape"),
    ({"means": [[1.0, 2.0], [2.0, 3.0]]}, "means has 2 columns, but n_features is 4"),
    ({"means": [[1.0, 2.0]] * 2, "n_features": math.inf}, "means has 2 columns, but n_features is"),
    ({"means": [1e200, 1.0]}, "too large"),
    ({"stds": None}, "give either stds or covariances"),
    ({"covariances": np.eye(4)}, "give either stds or covariances"),
    ({"stds": None, "covariances": np.eye(3)}, r"covariances must have shape \(4, 4\)"),
    ({"stds": None, "covariances": np.tri(4)}, "covariances must be symmetric"),
    ({"stds": None, "covariances": np.diag([1.0, 1, 1, -1])}, "covariances must be positive"),
    ({"stds": -0.5}, "stds must be >= 0"),
    ({"tolerance": 0}, "tolerance must be"),
    ({"seed": -1}, "seed must be"),
    ({"n_features": 0}, "n_features must be >= 1"),
    ({"n_features": 10**16}, "n_features must be >= 1 and <= 1000000000000000, got"),
    ({"sizes": (0, 4)}, r"sizes\[0\] must be >= 1"),
    ({"convention": "fair"}, "convention must be one of"),
]


@pytest.mark.parametrize(
    ("error", "change", "message"),
    [(TypeError, *case) for case in OF_ANOTHER_KIND]
    + [(ValueError, *case) for case in OUT_OF_RANGE],
    ids=str,
)
def test_bad_input_is_named(error, change, message):
    given = {"kernel": RELU, "means": (-2, 2), "stds": 0.5, "n_features": 4} | change
    with pytest.raises(error, match=message):
        expected_collapse(**given)


def test_missing_scipy_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    with pytest.raises(ImportError, match=r"nc1fast\[adaptive\]"):
        expected_collapse(RELU, (-2, 2), 0.5, n_features=4)


MIXTURE = ("theory", "--means", "-2,2", "--stds", "0.5")
CALLS = {
    "--features 2": (nc.NNGP("relu"), {"n_features": 2}),
    "--features inf --activation erf": (nc.NNGP("erf"), {"n_features": math.inf}),
    "--kernel ntk --features 8 --sizes 4,12 --convention class": (
        nc.NTK("relu"),
        {"n_features": 8, "sizes": (4, 12), "convention": "class"},
    ),
    "--kernel conjugate --features 1 --stds 0.5,1 --weight-variance 2": (
        nc.ConjugateKernel("relu", weight_variance=2),
        {"n_features": 1, "stds": (0.5, 1)},
    ),
}


@pytest.mark.parametrize("options", CALLS)
def test_command_line_gives_the_numbers_of_the_package(answer, call, options):
    kernel, settings = CALLS[options]
    settings = {"stds": 0.5} | settings
    expected = expected_collapse(kernel, (-2, 2), **settings)
    found = answer(*MIXTURE, *options.split())
    assert found["nc1"] == expected.nc1
    assert found["class_gram"] == expected.class_gram.tolist()
    assert found["kernel"] == repr(kernel)
    assert float(found["n_features"]) == expected.n_features
    _, out, _ = call(*MIXTURE, *options.split())
    lines = dict(line.split(None, 1) for line in out.splitlines())
    assert float(lines["nc1"]) == pytest.approx(expected.nc1, rel=1e-11)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "n_features is needed"),
        ("--features few", "--features must be integers"),
        ("--features 2,8", "--features must be one integer"),
        ("--features 2 --means -2:2", "--means must be numbers"),
        ("--features 2 --means -2;2", "means has 1 columns, but n_features is 2"),
        ("--features 2 --means nan,2", "means must be finite"),
        ("--features 2 --stds -1", "stds must be >= 0"),
        ("--features 2 --sizes 4", "sizes must be 2 integers"),
        ("--features inf --activation gelu", "relu or erf"),
        ("--features 2 --kernel linear", "--kernel"),
    ],
)
def test_command_line_mistake_is_one_line(refused, options, message):
    assert message in refused(*MIXTURE, *options.split())
