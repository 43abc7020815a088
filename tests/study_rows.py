"""Made-up rows of a study's two tables: every representation, every arm, without computing any of
it.
"""

from __future__ import annotations

import functools
import itertools
import math
import zlib
from typing import Any

import numpy as np

from nc1fast.studies.summary import select
from nc1fast.studies.table import NO_SEARCH

D0 = (1, 2, 8, 32, 128)
NOISE = {"AdaptiveKernel": 1e-6, "compat.released.adaptive": 1e-6}
# NC1 of D1 at d0 = 1 and in the limit of many features
ENDS = {
    ("data", ""): (0.062, 0.062),
    ("NNGP", "erf"): (0.009, 0.106),
    ("NTK", "erf"): (0.032, 0.213),
    ("compat.released.erf_ntk", "erf"): (0.011, 0.101),
    ("AdaptiveKernel", "erf"): (0.0055, 0.074),
    ("compat.released.adaptive", "erf"): (0.0116, 0.081),
    ("network", "erf"): (0.0091, 0.105),
    ("empirical NTK", "erf"): (0.0081, 0.11),
    ("NNGP", "relu"): (0.125, 0.116),
    ("NTK", "relu"): (0.125, 0.23),
    ("network", "relu"): (0.12, 0.115),
    ("empirical NTK", "relu"): (0.12, 0.14),
}


def row(model, activation="", state="", **values):
    """A row of the table; what is not given has its usual value."""
    made = {"arm": "balanced", "dataset": "D1", "N": 128, "d0": 8, "sizes": "64:64", "model": model}
    made |= {"activation": activation, "depth": 2 if activation else 0}
    made |= {"weight_variance": "1", "bias_variance": "0", "parametrization": "", "width": 0}
    made |= {"noise": NOISE.get(model, math.nan), "state": state, "convention": "papyan"}
    made |= {"repeat": 0, "seed": 1, "nc1": 1.0, "error_bound": 1e-12, "trace_within": 1.0}
    made |= {"trace_between": 1.0, **NO_SEARCH, "status": "ok", "seconds": 0.1}
    if model in ("network", "empirical NTK"):
        made |= {"weight_variance": "1:3.8809", "parametrization": "standard", "width": 500}
    if model in NOISE:
        made |= {"weight_variance": "1:0.0078125", "width": 500, "free_energy": 1.0}
        made |= {"starts": 4 if model == "AdaptiveKernel" else 1, "branches": 1}
    return made | values


def models(activation, *, released=True, network=True):
    """(model, activation, state, columns) of everything that is measured on one data set."""
    found: list[tuple[str, str, str, dict[str, Any]]] = [
        ("data", "", "", {}),
        ("NNGP", activation, "", {}),
        ("NTK", activation, "", {}),
    ]
    if network:
        trained = {"parametrization": "standard", "width": 500, "weight_variance": "1:3.8809"}
        found.append(("NTK", activation, "", trained))
        for model, state in itertools.product(("network", "empirical NTK"), ("start", "end")):
            found.append((model, activation, state, {}))
    if activation == "erf":
        found.append(("AdaptiveKernel", "erf", "", {}))
        if released:
            found.append(("compat.released.erf_ntk", "erf", "", {}))
            found.append(("compat.released.adaptive", "erf", "", {}))
    return found


def value(model, activation, state, d0, columns, rng):
    """A plausible NC1."""
    low, high = ENDS[model, activation]
    nc1 = low + (high - low) * (1 - 1 / d0**0.7)
    if columns.get("parametrization") == "standard" and model == "NTK":
        nc1 *= 0.7
    if state == "end":
        nc1 *= 1 - 0.22 * (math.log2(d0) / 7) ** 3
    if state == "shuffled":
        nc1 *= 20
    return float(nc1 * np.exp(0.04 * rng.standard_normal()))


def over_features(
    arm="balanced",
    dataset="D1",
    *,
    sizes=("64:64", "128:128", "256:256", "512:512"),
    d0=D0,
    activations=("erf", "relu"),
    repeats=3,
    conventions=("papyan",),
    theory=True,
    **options,
):
    """Rows of an arm over N or sizes, and d0."""
    rows = []
    seen = set()
    for size, features, activation, repeat in itertools.product(
        sizes, d0, activations, range(repeats)
    ):
        where = {"arm": arm, "dataset": dataset, "sizes": size, "d0": features}
        where["N"] = sum(map(int, size.split(":")))
        rng = np.random.default_rng(zlib.crc32(repr((where, activation, repeat)).encode()))
        for model, name, state, columns in models(activation, **options):
            if (model, size, features, repeat) in seen:
                continue
            if model == "data":
                seen.add((model, size, features, repeat))
            nc1 = value(model, name, state, features, columns, rng)
            for k, convention in enumerate(conventions):
                told = {**where, **columns, "repeat": repeat, "convention": convention}
                unequal = max(map(int, size.split(":"))) / where["N"] - 0.5
                rows.append(row(model, name, state, **told, nc1=nc1 * (1 + unequal * (k - 1))))
        if theory and repeat == 0:
            for model in ("NNGP", "NTK"):
                nc1 = value(model, activation, "", features, {}, np.random.default_rng(0))
                rows.append(row(model, activation, "theory", **where, nc1=nc1, seed=0))
    return rows


