"""A failing problem made simple: every part of it that the failure does not need is dropped."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from tests.adversary.verdict import judge

import nc1fast as nc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.adversary.problems import Problem

SEEDS = 10  # draws of the data that a simpler problem may fail for


def shrunk(case: Problem) -> Problem:
    """The simplest problem on the way from this one that fails alike, by greedy steps."""
    status = judge(case).status
    moved = True
    while moved:
        moved = False
        for simpler in _simpler(case):
            failing = (replace(simpler, seed=s) for s in (case.seed, *range(SEEDS)))
            found = next((p for p in failing if _status(p) == status), None)
            if found is not None:
                case, moved = found, True
                break
    return case


def _status(case: Problem) -> str:
    try:
        return judge(case).status
    except (ValueError, TypeError):  # not a problem any more
        return ""


def _simpler(case: Problem) -> Iterator[Problem]:
    """Problems that differ from one by a step, the largest steps first."""
    for i in range(len(case.twists)):
        yield replace(case, twists=case.twists[:i] + case.twists[i + 1 :])
    for name in ("method", "convention", "dtype", "single"):
        default = next(f.default for f in fields(case) if f.name == name)
        if getattr(case, name) != default:
            yield replace(case, **{name: default})
    for kernel in _simpler_kernels(case.kernel):
        yield replace(case, kernel=kernel)
    for i, size in enumerate(case.sizes):
        least = 2 if i == 0 else 1
        if len(case.sizes) > 2:
            yield replace(case, sizes=case.sizes[:i] + case.sizes[i + 1 :])
        if size > least:
            yield replace(case, sizes=(*case.sizes[:i], least, *case.sizes[i + 1 :]))
    if case.n_features > 2 and not hasattr(case.kernel, "n_features"):
        yield replace(case, n_features=2)
    for name in ("length", "spread"):
        value = getattr(case, name)
        for simple in (1.0, _rounded(value)):
            if simple != value:
                yield replace(case, **{name: simple})


def _rounded(value: float) -> float:
    return float(f"{value:.0e}")


def _simpler_kernels(kernel: Any) -> Iterator[Any]:
    if not is_dataclass(kernel) or isinstance(kernel, nc.Linear):
        return
    depth = getattr(kernel, "depth", 2)
    if depth > 2 and hasattr(kernel, "layers"):
        layers = kernel.layers()
        yield from (layers[i] for i in sorted({0, len(layers) // 2 - 1, len(layers) - 2}) if i >= 0)
    for name, default in (("train_bias", None), ("parametrization", "ntk"), ("condition", 1.0)):
        if getattr(kernel, name, default) != default:
            other = {"width": None} if name == "parametrization" else {}
            yield replace(kernel, **{name: default}, **other)
    for name in ("bias_variance", "weight_variance", "width", "trace"):
        value = getattr(kernel, name, None)
        if value is None:
            continue
        plain = 0.0 if name == "bias_variance" else 1.0
        for simple in _simpler_values(value, plain):
            yield replace(kernel, **{name: simple})


def _simpler_values(value: Any, plain: float) -> Iterator[Any]:
    """One number for all layers, plain ones, rounded ones."""
    if not isinstance(value, tuple):
        yield from (v for v in (plain, _rounded(value)) if v != value)
        return
    yield from sorted({plain, *value, max(value)})
    for i, v in enumerate(value):
        for simple in (plain, _rounded(v)):
            if v not in (plain, simple):
                yield (*value[:i], simple, *value[i + 1 :])
