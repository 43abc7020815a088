"""Activations without an elementary formula: thresholds by Owen's function, and any function by its
Hermite series.
"""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
from scipy.special import ndtr, owens_t
from tests import cases

import nc1fast as nc
from nc1fast import reference
from nc1fast.core.activations import as_activation, traits
from nc1fast.kernels import from_json, to_json

SMOOTH = ("tanh", "sigmoid", "softplus", "silu")
KINKED = ("elu", "selu", "hard_tanh", "relu6")
THRESHOLDS = (-1.0, 0.0, 0.3, 1.0, 2.0)


def _cubic(u):
    return u**3 - 2 * u + 0.5


def _data(n_features=5):
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [40, 50, 30])
    X = rng.normal(size=(3, n_features))[y] + 0.5 * rng.normal(size=(len(y), n_features))
    return X, y


def _few():
    X, _ = _data()
    return X[::25]  # 5 rows of all classes


def _sizes(kernel, X):
    return np.sqrt(np.outer(kernel.diag(X), kernel.diag(X)))


# --- thresholds ---


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_a_threshold_against_quadrature(threshold):
    X, phi = _few(), nc.ShiftedReLU(threshold)
    for kernel in (nc.ConjugateKernel(phi), nc.NTK(phi), nc.NTK(phi, train_readout=False)):
        error = np.abs(kernel(X) - reference.gram(kernel, X)) / _sizes(kernel, X)
        np.fill_diagonal(error, 0)  # where quadrature meets a kink of the angle
        assert error.max() <= (1e-12 if threshold < 2 else 1e-9)  # terms of size t^4 cancel


def test_no_threshold_is_the_rectifier():
    X, y = _data()
    for kind in (nc.NNGP, nc.NTK):
        shifted, plain = kind(nc.ShiftedReLU(0.0)), kind("relu")
        assert np.abs(shifted(X) - plain(X)).max() <= 1e-12 * plain(X).max()
        found = cases.collapse(X, y, shifted)
        assert found.nc1 == pytest.approx(cases.collapse(X, y, plain).nc1, rel=1e-11)