def shuffled(rows, largest=256):
    """The adaptive kernel of permuted labels on the data of some rows."""
    rng = np.random.default_rng(5)
    of = [r for r in rows if r["model"] == "AdaptiveKernel" and r["N"] <= largest]
    return [
        {
            **r,
            "state": "shuffled",
            "nc1": value("AdaptiveKernel", "erf", "shuffled", r["d0"], {}, rng),
        }
        for r in of
    ]


def over_depth(data=("D1",), d0=(8,)):
    """Rows of kernels of several depths."""
    out = []
    for dataset, features, model, activation, depth in itertools.product(
        data, d0, ("NNGP", "NTK"), ("erf", "relu", "gelu"), range(2, 11)
    ):
        weight = {"erf": "1"}.get(activation, "2")
        slope = {"erf": 1.05, "relu": 1.2, "gelu": 1.25}[activation] * (
            1.1 if model == "NTK" else 1
        )
        columns = {"arm": "depth", "depth": depth, "weight_variance": weight}
        columns |= {"dataset": dataset, "d0": features}
        out.append(row(model, activation, **columns, nc1=0.09 * slope**depth))
    return out


def matched(rows):
    """The adaptive kernel and the mean field under the prior and the noise of the networks, on the
    data of some rows.
    """
    prior = {"arm": "matched", "noise": 1e-2, "weight_variance": "1:3.8809"}
    return [
        {**r, **prior, "model": model, "nc1": factor * r["nc1"]}
        for r in select(rows, model="AdaptiveKernel", state="")
        if r["N"] <= 256
        for model, factor in (("AdaptiveKernel", 1.4), ("mean field", 1.5))
    ] + [{**r, "arm": "matched"} for r in select(rows, model="NNGP", state="") if r["N"] <= 256]


def over_widths(widths=(64, 256, 1024)):
    """Networks of several widths, and the kernels of infinite width."""
    rows = over_features(
        "widths", sizes=("64:64",), d0=(2, 32), activations=("erf",), released=False, theory=False
    )
    kernels = [r for r in rows if r["model"] in ("data", "NNGP") and r["width"] == 0]
    networks = select(rows, model="network")
    return kernels + [
        {**r, "width": width, "nc1": r["nc1"] * (1 + 2 / width)}
        for r in networks
        for width in widths
    ]


def with_branches(rows, factors=(1.0, 20.0)):
    """Rows of adaptive kernels whose F has several minima where d0 is 8."""
    return [
        {**r, "branches": 2, "branch_nc1": " ".join(f"{f * r['nc1']:.6g}" for f in factors)}
        if r["model"] == "AdaptiveKernel" and r["d0"] == 8
        else r
        for r in rows
    ]


def digits():
    """Rows of data of one size."""
    out = over_features(
        "digits", "digits", sizes=("180:" * 9 + "177",), d0=(8,), repeats=1, theory=False
    )
    return [{**r, "d0": 64, "nc1": 20 * r["nc1"]} for r in out]


MIXTURES = {
    "means -2.4 -0.93, std 0.056": 8,
    "means 0.15 5.15": 32,
    "four classes": 2,
    "means -4 4": 8,
}


def counter():
    """Rows of mixtures outside the published data."""
    out = []
    rng = np.random.default_rng(3)
    kernels = itertools.product(MIXTURES.items(), ("NNGP", "NTK"), ("erf", "relu"), range(3))
    for (name, d0), model, activation, repeat in kernels:
        nc1 = {"NNGP": 0.06, "NTK": 0.034 if activation == "erf" else 0.1}[model] * (
            1.2 if activation == "relu" else 1
        )
        columns = {"arm": "counter", "dataset": name, "d0": d0, "repeat": repeat}
        out.append(
            row(model, activation, **columns, nc1=nc1 * float(np.exp(0.05 * rng.standard_normal())))
        )
        if repeat == 0:
            out.append(row(model, activation, "theory", **columns, nc1=nc1, seed=0))
    return out


def study():
    """All rows of a table."""
    balanced = over_features()
    four = over_features(dataset="D2", sizes=tuple(":".join([str(n)] * 4) for n in (32, 256)))
    unequal = over_features(
        "imbalanced",
        sizes=("1024:1024", "768:1280", "256:1792"),
        conventions=("papyan", "probe", "class", "sample", "released"),
        theory=False,
    )
    langevin = over_features(
        "langevin",
        sizes=("32:32", "64:64"),
        d0=(2, 8, 32),
        activations=("erf",),
        theory=False,
        released=False,
    )
    deeper = [
        {**r, "depth": 3} if r["depth"] else r
        for r in over_features(
            "deeper", sizes=("64:64",), activations=("erf",), theory=False, released=False
        )
        if r["model"] not in NOISE
    ]
    long = over_features("long", sizes=("128:128",), theory=False, released=False)
    return [
        *balanced,
        *shuffled(balanced),
        *with_branches(four),
        *matched([*balanced, *four]),
        *unequal,
        *langevin,
        *long,
        *deeper,
        *over_widths(),
        *over_depth(("D1", "D2"), (2, 8, 32)),
        *digits(),
        *counter(),
    ]


