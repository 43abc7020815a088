"""Rows of a study whose verdicts are known by construction."""

from __future__ import annotations

from tests.study_rows import row

_SCATTER = (1.0, 1.01, 0.99, 1.005, 0.995, 1.002)
_SHORT = {
    "released": "compat.released.erf_ntk",
    "released_adaptive": "compat.released.adaptive",
    "empirical": "empirical NTK",
    "Adaptive": "AdaptiveKernel",
    "own": "NTK",
    "mean_field": "mean field",
}


def repeated(model, values, activation="erf", state="", **columns):
    """One row per repeat."""
    return [row(model, activation, state, nc1=v, repeat=i, **columns) for i, v in enumerate(values)]


def data(d0=(1, 8), repeats=6, **values):
    """Rows of D1: NC1 by name, or by name and d0; up to six repeats that scatter by 1 %, alike for
    every name.

    Names: NNGP, NTK, own (the NTK of the very network), Adaptive, mean_field, released,
    network:start, ... for erf; "relu NNGP", ... for relu.
    """
    rows = []
    for features in d0:
        for name, value in values.items():
            activation, _, model = name.rpartition(" ")
            model, _, state = model.partition(":")
            columns = {"parametrization": "standard", "width": 500} if model == "own" else {}
            nc1 = value[features] if isinstance(value, dict) else value
            drawn = [factor * nc1 for factor in _SCATTER[:repeats]]
            columns |= {"d0": features}
            rows += repeated(_SHORT.get(model, model), drawn, activation or "erf", state, **columns)
    return rows


def on(rows, **columns):
    """The rows with other values in some columns."""
    return [{**r, **columns} for r in rows]


def matched(rows):
    """The adaptive kernels and the NNGP of some rows once more, in the arm of the networks' own
    prior and noise.
    """
    kept = [r for r in rows if r["model"] in ("AdaptiveKernel", "NNGP", "mean field")]
    prior = {"noise": 0.01, "weight_variance": "1:3.8809"}
    return [{**r, "arm": "matched"} | (prior if r["model"] != "NNGP" else {}) for r in kept]
