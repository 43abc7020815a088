"""Products of float32 rows by their digits, as cpp/nc1fast/slices.hpp defines them: to the bit, in
NumPy.
"""

from __future__ import annotations

from math import isqrt

import numpy as np

LEAST, WHOLE, CHUNK = 97, 816, 768
SINGLE = np.float32


def rows_of_length(n, d, power, rng):
    """Integer rows with |x|^2 = d 4^power: as the core scales them they have radius 2^power,
    without a rounding.
    """
    total = d << 2 * power
    rows: list[np.ndarray] = []
    while len(rows) < n:
        x = rng.normal(size=d - 4) * 2**power * (1 - 4 / d) ** 0.5
        x = np.trunc(x * min(1.0, (total / (x @ x)) ** 0.5)).astype(np.int64)
        if (last := _four_squares(total - int(x @ x))) is not None:
            rows.append(np.concatenate([x, last * rng.choice([-1, 1], 4)]))
    return np.array(rows, dtype=float)


def _four_squares(n):
    """Of Lagrange, the larger ones as large as they can be; None where that leaves no two
    squares.
    """
    first = isqrt(n)
    second = isqrt(n - first**2)
    rest = n - first**2 - second**2
    for third in range(isqrt(rest) + 1):
        if isqrt(rest - third**2) ** 2 == rest - third**2:
            return np.array([first, second, third, isqrt(rest - third**2)])
    return None


def digits(U):
    """Digits of every entry, (3, n, d), and the scales of the rows."""
    s = np.abs(U).max(1, keepdims=True) * SINGLE((1 + 2.0**-21) / 127)
    inverse = SINGLE(1) / s
    a0 = np.rint(U * inverse)
    middle = (U - a0.astype(float) * s).astype(SINGLE)
    a1 = np.rint(middle * inverse * SINGLE(128))
    low = (middle - a1.astype(float) * (s * SINGLE(2**-7))).astype(SINGLE)
    a2 = np.rint(low * inverse * SINGLE(16384))
    return np.array([a0, a1, a2]), s[:, 0]


def products(U):
    """Of all pairs of float32 rows: sums over chunks are integers, chunks add up from the last to
    the first.
    """
    a, s = digits(U)
    d = U.shape[1]
    chunks = [(0, d)] if d <= WHOLE else [(k, min(d, k + CHUNK)) for k in range(0, d, CHUNK)]
    total = np.zeros((len(U), len(U)), SINGLE)
    for begin, end in reversed(chunks):
        x = a[:, :, begin:end].astype(float)  # exact: sums below 2^53
        c = [sum(x[i] @ x[n - i].T for i in range(3) if 0 <= n - i < 3) for n in range(4)]
        upper, lower = (SINGLE(2**-7) * (128 * c[k] + c[k + 1]).astype(SINGLE) for k in (0, 2))
        total = total + (upper + SINGLE(2**-14) * lower)
    return total * np.outer(s, s)


def cosines(U):
    """1 - |rho| as chords keep it, and back: of pairs, in float32."""
    of = products(U)
    halves = SINGLE(0.5) * np.diag(of)
    return np.copysign(SINGLE(1) - (np.add.outer(halves, halves) - np.abs(of)), of)
