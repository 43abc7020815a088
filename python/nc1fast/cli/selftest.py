"""A one-second check that this installation computes the right numbers on this machine."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

import nc1fast as nc
from nc1fast import reference

_TOLERANCE = 1e-9  # relative error of the reference, which diagonalises a Gram matrix


@dataclass(frozen=True)
class Check:
    """One comparison: its name, the difference found and the difference allowed."""

    name: str
    difference: float
    allowed: float

    @property
    def passed(self) -> bool:
        """Whether the difference is allowed; False for NaN."""
        return self.difference <= self.allowed


def run(device: str = "cpu") -> list[Check]:
    """Compare the compiled core, or a device, with `nc1fast.reference`, and one thread with two.

    Parameters
    ----------
    device : str, default "cpu"
        As in `nc1fast.collapse`.

    Notes
    -----
    Three classes of 7, 20 and 33 rows, 11 features; NNGP and NTK of relu, erf and gelu, depths 2
    and 4, with biases; nc1 in float64 and float32.
    """
    X, y = nc.datasets.gaussian_mixture(
        means=(-2.0, 0.5, 2.0), stds=0.5, sizes=(7, 20, 33), n_features=11, seed=0
    )
    checks = []
    kinds = itertools.product((nc.NNGP, nc.NTK), ("relu", "erf", "gelu"), (2, 4))
    for kind, activation, depth in kinds:
        kernel = kind(activation, depth, weight_variance=1.3, bias_variance=0.1)
        expected = float(reference.collapse(reference.gram(kernel, X), y)["nc1"])
        for dtype in ("float64", "float32"):
            result = nc.collapse(
                X, y, kernel, convention="papyan", dtype=dtype, device=device, n_threads=1
            )
            allowed = result.error_bound + _TOLERANCE * expected
            name = f"{kind.__name__}({activation!r}, depth={depth}) in {dtype}"
            checks.append(Check(name, abs(result.nc1 - expected), allowed))
    results = [
        nc.collapse(X, y, nc.NTK("erf"), convention="papyan", device=device, n_threads=n).nc1
        for n in (1, 2)
    ]
    checks.append(Check("one thread against two", float(np.ptp(results)), 0.0))
    return checks
