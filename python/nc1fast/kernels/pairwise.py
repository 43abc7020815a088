"""Squared feature distances D2 = k(x, x) + k(z, z) - 2 k(x, z) of given pairs of rows, by any
kernel.

The ReLU family at any depth, and erf with one hidden layer: sums of terms that do not cancel,
starting from x - z, so that nearly equal rows keep their digits. Other kernels: the difference as
it stands.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nc1fast.core.activations import traits
from nc1fast.core.backend import duals
from nc1fast.kernels.classes import InputLayer, OneLayer
from nc1fast.support.arithmetic import ieee

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nc1fast.core.chains import Chain
    from nc1fast.kernels.classes import Kernel

    Array = NDArray[np.float64]

_CHUNK = 1 << 17  # numbers of a chunk of rows: 1 MiB, so that temporaries stay in cache
_SERIES = 0.5  # angle below which sin t - t cos t is summed as a series


def stable(kernel: Kernel, n_features: int) -> bool:
    """Whether `squared_distances` is free of cancellation for this kernel."""
    if kernel.is_linear:
        return True
    layer = _layer(kernel, n_features)
    return traits(layer.activation).halves is not None or _is_erf(layer)


def _layer(kernel: Kernel, n_features: int) -> InputLayer:
    """The kernel as a `OneLayer`; of a deep one, the input layer alone."""
    return kernel.one_layer(n_features) or kernel.input_layer(n_features)


def _is_erf(layer: InputLayer) -> bool:
    """Whether `_erf` evaluates the kernel: its terms are non-negative where Theta adds no less than
    Sigma.
    """
    return isinstance(layer, OneLayer) and layer.activation == "erf" and _theta(layer)[1] >= 0


def _theta(layer: OneLayer) -> tuple[float, float]:
    """(scale, offset) of Theta = scale Sigma + offset."""
    if layer.tangent == 0:
        return 0.0, 0.0
    if not layer.weight:
        return layer.theta_bias / layer.bias, 0.0
    scale = layer.theta_weight / layer.weight
    return scale, layer.theta_bias - scale * layer.bias


@ieee
def squared_distances(
    kernel: Kernel,
    X: NDArray[Any],
    Z: NDArray[Any],
    difference: NDArray[Any] | None = None,
    n_features: int | None = None,
) -> Array:
    """D2 of each row of X with the row of Z beside it.

    Parameters
    ----------
    kernel : Kernel
    X, Z : ndarray of shape (n_pairs, n_features)
    difference : ndarray of shape (n_pairs, n_features), optional
        X - Z, for a caller that knows it better than the subtraction does.
    n_features : int, optional
        d0, where X and Z have only those columns that are not zero. Default: their number of
        columns.

    Returns
    -------
    ndarray of shape (n_pairs,)
        Non-negative where `stable`; elsewhere rounding may leave it below zero.

    Notes
    -----
    Cost: some 10 d0 + 60 depth flops a pair; temporaries of a few MiB.
    Accuracy: 1e-14 relative where stable; elsewhere 1e-14 of k(x, x) + k(z, z) at depth 2, and 1e-8
    for step and sign beyond it.
    Source: Cho & Saul (2009) and Williams (1997), rewritten; tests/test_pairwise.py.
    """
    n_columns = X.shape[1]
    d0 = n_features or n_columns
    chain, layer = kernel.chain(d0), _layer(kernel, d0)
    halves = traits(layer.activation).halves
    out = np.empty(len(X))
    step = max(1, _CHUNK // n_columns)
    for start in range(0, len(X), step):
        part = slice(start, start + step)
        x, z = X[part].astype(np.float64), Z[part].astype(np.float64)
        D = x - z if difference is None else difference[part]
        if kernel.is_linear:
            out[part] = layer.weight * _dot(D, D)
            continue
        sides = _sides(layer, x, z, D)
        if halves is not None:
            out[part] = _rectifier(chain, halves, layer, sides)
        elif isinstance(layer, OneLayer) and _is_erf(layer):
            out[part] = _erf(layer, sides)
        else:
            out[part] = _plain(chain, layer, sides)
    return out


def _dot(a: Array, b: Array) -> Array:
    return np.asarray(np.einsum("ij,ij->i", a, b))


class _Sides(NamedTuple):
    """Rows (sqrt(weight) x, sqrt(bias)) of both sides: squared norms, and their difference a - b
    without cancellation.
    """

    x: Array
    z: Array
    difference: Array  # x - z
    a: Array
    b: Array
    excess: Array  # a - b


def _sides(layer: InputLayer, x: Array, z: Array, difference: Array) -> _Sides:
    x, z, difference = layer.rows(x), layer.rows(z), layer.rows(difference)
    a, b = (layer.weight * _dot(v, v) + layer.bias for v in (x, z))
    return _Sides(x, z, difference, a, b, layer.weight * _dot(difference, x + z))


def _angle(layer: InputLayer, s: _Sides, ra: Array, rb: Array) -> Array:
    """2 atan2(|u - v|, |u + v|) of the unit rows: u -+ v = (row_x -+ row_z)/ra -+ v (rb - ra)/ra.

    Rows of norm 0 count as collinear.
    """
    w, bias = layer.weight, layer.bias
    norm, other = np.where(ra > 0, ra, 1.0), np.where(rb > 0, rb, 1.0)
    stretch = s.excess / ((ra + np.where(rb > 0, rb, 1.0)) * other)  # (ra - rb)/rb

    def length(sign: float, whole: Array) -> Array:
        rest = whole + sign * s.z * stretch[:, None]
        constant = bias * (1 + sign + sign * stretch) ** 2
        return np.asarray(np.sqrt(w * _dot(rest, rest) + constant) / norm)

    chord, sum_ = length(-1.0, s.difference), length(1.0, s.x + s.z)
    return np.where((ra > 0) & (rb > 0), 2 * np.arctan2(chord, sum_), 0.0)


def _chord_of_abs(angle: Array) -> Array:
    """1 - rho' where rho' = (2/pi)(sin t + (pi/2 - t) cos t) is the correlation of |u|, |v| at the
    angle t <= pi/2.

    = 2 sin^2(t/2) - (2/pi)(sin t - t cos t), of which the last is sum_k (-1)^(k+1) 2k
    t^(2k+1)/(2k+1)!.
    """
    small = np.minimum(angle, _SERIES)
    series = np.zeros_like(angle)
    for k in range(7, 0, -1):
        series = small**2 * ((-1) ** (k + 1) * 2 * k / math.factorial(2 * k + 1) + series)
    series *= small
    rest = np.where(angle < _SERIES, series, np.sin(angle) - angle * np.cos(angle))
    return 2 * np.sin(angle / 2) ** 2 - 2 / math.pi * rest


class _Tangent(NamedTuple):
    """Theta of the two sides: diagonal, pair, and |psi - psi'|^2, |psi + psi'|^2."""

    xx: Array
    zz: Array
    xz: Array
    minus: Array
    plus: Array


def _rectifier(chain: Chain, halves: tuple[float, float], layer: InputLayer, s: _Sides) -> Array:
    """The recursion over layers in norms, their difference, and the angle: phi(u) = odd u + even
    |u|.
    """
    odd, even = (v**2 for v in halves)
    gain = odd + even
    ra, rb = np.sqrt(s.a), np.sqrt(s.b)
    dr = s.excess / np.where(ra + rb > 0, ra + rb, 1.0)
    angle = _angle(layer, s, ra, rb)
    theta = None
    if chain.tangent:
        w, one = layer.theta_weight, layer.theta_bias
        xx, zz, xz = (w * _dot(u, v) + one for u, v in ((s.x, s.x), (s.z, s.z), (s.x, s.z)))
        plus = w * _dot(s.x + s.z, s.x + s.z) + 4 * one
        theta = _Tangent(xx, zz, xz, w * _dot(s.difference, s.difference), plus)
    (n_hidden, _, scale, _) = chain.outputs[0]
    for level in range(1, n_hidden + 1):
        acute = np.minimum(angle, np.pi - angle)
        folded = _chord_of_abs(acute)
        chord = (odd * 2 * np.sin(angle / 2) ** 2 + even * folded) / gain  # 1 - rho of Q
        Q2 = gain * (dr**2 + 2 * ra * rb * chord)  # D2 of Q
        if theta is not None:
            q, one, f = chain.coefficients[level - 1]
            flat = np.where(
                angle <= np.pi / 2,
                theta.minus + 4 / np.pi * theta.xz * acute,
                theta.plus - 4 / np.pi * theta.xz * acute,
            )
            minus = q * Q2 + f * (odd * theta.minus + even * flat)
            kdot = odd + even * (1 - 2 * angle / np.pi)
            xx, zz = (
                q * gain * r**2 + one + f * gain * t for r, t in ((ra, theta.xx), (rb, theta.zz))
            )
            xz = q * gain * ra * rb * (1 - chord) + one + f * theta.xz * kdot
            theta = _Tangent(xx, zz, xz, minus, xx + zz + 2 * xz)
        if level == n_hidden:
            break
        # Sigma of the next layer: rows (root r, sqrt(bias))
        w, bias = chain.weights[level], chain.biases[level]
        root = math.sqrt(gain * w)
        pa, pb, dp = root * ra, root * rb, root * dr
        ra, rb = np.sqrt(pa**2 + bias), np.sqrt(pb**2 + bias)
        total = np.where(ra + rb > 0, ra + rb, 1.0)
        dr = dp * (pa + pb) / total
        if bias:
            tilt = (bias / (ra + pa) + bias / (rb + pb)) / total  # 1 - (pa + pb)/(ra + rb)
            chord = (dp**2 * tilt * (2 - tilt) / 2 + pa * pb * chord) / (ra * rb)
        angle = 2 * np.arcsin(np.sqrt(np.clip(chord / 2, 0.0, 1.0)))
    return scale * Q2 if theta is None else theta.minus


def _erf(layer: OneLayer, s: _Sides) -> Array:
    """One hidden layer of erf, every term non-negative.

    With n = 2a/(1 + 2a) = sin alpha and the rows w = row sqrt(2/(1 + 2a)): kappa = (2/pi) asin <w,
    w'>, sigma = (alpha + alpha')/2, delta = (alpha - alpha')/2, gamma = asin <w, w'>:  D2 of Q is
    (4/pi)(sigma - gamma), and with beta^2 = o/cos alpha, c^2 = cos alpha cos alpha' that of kdot
    (4/pi)((beta - beta')^2 + 2 sqrt(o o')(1/c - 1/cos gamma)).
    """
    A, B = 1 + 2 * s.a, 1 + 2 * s.b
    na, nb, oa, ob = 2 * s.a / A, 2 * s.b / B, 1 / A, 1 / B
    ga, gb = np.sqrt(2 / A), np.sqrt(2 / B)
    dg = -4 * (s.excess / A) / (B * (ga + gb))
    cos_a, cos_b = np.sqrt(oa * (2 - oa)), np.sqrt(ob * (2 - ob))
    delta = np.arctan(2 * (s.excess / A) / B / (cos_a + cos_b))
    # w -+ w' from the longer row: times the smaller g, nothing cancels
    longer = (ga < gb)[:, None]
    g, rest_of = (
        np.where(longer, ga[:, None], gb[:, None]),
        np.where(longer, s.z, s.x) * dg[:, None],
    )
    rest = s.difference * g + rest_of
    tau = (layer.weight * _dot(rest, rest) + layer.bias * dg**2) / 2  # |w - w'|^2/2
    both = (s.x + s.z) * g + np.where(longer, -rest_of, rest_of)
    sum_ = (layer.weight * _dot(both, both) + layer.bias * (ga + gb) ** 2) / 2  # |w + w'|^2/2
    m, short = (na + nb) / 2, (oa + ob) / 2  # short = 1 - m
    half2, cos_delta = 2 * np.sin(delta / 2) ** 2, np.cos(delta)
    cos_sigma = np.sqrt((short - half2) * (cos_delta + m)) / cos_delta
    cos_gamma = np.sqrt((short + tau) * (short + sum_))
    T = (tau + m * half2 / cos_delta) / (cos_sigma + cos_gamma)
    out: Array = layer.value * 8 / math.pi * np.arctan(T)
    if layer.tangent:
        scale, offset = _theta(layer)
        tan_sigma = m / cos_delta / cos_sigma
        first = tan_sigma * np.sin(delta) ** 2 / (cos_a * cos_b)
        second = 2 * T / (1 + T**2) / (cos_sigma * cos_gamma)
        theta = scale * (first + second)
        if offset:
            c = np.sqrt(cos_a * cos_b)
            square_a, square_b = oa / cos_a, ob / cos_b  # beta^2 = 1/sqrt(1 + 4a)
            dbeta = -4 * s.excess * square_a**2 * square_b**2
            dbeta /= (square_a + square_b) * (np.sqrt(square_a) + np.sqrt(square_b))
            # cos^2 gamma - c^2 = sin^2 delta + (sin sigma - p)(sin sigma + p), p = <w, w'>
            excess = np.sin(delta) ** 2 + (tau + m * half2 / cos_delta) * (
                sum_ + m * half2 / cos_delta
            )
            bare = dbeta**2 + 2 * np.sqrt(oa * ob) * excess / (c * cos_gamma * (c + cos_gamma))
            theta = theta + offset * bare
        out += layer.tangent * 4 / math.pi * theta
    return out


def _plain(chain: Chain, layer: InputLayer, s: _Sides) -> Array:
    """k(x, x) + k(z, z) - 2 k(x, z) by the recursion over layers."""
    c = layer.weight * _dot(s.x, s.z) + layer.bias
    angle = _angle(layer, s, np.sqrt(s.a), np.sqrt(s.b))
    sine = np.sqrt(s.a * s.b) * np.sin(angle)
    # the pair, and each side with itself, one below the other
    a, b = np.concatenate([s.a, s.a, s.b]), np.concatenate([s.b, s.a, s.b])
    c = np.concatenate([c, s.a, s.b])
    sine = np.concatenate([sine, np.zeros(2 * len(sine))])
    products = np.concatenate([_dot(u, v) for u, v in ((s.x, s.z), (s.x, s.x), (s.z, s.z))])
    theta = layer.theta_weight * products + layer.theta_bias
    (n_hidden, _, scale, _) = chain.outputs[0]
    for level in range(1, n_hidden + 1):
        kappa, kdot = duals(layer.activation, (a, b), c, sine)
        if chain.tangent:
            q, one, f = chain.coefficients[level - 1]
            theta = q * kappa + one + f * theta * kdot
        if level < n_hidden:
            w, bias = chain.weights[level], chain.biases[level]
            c = bias + w * kappa
            _, own_x, own_z = np.split(c, 3)
            a, b = np.concatenate([own_x, own_x, own_z]), np.concatenate([own_z, own_x, own_z])
            sine = np.sqrt(np.maximum(a * b - c * c, 0.0))
    value = theta if chain.tangent else scale * kappa
    both, own_x, own_z = np.split(value, 3)
    return np.asarray(own_x + own_z - 2 * both)
