"""Kernels in ball arithmetic (Arb, by python-flint): enclosures that are proofs, at any scale of
the data.

A second referee beside `precise`, from formulas of its own. Rows enter as integers, so that what
decides the digits of collapsed features is exact: the determinant a b - c^2 and the squared chord a
+ b - 2 c of the first layer. Each operation afterwards carries its rounding as the radius of a
ball, at the precision of the caller's `ctx.prec`. What no precision would ever decide is found by
structure: equal, opposite and parallel rows stay so through layers that keep them so, and have an
angle of exactly 0 or pi. NC1 follows in `ball_sums`, which chooses the precision.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from flint import arb, ctx, fmpz_mat

import nc1fast as nc
from nc1fast.kernels import Composite, Power, Product, Scaled, Sum

if TYPE_CHECKING:
    from collections.abc import Callable

    Dual = Callable[[arb, arb, arb, arb, arb], tuple[arb, arb]]
    State = tuple[int, bool] | None

ODD, EVEN = frozenset({"erf", "sin", "sign"}), frozenset({"abs", "cos", "gaussian"})
HOMOGENEOUS = frozenset({"relu", "leaky_relu", "abs", "relu2", "sign", "step"})


def integers(A: np.ndarray) -> tuple[list[int], int]:
    """The entries of A in C order as whole multiples of 2^-shift, exactly: (values, shift)."""
    ratios = [float(v).as_integer_ratio() for v in np.asarray(A).ravel()]
    shift = max((q.bit_length() - 1 for _, q in ratios), default=0)
    return [p << (shift - q.bit_length() + 1) for p, q in ratios], shift


def _products(X: np.ndarray, sigma: np.ndarray | None) -> tuple[list[list[int]], int]:
    """(X X^T or X sigma X^T) 2^shift, exactly."""
    values, shift = integers(X)
    M = fmpz_mat(*X.shape, values)
    if sigma is None:
        G, shift = M * M.transpose(), 2 * shift
    else:
        middle, extra = integers(sigma)
        G, shift = M * fmpz_mat(*sigma.shape, middle) * M.transpose(), 2 * shift + extra
    return [[int(v) for v in row] for row in G.tolist()], shift


# --- dual activations: (E phi(u) phi(v), E phi'(u) phi'(v)) from a, b, c, a b - c^2, a + b - 2 c
# ---


@cache
def _pi(_precision: int) -> arb:
    return arb.pi()


def _angle(a: arb, b: arb, c: arb, det: arb) -> tuple[arb, arb]:
    """(s, pi - theta) of s = sqrt(det), theta the angle of the pair."""
    pi = _pi(ctx.prec)
    if det.is_zero():
        return det, pi / 2 if c.is_zero() else (pi if c > 0 else det)
    s, r = det.sqrt(), (a * b).sqrt()
    if c.mid() < 0:
        return s, 2 * (s / (r - c)).atan()
    return s, pi - 2 * (s / (r + c)).atan()


def _rectifier(slope: float) -> Dual:
    """Of max(u, slope u) = (1 - slope) relu(u) + slope u."""
    kink, line = (1 - arb(slope)) ** 2, arb(slope)

    def dual(a: arb, b: arb, c: arb, det: arb, _chord: arb) -> tuple[arb, arb]:
        s, supplement = _angle(a, b, c, det)
        half = kink / (2 * _pi(ctx.prec))
        return half * (s + supplement * c) + line * c, half * supplement + line

    return dual


def _relu2(a: arb, b: arb, c: arb, det: arb, _chord: arb) -> tuple[arb, arb]:
    s, supplement = _angle(a, b, c, det)
    twice = 2 * _pi(ctx.prec)
    value = 3 * s * c + supplement * (a * b + 2 * c * c)
    return value / twice, 4 * (s + supplement * c) / twice


def _step(a: arb, b: arb, c: arb, det: arb, _chord: arb) -> tuple[arb, arb]:
    return _angle(a, b, c, det)[1] / (2 * _pi(ctx.prec)), arb.nan()


def _sign(a: arb, b: arb, c: arb, det: arb, _chord: arb) -> tuple[arb, arb]:
    return 2 * _angle(a, b, c, det)[1] / _pi(ctx.prec) - 1, arb.nan()


def _erf(a: arb, b: arb, c: arb, det: arb, _chord: arb) -> tuple[arb, arb]:
    """asin(sine) = 2 atan(sine/(1 + cosine)) with sine = 2 c/R, cosine = r/R."""
    R = ((1 + 2 * a) * (1 + 2 * b)).sqrt()
    r = (1 + 2 * (a + b) + 4 * det).sqrt()
    pi = _pi(ctx.prec)
    return 4 * (2 * c / (R + r)).atan() / pi, 4 / (pi * r)


def _probit(a: arb, b: arb, c: arb, det: arb, _chord: arb) -> tuple[arb, arb]:
    twice, root = 2 * _pi(ctx.prec), (1 + a + b + det).sqrt()
    return arb(0.25) + (c / root).atan() / twice, 1 / (twice * root)


def _gelu(a: arb, b: arb, c: arb, det: arb, chord: arb) -> tuple[arb, arb]:
    P, density = _probit(a, b, c, det, chord)
    lost = 1 / (1 + a) + 1 / (1 + b)
    numerator = det + lost * c * c
    slope = c * (2 * lost - 1) + numerator * c / (1 + a + b + det)
    return c * P + numerator * density, P + slope * density


def _waves(c: arb, chord: arb) -> tuple[arb, arb]:
    """exp(-m) sinh c and exp(-m) cosh c, m = (a + b)/2."""
    near = (-chord / 2).exp() / 2
    far = (-chord / 2 - 2 * c).exp() / 2
    return near - far, near + far


def _sin(_a: arb, _b: arb, c: arb, _det: arb, chord: arb) -> tuple[arb, arb]:
    return _waves(c, chord)


def _cos(_a: arb, _b: arb, c: arb, _det: arb, chord: arb) -> tuple[arb, arb]:
    return _waves(c, chord)[::-1]


def _exp(_a: arb, _b: arb, c: arb, _det: arb, chord: arb) -> tuple[arb, arb]:
    value = (2 * c + chord / 2).exp()
    return value, value


def _rbf(_a: arb, _b: arb, _c: arb, _det: arb, chord: arb) -> tuple[arb, arb]:
    value = (-chord / 2).exp()
    return value, value


def _gaussian(a: arb, b: arb, c: arb, det: arb, _chord: arb) -> tuple[arb, arb]:
    value = (1 + 2 * (a + b) + 4 * det).rsqrt()
    return value, 4 * c * value**3


_DUALS: dict[str, Dual] = {
    "relu2": _relu2,
    "step": _step,
    "sign": _sign,
    "erf": _erf,
    "probit": _probit,
    "gelu": _gelu,
    "sin": _sin,
    "cos": _cos,
    "exp": _exp,
    "gaussian": _gaussian,
    "rbf": _rbf,
}
_SLOPES = {"relu": 0.0, "abs": -1.0}


def _activation(activation: Any) -> tuple[str, Dual]:
    """The activation as its class of rectifiers or its name, and its dual."""
    slope = _SLOPES[activation] if activation in _SLOPES else getattr(activation, "slope", None)
    if slope is None:
        return activation, _DUALS[activation]
    return {0.0: "relu", -1.0: "abs", 1.0: "identity"}.get(slope, "leaky_relu"), _rectifier(slope)


# --- structure: pairs whose features stay parallel whatever the digits ---


def _after(name: str, state: State, *, bias: bool) -> State:
    """(sign, equal lengths) of a pair of parallel features after an activation and a bias; None for
    others.
    """
    if state is None:
        return None
    sign, equal = state
    if name == "identity":
        pass
    elif equal and name in EVEN:
        sign = 1
    elif equal and (sign > 0 or name in ODD):
        pass
    elif name in HOMOGENEOUS and (sign > 0 or name in ("abs", "sign")):
        equal = equal or name in ("sign", "step")
        sign = 1 if name == "abs" else sign
    else:
        return None
    return None if bias and not (equal and sign > 0) else (sign, equal)


class _Input(NamedTuple):
    """Sigma^0 = entries 2^-shift/d0 and <x, x'> = products 2^-product_shift."""

    entries: list[list[int]]
    shift: int
    products: list[list[int]]
    product_shift: int
    d0: int


