"""Kernels and NC1 in mpmath: the referee of the compiled core, which it shares nothing with.

Everything is the plain definition at the precision of the caller's `mp.workdps`. Inner products of
rows are exact (integer arithmetic on the floats as given), so no rounding happens before the dual
activations. At D digits the absolute error of a kernel value is about 10^-D, but 10^(-D/2) for the
NTK of relu and its relatives where rows are collinear (the angle is a square root there): twice the
digits are taken that the result should have, and NC1 = v then has relative error 10^(-D/2) / v.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from mpmath import mp, mpf

import nc1fast as nc

if TYPE_CHECKING:
    from collections.abc import Sequence


def _integers(X: np.ndarray) -> tuple[np.ndarray, int]:
    """X = M 2^-shift with M of Python integers, exactly."""
    mantissa, exponent = np.frexp(np.asarray(X, dtype=np.float64))
    exponent = exponent.astype(np.int64) - 53
    low = int(exponent[mantissa != 0].min(initial=0))
    whole = np.ldexp(mantissa, 53).astype(np.int64).astype(object)
    powers = np.where(mantissa != 0, exponent - low, 0)
    return whole * np.vectorize(lambda p: 1 << int(p), otypes=[object])(powers), -low


def inner_products(X: np.ndarray, Z: np.ndarray | None = None) -> np.ndarray:
    """<x_i, z_j>, exact before the one rounding to an mpf; object array (n, m)."""
    M, shift = _integers(X)
    P, other = (M, shift) if Z is None else _integers(Z)
    products = M @ P.T
    return np.vectorize(lambda p: mp.ldexp(mpf(int(p)), -shift - other), otypes=[object])(products)


def dual(activation: Any, a: mpf, b: mpf, c: mpf) -> tuple[mpf, mpf]:  # noqa: PLR0911
    """(E[phi(u) phi(v)], E[phi'(u) phi'(v)]) for (u, v) ~ N(0, [[a, c], [c, b]]).

    Sources: Cho & Saul (2009) for relu, step, relu2; Williams (1997) for erf; Tsuchida et al.
    (2021) for gelu; moment generating functions for sin, cos, exp; a Gaussian integral for
    gaussian. kdot of step and sign is infinite at a = b = |c|; nan stands for it here.
    """
    name = str(activation) if isinstance(activation, str) else "leaky_relu"
    pi = mp.pi
    s2 = a * b - c * c
    s = mp.sqrt(s2) if s2 > 0 else mpf(0)
    if name in ("relu", "leaky_relu", "abs", "step", "sign", "relu2"):
        theta = mp.atan2(s, c) if (s != 0 or c != 0) else pi / 2
        first, zeroth = (s + (pi - theta) * c) / (2 * pi), (pi - theta) / (2 * pi)
        if name == "relu":
            return first, zeroth
        if name == "leaky_relu":
            slope = mpf(activation.slope)
            return (1 - slope) ** 2 * first + slope * c, (1 - slope) ** 2 * zeroth + slope
        if name == "abs":
            return 4 * first - c, 4 * zeroth - 1
        if name == "relu2":
            return (3 * s * c + (pi - theta) * (a * b + 2 * c * c)) / (2 * pi), 4 * first
        if a == 0 or b == 0:
            return mp.nan, mp.nan
        return (zeroth if name == "step" else 1 - 2 * theta / pi), mp.nan
    if name == "erf":
        r = mp.sqrt(1 + 2 * a + 2 * b + 4 * s * s)
        return 2 / pi * mp.atan2(2 * c, r), 4 / (pi * r)
    if name in ("probit", "gelu"):
        D = 1 + a + b + s * s
        root = 2 * pi * mp.sqrt(D)
        P = mpf(1) / 4 + mp.atan2(c, mp.sqrt(D)) / (2 * pi)
        if name == "probit":
            return P, 1 / root
        e = 1 - 1 / (1 + a) - 1 / (1 + b)
        n = a * b - e * c * c
        return c * P + n / root, P + (c - 2 * c * e + n * c / D) / root
    m = (a + b) / 2
    if name in ("exp", "rbf"):
        value = mp.exp(c + m if name == "exp" else c - m)
        return value, value
    if name in ("sin", "cos"):
        up, down = mp.exp(c - m), mp.exp(-c - m)
        odd, even = (up - down) / 2, (up + down) / 2
        return (odd, even) if name == "sin" else (even, odd)
    if name == "gaussian":
        w = 1 + 2 * a + 2 * b + 4 * s * s
        return 1 / mp.sqrt(w), 4 * c / (w * mp.sqrt(w))
    raise NotImplementedError(name)


def _tangent(kernel: nc.NTK, layer: int, product: mpf, d0: int, q: mpf | None) -> tuple[mpf, mpf]:
    """Theta^l = first + second Theta^{l-1} kdot: (first, second). q = Q^{l-1}, None at layer 0."""
    sw2, sb2 = mpf(kernel.weight_variances[layer]), mpf(kernel.bias_variances[layer])
    trains = kernel.train_bias is not False
    if kernel.parametrization == "ntk":
        bias = sb2 if trains else mpf(0)
        return bias + sw2 * (product / d0 if q is None else q), sw2
    tau = mpf(1 if trains else 0)
    if q is None:
        return product + tau, sw2
    width = kernel.width[layer - 1] if isinstance(kernel.width, tuple) else kernel.width
    return mpf(width) * q + tau, sw2


def pair(kernel: Any, xx: mpf, zz: mpf, xz: mpf, d0: int) -> mpf:
    """k(x, z) from the three inner products (not divided by d0)."""
    sw2, sb2 = kernel.weight_variances, kernel.bias_variances
    a, b, c = (mpf(sb2[0]) + mpf(sw2[0]) * product / d0 for product in (xx, zz, xz))
    if isinstance(kernel, nc.Linear):
        return c
    ntk = isinstance(kernel, nc.NTK)
    theta = _tangent(kernel, 0, xz, d0, None)[0] if ntk else mpf(0)
    for layer in range(1, kernel.depth):
        q, kdot = dual(kernel.activation, a, b, c)
        if ntk:
            first, second = _tangent(kernel, layer, xz, d0, q)
            theta = first + second * theta * kdot
        elif layer == kernel.depth - 1 and isinstance(kernel, nc.ConjugateKernel):
            return q
        w, bias = mpf(sw2[layer]), mpf(sb2[layer])
        if layer < kernel.depth - 1:
            a, b = (bias + w * dual(kernel.activation, v, v, v)[0] for v in (a, b))
        c = bias + w * q
    return theta if ntk else c


def gram(kernel: Any, X: np.ndarray, Z: np.ndarray | None = None) -> np.ndarray:
    """k(x_i, z_j) as an object array of mpf; one triangle where Z is None."""
    d0 = X.shape[1]
    if isinstance(kernel, nc.AdaptiveKernel):
        return _adaptive(kernel, X)
    xx = [inner_products(row[None])[0, 0] for row in X]
    if Z is not None:
        zz = [inner_products(row[None])[0, 0] for row in Z]
        xz = inner_products(X, Z)
        rows = [
            [pair(kernel, xx[i], zz[j], xz[i, j], d0) for j in range(len(Z))] for i in range(len(X))
        ]
        return np.array(rows, dtype=object)
    xz = inner_products(X)
    K = np.empty((len(X), len(X)), dtype=object)
    for i in range(len(X)):
        for j in range(i, len(X)):
            K[i, j] = K[j, i] = pair(kernel, xx[i], xx[j], xz[i, j], d0)
    return K


def _adaptive(kernel: nc.AdaptiveKernel, X: np.ndarray) -> np.ndarray:
    """kappa of X Sigma X^T, every product exact in the digits at hand."""
    rows, sigma = (np.vectorize(mpf, otypes=[object])(A) for A in (X, kernel.sigma))
    S = rows @ sigma @ rows.T
    n = range(len(X))
    return np.array(
        [[dual(kernel.activation, S[i, i], S[j, j], S[i, j])[0] for j in n] for i in n], object
    )


def collapse(K: np.ndarray, y: Sequence[int] | np.ndarray) -> tuple[mpf, mpf, mpf]:
    """(nc1, trace_within, trace_between) in the "papyan" convention.

    Classes weigh n_c/N within, 1/C between and in the global mean (Papyan, Han & Donoho, 2020).
    """
    y = np.asarray(y)
    members = [np.flatnonzero(y == label) for label in np.unique(y)]
    C = len(members)
    M = [[mp.fsum(K[np.ix_(p, q)].ravel()) / (len(p) * len(q)) for q in members] for p in members]
    spread = [mp.fsum(K[i, i] for i in p) / len(p) - M[c][c] for c, p in enumerate(members)]
    within = mp.fsum(len(p) * v for p, v in zip(members, spread, strict=True)) / len(y)
    grand = mp.fsum(value for row in M for value in row) / (C * C)
    between = mp.fsum(M[c][c] for c in range(C)) / C - grand
    return within / between, within, between


def assert_digits_at_every_angle(kernel: nc.NTK, **settings: str) -> None:
    """Entries of a kernel of one hidden layer of rectifiers in both types, against its closed form,
    rows of any norm.
    """
    angles = np.concatenate([[0, 1e-8, 1e-4], np.linspace(0.01, math.pi, 60), [math.pi - 1e-6]])
    X = np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.geomspace(0.01, 100, 64)[:, None]
    with mp.workdps(60):
        exact = gram(kernel, X[:1], X)[0].astype(float)
    own = [float(kernel(x[None])[0, 0]) for x in X]
    size = np.sqrt(own[0] * np.array(own))
    for dtype in ("float32", "float64"):
        unit = np.finfo(dtype).eps / 2
        turned = unit / np.maximum(np.sin(angles), math.sqrt(unit))  # by a rounding of the cosine
        error = np.abs(kernel(X[:1], X, dtype=dtype, **settings)[0] - exact) / size
        assert (error <= 20 * unit + 5 * turned).all(), (dtype, angles[(error / turned).argmax()])
