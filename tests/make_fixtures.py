"""Write tests/data/relu_family.npz and tests/data/collapsed.npz: python -m tests.make_fixtures.

The numbers are mpmath's, good to 50 digits and rounded once to float64. Half a minute on one core.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from mpmath import mp
from tests import precise

import nc1fast as nc

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = Path(__file__).parent / "data"
DIGITS = 110  # the angle of collinear rows keeps half of them: see precise.py
SIZES = (5, 9, 4)
DEVIATIONS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)  # of a row about its class mean
FEATURES = (1, 8, 64)
COLLAPSED_KERNELS: dict[str, Any] = {
    "nngp-relu": nc.NNGP("relu"),
    "nngp-erf": nc.NNGP("erf"),
    "ntk-relu": nc.NTK("relu"),
    "ntk-erf": nc.NTK("erf"),
    "nngp-relu-depth4": nc.NNGP("relu", depth=4, weight_variance=2.0),
    "nngp-relu-bias": nc.NNGP("relu", weight_variance=1.5, bias_variance=0.3),
    "nngp-erf-bias": nc.NNGP("erf", weight_variance=1.5, bias_variance=0.3),
}


def golden_kernel(entry: dict[str, Any], kind: type) -> Any:
    """The kernel of one entry of neural_tangents.npz."""
    leaky = entry["activation"] == "leaky_relu"
    return kind(
        nc.LeakyReLU(0.2) if leaky else entry["activation"],
        depth=entry["depth"],
        weight_variance=entry["weight_variance"],
        bias_variance=entry["bias_variance"],
    )


def relu_family() -> dict[str, np.ndarray]:
    """NTK of relu, leaky_relu and abs on the data of neural_tangents.npz."""
    golden = np.load(DATA / "neural_tangents.npz")
    out: dict[str, np.ndarray] = {}
    for entry in json.loads(str(golden["meta"])):
        if entry["activation"] in ("relu", "leaky_relu", "abs"):
            kernel = golden_kernel(entry, nc.NTK)
            X, Z = golden["X"], golden["Z"]
            out[f"{entry['key']}/ntk_xx"] = precise.gram(kernel, X).astype(np.float64)
            out[f"{entry['key']}/ntk_xz"] = precise.gram(kernel, X, Z).astype(np.float64)
    return out


def collapsed_data() -> Iterator[tuple[str, np.ndarray]]:
    """(key, X): three classes about unit-scale means, as float64 and rounded to float32."""
    for n_features in FEATURES:
        for deviation in DEVIATIONS:
            rng = np.random.default_rng([n_features, round(-np.log10(deviation))])
            # at one feature a mean near zero would mix both signs: the means keep away from it
            means = rng.normal(size=(len(SIZES), n_features))
            means += np.sign(means) * 0.5
            X = np.repeat(means, SIZES, axis=0)
            X = X + deviation * rng.normal(size=X.shape)
            yield f"d{n_features}-sd{deviation:.0e}-float64", X
            yield f"d{n_features}-sd{deviation:.0e}-float32", X.astype(np.float32)


def collapsed() -> dict[str, np.ndarray]:
    """NC1 and both traces ("papyan" convention), (3,) under data/kernel, with the data
    themselves.
    """
    y = np.repeat(np.arange(len(SIZES)), SIZES)
    out: dict[str, np.ndarray] = {"y": y}
    for key, X in collapsed_data():
        out[f"{key}/X"] = X
        for name, kernel in COLLAPSED_KERNELS.items():
            values = precise.collapse(precise.gram(kernel, X), y)
            out[f"{key}/{name}"] = np.array([float(v) for v in values])
    return out


def main() -> None:
    """Compute and write both files."""
    with mp.workdps(DIGITS):
        np.savez_compressed(DATA / "relu_family.npz", **relu_family())
        np.savez_compressed(DATA / "collapsed.npz", **collapsed())


if __name__ == "__main__":
    main()