def _input(X: np.ndarray, weight: float, bias: float, sigma: np.ndarray | None = None) -> _Input:
    G, shift = _products(X, sigma)
    d0 = 1 if sigma is not None else X.shape[1]
    (w, b), extra = integers(np.array([weight, bias]))
    b = d0 * b << shift
    return _Input([[w * v + b for v in row] for row in G], shift + extra, G, shift, d0)


def _tangent_terms(kernel: nc.NTK, d0: int) -> list[tuple[arb, arb, arb]]:
    """Theta^l = q Q^{l-1} + one + weight Theta^{l-1} kdot: (q, one, weight); layer 0: q of <x,
    x'>.
    """
    sw2, sb2 = kernel.weight_variances, kernel.bias_variances
    trains = kernel.train_bias is not False
    if kernel.parametrization == "ntk":
        terms = [(arb(w), arb(b if trains else 0), arb(w)) for w, b in zip(sw2, sb2, strict=True)]
        return [(terms[0][0] / d0, *terms[0][1:]), *terms[1:]]
    widths = kernel.width if isinstance(kernel.width, tuple) else (kernel.width,) * len(sw2[1:])
    tau = arb(int(trains))
    rest = [(arb(n), tau, arb(w)) for n, w in zip(widths, sw2[1:], strict=True)]
    return [(arb(1), tau, arb(1)), *rest]


