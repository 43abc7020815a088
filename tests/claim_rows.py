"""Rows of a study whose verdicts are known by construction."""

from __future__ import annotations

from tests.study_rows import row

_SHORT = {
    "released": "compat.released.erf_ntk",
    "released_adaptive": "compat.released.adaptive",
    "empirical": "empirical NTK",
    "Adaptive": "AdaptiveKernel",
    "own": "NTK",
}


def repeated(model, values, activation="erf", state="", **columns):
    """One row per repeat."""
    return [row(model, activation, state, nc1=v, repeat=i, **columns) for i, v in enumerate(values)]


def data(d0=(1, 8), **values):
    """Rows of D1: NC1 by name, or by name and d0; three repeats that scatter by 1 %.

    Names: NNGP, NTK, own (the NTK of the very network), Adaptive, released, network:start, ... for erf;
    "relu NNGP", ... for relu.
    """
    rows = []
    for features in d0:
        for name, value in values.items():
            activation, _, model = name.rpartition(" ")
            model, _, state = model.partition(":")
            columns = {"parametrization": "standard", "width": 500} if model == "own" else {}
            nc1 = value[features] if isinstance(value, dict) else value
            three = [nc1, 1.01 * nc1, 0.99 * nc1]
            columns |= {"d0": features}
            rows += repeated(_SHORT.get(model, model), three, activation or "erf", state, **columns)
    return rows


def on(rows, **columns):
    """The rows with other values in some columns."""
    return [{**r, **columns} for r in rows]