@pytest.mark.parametrize("threshold", [0.5, 1.0, 1.5])
def test_a_threshold_on_unit_rows_by_owens_function(threshold):
    """P(<w, x> > B, <w, y> > B) = Q(B) - 2 T(B, sqrt((1 - r)/(1 + r))) for unit rows."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(20, 16))
    X /= np.linalg.norm(X, axis=1)[:, None]
    kernel = nc.NTK(nc.ShiftedReLU(threshold), weight_variance=(16.0, 1.0), train_readout=False)
    r = np.clip(X @ X.T, -1, 1)
    np.fill_diagonal(r, 1)
    active = ndtr(-threshold) - 2 * owens_t(threshold, np.sqrt((1 - r) / (1 + r)))
    assert np.abs(kernel(X) - r * active).max() <= 1e-10


# --- series ---


@pytest.mark.parametrize("activation", [*SMOOTH, *KINKED])
def test_a_series_against_quadrature(activation):
    X = _few()
    kernel = nc.ConjugateKernel(activation)
    error = np.abs(kernel(X) - reference.gram(kernel, X)) / _sizes(kernel, X)
    assert error.max() <= (1e-9 if activation in SMOOTH else 2e-2)
    assert error.diagonal().max() <= 1e-11
    if activation in SMOOTH:
        X, ntk = 0.7 * X, nc.NTK(activation, bias_variance=0.1)
        error = np.abs(ntk(X) - reference.gram(ntk, X)) / _sizes(ntk, X)
        assert error.max() <= 1e-10


@pytest.mark.parametrize("activation", [*SMOOTH, *KINKED])
@pytest.mark.parametrize("kind", [nc.NNGP, nc.NTK])
def test_what_a_series_leaves_out_is_in_the_bound(activation, kind):
    X, y = _data()
    X, y = X[::20], y[::20]
    result = cases.collapse(X, y, kind(activation))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nc.AccuracyWarning)
        true = nc.collapse(
            reference.gram(kind(activation), X), y, "precomputed", convention="papyan"
        )
    assert abs(result.nc1 - true.nc1) <= result.error_bound + true.error_bound + 1e-9
    assert result.error_bound > 0


def test_more_coefficients_leave_less_out():
    X, y = _data()
    bounds = []
    for n_terms in (8, 32, 128):
        phi = nc.Activation(np.tanh, name="tanh", n_terms=n_terms)
        bounds.append(cases.collapse(X, y, nc.NNGP(phi)).error_bound)
    assert bounds[0] > 10 * bounds[1] > 100 * bounds[2]


def test_polynomials_are_exact():
    """E phi(u) phi(v) of u^3 - 2u + 1/2 in closed form: 6 c^3 + 9 abc - 6 c (a + b) + 4 c + 1/4."""
    X, y = _data()
    phi = nc.Activation(_cubic, name="cubic", n_terms=8)
    kernel = nc.ConjugateKernel(phi)
    a = (X**2).mean(axis=1)
    c = X @ X.T / X.shape[1]
    s, t = a[:, None], a[None, :]
    expected = 6 * c**3 + 9 * s * t * c - 6 * c * (s + t) + 4 * c + 0.25
    assert np.abs(kernel(X) - expected).max() <= 1e-12 * expected.max()
    result = cases.collapse(X, y, kernel)
    assert result.error_bound <= 1e-9 * result.nc1


def test_a_given_function_is_the_named_one():
    X, y = _data()
    own = nc.Activation(np.tanh, name="mine")
    for kind in (nc.NNGP, nc.NTK):
        a, b = cases.collapse(X, y, kind(own)), cases.collapse(X, y, kind("tanh"))
        assert a.nc1 == pytest.approx(b.nc1, rel=1e-9)


def test_kinks_are_found_where_they_are_not_given():
    given = nc.Activation(lambda u: np.abs(u - 0.3), name="bent", kinks=(0.3,), n_terms=16)
    found = nc.Activation(lambda u: np.abs(u - 0.3), name="bent", n_terms=16)
    X = _few()
    a, b = nc.ConjugateKernel(given)(X), nc.ConjugateKernel(found)(X)
    assert np.abs(a - b).max() <= 1e-9 * a.max()
    with pytest.raises(ValueError, match="no finite NTK"):
        nc.NTK(nc.Activation(lambda u: 1.0 * (u > 0.3), name="jump"))


def test_random_units_have_the_kernel_of_a_series():
    X, y = _data()
    for activation in ("tanh", nc.ShiftedReLU(0.5)):
        exact = cases.collapse(X, y, nc.NNGP(activation))
        estimate = nc.estimators.features(
            X, y, nc.NNGP(activation), n_units=20_000, convention="papyan"
        )
        assert abs(estimate.nc1 - exact.nc1) <= 4 * estimate.standard_error


def test_series_share_a_pass_with_other_kernels():
    X, y = _data()
    tanh, silu = nc.NNGP("tanh", bias_variance=0.2), nc.NTK("silu", depth=3)
    kernels = [tanh, 0.5 * tanh * silu + nc.NNGP("relu"), nc.NNGP("tanh")]
    together = cases.collapse(X, y, kernels)
    assert together[0].nc1 == cases.collapse(X, y, tanh).nc1
    assert together[2].nc1 == cases.collapse(X, y, kernels[2]).nc1


def test_objects_are_values():
    a, b = (nc.Activation(_cubic, name="cubic") for _ in range(2))
    assert a == b
    assert hash(a) == hash(b)
    assert pickle.loads(pickle.dumps(nc.NNGP(a))) == nc.NNGP(b)
    assert a != nc.Activation(_cubic, name="cubic", n_terms=65)
    assert a != nc.Activation(np.tanh, name="cubic")
    assert str(a) == "cubic"
    with pytest.raises(TypeError, match="cannot be written to a file"):
        to_json(nc.NNGP(a))
    shifted = nc.NTK(nc.ShiftedReLU(0.25), train_readout=False)
    assert from_json(to_json(shifted)) == shifted
    assert as_activation("shifted_relu") == nc.ShiftedReLU()
    assert {"tanh", "shifted_relu", "rbf"} < set(nc.activations())
    assert "tanh" not in nc.activations(elementary=True)
    assert traits(nc.ShiftedReLU(0.2)).series is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"function": 3, "name": "x"}, "callable"),
        ({"function": np.tanh, "name": ""}, "name"),
        ({"function": np.tanh, "name": "x", "n_terms": 4}, "n_terms"),
        ({"function": np.tanh, "name": "x", "n_terms": 1000}, "n_terms"),
        ({"function": np.tanh, "name": "x", "kinks": 3.0}, "kinks"),
        ({"function": np.log, "name": "x"}, "finite"),
        ({"function": lambda u: 1.0, "name": "x"}, "one real number"),
        ({"function": lambda u: u + 1j, "name": "x"}, "real number"),
    ],
)
def test_what_is_no_activation_is_refused(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message), np.errstate(all="ignore"):
        nc.Activation(**arguments)


def test_rows_of_zeros_need_a_bias():
    X, y = _data()
    X[3] = 0
    for activation in ("tanh", nc.ShiftedReLU(0.5)):
        with pytest.raises(ValueError, match="1 zero rows"):
            cases.collapse(X, y, nc.NNGP(activation))
        kernel = nc.NNGP(activation, bias_variance=0.1)
        stored = cases.collapse(kernel(X), y, "precomputed")
        assert cases.collapse(X, y, kernel).nc1 == pytest.approx(stored.nc1, rel=1e-9)


def test_what_a_series_does_not_reach_is_refused():
    X, y = _data()
    with pytest.raises(ValueError, match="out of range"):
        cases.collapse(1e6 * X, y, nc.NNGP("tanh"))
    with pytest.raises(ValueError, match="series"):
        nc.estimators.pairs(X, y, nc.NNGP("tanh"), convention="papyan")
    result = nc.collapse(X, y, nc.NNGP("tanh"), method="auto", tolerance=0.1, convention="papyan")
    assert result.nc1 > 0


def test_devices_refuse_series(other_device):
    X, y = _data()
    with pytest.raises(ValueError, match="processor"):
        nc.collapse(X, y, nc.NNGP("tanh"), device=other_device, convention="papyan")