class _Network:
    """The recursion of one kernel over the rows of X, at the precision at hand."""

    def __init__(self, kernel: Any, X: np.ndarray) -> None:
        adaptive = isinstance(kernel, nc.AdaptiveKernel)
        sw2 = (1.0, 1.0) if adaptive else kernel.weight_variances
        sb2 = (0.0, 0.0) if adaptive else kernel.bias_variances
        self.input = _input(X, sw2[0], sb2[0], kernel.sigma if adaptive else None)
        self.variances = [(arb(w), arb(b)) for w, b in zip(sw2, sb2, strict=True)]
        self.terms = _tangent_terms(kernel, self.input.d0) if isinstance(kernel, nc.NTK) else []
        self.hidden = adaptive or isinstance(kernel, nc.ConjugateKernel)  # the value is Q^{L-2}
        self.depth = kernel.depth
        if self.depth > 1:
            self.name, self.dual = _activation(kernel.activation)
        self.diagonals, self.values = self._diagonals()

    def _sigma(self, i: int, j: int) -> arb:
        return arb((self.input.entries[i][j], -self.input.shift)) / self.input.d0

    def _theta(self, i: int, j: int) -> arb:
        q, one, _ = self.terms[0]
        return one + q * arb((self.input.products[i][j], -self.input.product_shift))

    def _diagonals(self) -> tuple[list[list[arb]], list[arb]]:
        """Sigma^l_ii by layer and row; k_ii."""
        n, zero = len(self.input.entries), arb(0)
        columns, values = [], []
        for i in range(n):
            a = value = self._sigma(i, i)
            theta = self._theta(i, i) if self.terms else zero
            column = [a]
            for layer in range(1, self.depth):
                weight, bias = self.variances[layer]
                q, kdot = self.dual(a, a, a, zero, zero)
                if self.terms:
                    scale, one, factor = self.terms[layer]
                    theta = scale * q + one + factor * theta * kdot
                a = bias + weight * q
                value = q if self.hidden else a
                column.append(a)
            columns.append(column)
            values.append(theta if self.terms else value)
        return [list(layer) for layer in zip(*columns, strict=True)], values

    def pair(self, i: int, j: int) -> tuple[arb, int]:
        """k_ij, and +-1 if the features of the rows are equal or opposite, else 0."""
        A, B, C = (self.input.entries[p][q] for p, q in ((i, i), (j, j), (i, j)))
        whole = A * B - C * C
        scale = arb((1, -self.input.shift)) / self.input.d0
        a, b, c = scale * A, scale * B, scale * C
        det, chord = scale * scale * whole, scale * (A + B - 2 * C)
        state: State = None
        if whole == 0 and (C != 0 or A == B):
            state = (-1 if C < 0 else 1, A == B)
        theta, tied = arb(0), state is not None and state[1]
        if self.terms:
            theta = self._theta(i, j)
            tied = tied and (state == (1, True) or self.terms[0][1].is_zero())
        value = c
        for layer in range(1, self.depth):
            weight, bias = self.variances[layer]
            q, kdot = self.dual(a, b, c, det, chord)
            if self.terms:
                scale_q, one, factor = self.terms[layer]
                theta = scale_q * q + one + factor * theta * kdot
                tied = tied and (
                    one.is_zero() or state is None or state[0] > 0 or self.name in EVEN
                )
            last = layer == self.depth - 1
            state = _after(self.name, state, bias=not bias.is_zero() and not (last and self.hidden))
            a, b = self.diagonals[layer][i], self.diagonals[layer][j]
            c = bias + weight * q
            det = arb(0)
            if state is None:
                det = a * b - c * c
            elif state[1]:
                c = state[0] * a
            else:
                c = state[0] * (a * b).sqrt()
            chord = a + b - 2 * c
            value = q if self.hidden else c
        if self.terms:
            return theta, state[0] if tied and state is not None and state[1] else 0
        return value, state[0] if state is not None and state[1] else 0


