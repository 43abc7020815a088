"""Tangent kernels of activations given by series or thresholds against those of wide random
networks, in NumPy alone.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

import nc1fast as nc

SELU, ALPHA = 1.0507009873554805, 1.6732632423543772


def _elu(u, alpha=1.0):
    return np.where(u > 0, u, alpha * np.expm1(np.minimum(u, 0)))


def _elu_slope(u, alpha=1.0):
    return np.where(u > 0, 1.0, alpha * np.exp(np.minimum(u, 0)))


# phi and phi', written down here again.
ACTIVATIONS = {
    "tanh": ("tanh", np.tanh, lambda u: 1 - np.tanh(u) ** 2),
    "sigmoid": ("sigmoid", expit, lambda u: expit(u) * expit(-u)),
    "softplus": ("softplus", lambda u: np.logaddexp(0, u), expit),
    "silu": ("silu", lambda u: u * expit(u), lambda u: expit(u) * (1 + u * expit(-u))),
    "elu": ("elu", _elu, _elu_slope),
    "selu": (
        "selu",
        lambda u: SELU * _elu(u, ALPHA),
        lambda u: SELU * _elu_slope(u, ALPHA),
    ),
    "hard_tanh": ("hard_tanh", lambda u: np.clip(u, -1, 1), lambda u: 1.0 * (np.abs(u) < 1)),
    "relu6": ("relu6", lambda u: np.clip(u, 0, 6), lambda u: 1.0 * ((u > 0) & (u < 6))),
    "shifted_relu": (
        nc.ShiftedReLU(0.4),
        lambda u: np.maximum(u - 0.4, 0),
        lambda u: 1.0 * (u > 0.4),
    ),
}
WEIGHTS, BIASES = (1.5, 2.0, 1.2), (0.2, 0.3, 0.1)
WIDTH, DRAWS = (
    700,
    50,
)  # a depth of 3 is off by a part of 1/WIDTH, and its mean by one of 1/sqrt(WIDTH DRAWS)
X = np.random.default_rng(0).normal(size=(5, 4))


def _layers(rng, sizes):
    """Weights times sqrt(sw2/fan_in) and biases times sqrt(sb2) of a random network, from input to
    output.
    """
    return [
        (
            np.sqrt(WEIGHTS[layer] / fan_in) * rng.standard_normal((fan_out, fan_in)),
            np.sqrt(BIASES[layer]) * rng.standard_normal((fan_out, 1)),
        )
        for layer, (fan_in, fan_out) in enumerate(pairwise(sizes))
    ]


def empirical_ntks(layers, phi, slope):
    """Sum over layers of (sw2/n <h, h'> + sb2) <delta, delta'>, delta = df/du: of the hidden
    layers, and of all.
    """
    inputs, slopes, h = [], [], X.T
    for W, b in layers[:-1]:
        inputs.append(h)
        u = W @ h + b
        slopes.append(slope(u))
        h = phi(u)
    readout = WEIGHTS[len(layers) - 1] / len(h) * h.T @ h + BIASES[len(layers) - 1]
    K, delta = np.zeros((len(X), len(X))), np.ones((1, len(X)))
    for layer in reversed(range(len(layers) - 1)):
        h = inputs[layer]
        delta = (layers[layer + 1][0].T @ delta) * slopes[layer]
        K += (WEIGHTS[layer] / len(h) * h.T @ h + BIASES[layer]) * (delta.T @ delta)
    return K, K + readout


def _statistics(K):
    """The trace, and the sum of what is beside the diagonal."""
    return np.trace(K), K.sum() - np.trace(K)


@pytest.fixture(scope="module")
def drawn():
    """Statistics of the tangent kernels of every network, shape (DRAWS, 2 readouts, 2)."""
    found: dict[tuple[str, int], list[Any]] = {
        (name, depth): [] for name in ACTIVATIONS for depth in (2, 3)
    }
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        networks = {d: _layers(rng, (X.shape[1], *[WIDTH] * (d - 1), 1)) for d in (2, 3)}
        for (name, depth), draws in found.items():
            _, phi, slope = ACTIVATIONS[name]
            draws.append([_statistics(K) for K in empirical_ntks(networks[depth], phi, slope)])
    return {case: np.array(draws) for case, draws in found.items()}


@pytest.mark.parametrize("depth", [2, 3])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_tangent_kernels_are_means_of_finite_ones(name, depth, drawn):
    arguments = ACTIVATIONS[name][0], depth, WEIGHTS[:depth], BIASES[:depth]
    expected = [_statistics(nc.NTK(*arguments, train_readout=one)(X)) for one in (False, True)]
    mean = drawn[name, depth].mean(axis=0)
    error = drawn[name, depth].std(axis=0, ddof=1) / np.sqrt(DRAWS)
    assert np.abs((mean - expected) / error).max() < 3
    assert np.abs((mean - expected[::-1]) / error).max(axis=1).min() > 10  # so that 3 is close


def test_the_gradient_is_that_of_the_function():
    """Backpropagation against differences of the output in every parameter of a small network."""
    for name, (_, phi, slope) in ACTIVATIONS.items():
        layers = _layers(np.random.default_rng(0), (X.shape[1], 6, 6, 1))

        def outputs(shifted=layers, phi=phi):
            h = X.T
            for layer, (W, b) in enumerate(shifted):
                h = W @ h + b if layer == len(shifted) - 1 else phi(W @ h + b)
            return h[0].copy()

        expected = np.zeros((len(X), len(X)))
        for layer, (W, b) in enumerate(layers):
            scales = (np.sqrt(WEIGHTS[layer] / W.shape[1]), np.sqrt(BIASES[layer]))
            for array, scale in zip((W, b), scales, strict=True):
                for index in np.ndindex(array.shape):
                    before, sides = array[index], []
                    for step in (1e-6, -1e-6):
                        array[index] = before + scale * step
                        sides.append(outputs())
                    array[index] = before
                    gradient = (sides[0] - sides[1]) / 2e-6
                    expected += np.outer(gradient, gradient)
        _, found = empirical_ntks(layers, phi, slope)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8, err_msg=name)