def series_row(model, activation, quantity, x, value, **columns):
    """A row of the series; what is not given has its usual value."""
    made = {
        "arm": "balanced",
        "dataset": "D1",
        "N": 256,
        "d0": 8,
        "sizes": "128:128",
        "model": model,
    }
    made |= {"activation": activation, "state": "", "repeat": 0, "layer": "", "quantity": quantity}
    return made | {"x": float(x), "y": 0.0, "value": float(value)} | columns


def training(d0=(8, 128), activations=("erf", "relu"), repeats=2, epochs=1000):
    """Rows of trainings."""
    out = []
    steps = sorted(
        {0, epochs, *(round(10 ** (k / 8)) for k in range(1 + int(8 * math.log10(epochs))))}
    )
    for d, activation, repeat, epoch in itertools.product(d0, activations, range(repeats), steps):
        columns = {"d0": d, "repeat": repeat}
        for k, layer in enumerate(("pre1", "post1", "output")):
            nc1 = (0.1 + 0.02 * k + 0.01 * repeat) / (1 + epoch / 1000) ** (
                1 + 3 * (layer == "output")
            )
            out.append(series_row("network", activation, "nc1", epoch, nc1, layer=layer, **columns))
        out.append(
            series_row("network", activation, "loss", epoch, 3 / (1 + epoch) + 1e-3, **columns)
        )
        out.append(series_row("network", activation, "accuracy", epoch, 1.0, **columns))
    return out


def annealing(d0=(2, 8, 32)):
    """Rows of the adaptive kernel along its width."""
    out = []
    for d, width, state in itertools.product(d0, np.geomspace(1e5, 500, 24), ("", "released")):
        pull = 0.4 * (500 / width) ** 0.5 * (0.3 if state else 1)
        values = {"nc1": 0.09 * (1 - pull), "nc1 of predictions": 1e-5 * (1 - pull)}
        values |= {"trace sigma": 1 + 3 * pull, "training error": 1e-11 * (1 + d)}
        out += [
            series_row("AdaptiveKernel", "erf", q, width, v, d0=d, state=state)
            for q, v in values.items()
        ]
    return out


def matrices(d0=(8, 128)):
    """Rows of spectra and matrices: a few directions of Sigma, blocks of two classes in a Gram
    matrix.
    """
    rng = np.random.default_rng(0)
    out = []
    kinds = (("AdaptiveKernel", ""), ("network", "start"), ("network", "end"))
    for d, (k, (model, state)) in itertools.product(d0, enumerate(kinds)):
        W = rng.standard_normal((500, d)) / math.sqrt(d) * (k != 0)
        S = (
            W.T @ W / 500
            + (np.eye(d) / d + 3 * np.ones((d, d)) / d**2) * (k == 0)
            + 0.3 * np.ones((d, d)) / d * (k == 2)
        )
        columns = {"d0": d, "state": state}
        for i, v in enumerate(np.linalg.eigvalsh(S)[::-1]):
            out.append(series_row(model, "erf", "sigma spectrum", i, v, **columns))
        for i, j in itertools.product(range(d), range(d)) if d <= 32 else ():
            out.append(series_row(model, "erf", "sigma", i, S[i, j], y=float(j), **columns))
    for d, (k, model) in itertools.product(d0, enumerate(("NNGP", "NTK", "AdaptiveKernel"))):
        for i in range(64):
            out.append(
                series_row(model, "erf", "kernel spectrum", i, 100 * (k + 1) / (1 + i) ** 2, d0=d)
            )
        for i, j in itertools.product(range(48), range(48)):
            same = (i < 24) == (j < 24)
            g = (k + 1) * ((0.5 if same else -0.5) + 0.03 * rng.standard_normal() + 0.2 * (i == j))
            out.append(series_row(model, "erf", "gram", i, g, y=float(j), d0=d))
    return out


def all_series():
    """All rows of a series table."""
    return [*training(), *annealing(), *matrices()]


@functools.cache
def drawings():
    """Every figure of `study` and `all_series`, by name, drawn once."""
    from nc1fast.studies.library import paper

    drawn = paper.draw(study(), all_series())
    assert len({drawing.name for drawing in drawn}) == len(drawn)
    return {drawing.name: drawing for drawing in drawn}


def panel(drawing, title):
    [ax] = [ax for ax in drawing.figure.axes if ax.get_title(loc="left") == title]
    return ax