class Features(NamedTuple):
    """K (N, N) in balls, and for each row the first row that has its features, with their sign:
    (index, sign).
    """

    gram: list[list[arb]]
    same: list[tuple[int, int]]


def _combined(kernel: Composite, parts: list[Features]) -> Features:
    """The sum, product, power or multiple of Gram matrices, entry by entry."""
    n = len(parts[0].gram)

    def value(found: list[Any]) -> Any:
        if isinstance(kernel, Scaled):
            return kernel.factor * found[0]
        if isinstance(kernel, Power):
            return found[0] ** kernel.exponent
        return sum(found[1:], found[0]) if isinstance(kernel, Sum) else math.prod(found)

    K = [[value([part.gram[i][j] for part in parts]) for j in range(n)] for i in range(n)]
    same = [(i, 1) for i in range(n)]
    for j in range(n):
        for i in range(j):
            signs = [p.same[i][1] * p.same[j][1] for p in parts if p.same[i][0] == p.same[j][0]]
            if len(signs) < len(parts) or (isinstance(kernel, Sum) and len(set(signs)) > 1):
                continue
            sign = math.prod(signs) if isinstance(kernel, Product) else signs[0]
            same[j] = (i, sign**kernel.exponent if isinstance(kernel, Power) else sign)
            break
    return Features(K, same)


def features(kernel: Any, X: np.ndarray) -> Features:
    """K of a kernel, of explicit features (None), or given ("precomputed": X itself)."""
    n = len(X)
    if isinstance(kernel, Composite):
        return _combined(kernel, [features(part, X) for part in kernel.parts])
    if isinstance(kernel, str):
        return Features([[arb(float(v)) for v in row] for row in X], [(i, 1) for i in range(n)])
    network = _Network(nc.Linear() if kernel is None else kernel, X)
    factor = X.shape[1] if kernel is None else 1
    K = [[factor * network.values[i] if i == j else arb(0) for j in range(n)] for i in range(n)]
    same = [(i, 1) for i in range(n)]
    for i in range(n):
        for j in range(i + 1, n):
            value, relation = network.pair(i, j)
            if relation:
                value = relation * network.values[i]
                if same[j][0] == j:
                    same[j] = (same[i][0], relation * same[i][1])
            K[i][j] = K[j][i] = factor * value
    return Features(K, same)


def diagonals(kernel: Any, X: np.ndarray) -> tuple[list[arb], list[arb], list[arb]]:
    """k_ii, Sigma^l_ii of all layers, and |x_i|^2/d0 (of an adaptive kernel Sigma^0_ii)."""
    network = _Network(kernel, X)
    given = network.input
    unit = arb((1, -given.product_shift)) / given.d0
    variances = [value for layer in network.diagonals for value in layer]
    return network.values, variances, [unit * row[i] for i, row in enumerate(given.products)]
