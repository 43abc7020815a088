"""Malformed calls of everything that measures features: each error names the argument, and nothing
has changed.

tests/test_networks_refused.py has those of batches and of layers, tests/test_torchmetrics.py those
of batches of a metric.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nc1fast as nc

torch = pytest.importorskip("torch")
from tests.probed import assert_same, state_of

nn, D = torch.nn, 5
X = np.random.default_rng(0).normal(size=(12, D))
Y = np.arange(12) % 3
W, B = np.random.default_rng(1).normal(size=(3, D)), np.zeros(3)
T = (torch.tensor(X), torch.tensor(Y))
RESULT = nc.collapse(X, Y)
KERNEL = nc.collapse(X, Y, nc.NNGP("relu"))
WIDE = (np.eye(3, 8), None)  # a classifier of the layer "0"
Either = (TypeError, ValueError)


class NaNs(nn.Module):  # type: ignore[misc, name-defined]
    def forward(self, x: Any) -> Any:
        return x * torch.nan


class Integers(nn.Module):  # type: ignore[misc, name-defined]
    def forward(self, x: Any) -> Any:
        return x.long()


def _sums(*batches: Any) -> Any:
    sums = nc.FeatureSums()
    for H, y in batches:
        sums.update(H, y)
    return sums


def _layer(module: Any) -> dict[str, Any]:
    return {"module": nn.Sequential(module), "layers": ["0"]}


PROBES: dict[str, tuple[dict[str, Any], Any, str]] = {
    "a dict of weights": ({"module": nn.Linear(D, 3).state_dict()}, TypeError, "module"),
    "a class": ({"module": nn.Linear}, TypeError, "module"),
    "no data": ({"data": None}, TypeError, "data"),
    "complex data": ({"data": X + 1j}, TypeError, "data"),
    "a complex tensor": ({"data": T[0] + 1j}, TypeError, "data"),
    "one axis": ({"data": X[:, 0]}, ValueError, "data"),
    "labels in a dict": ({"y": {0: 1}}, TypeError, "y"),
    "a number as labels": ({"y": 3}, TypeError, "y"),
    "labels with NaN": ({"y": np.where(Y == 0, np.nan, Y)}, ValueError, "y"),
    "a function without labels": ({"data": [X], "y": lambda batch: None}, TypeError, "y"),
    "a function of fewer labels": ({"data": [X], "y": lambda batch: Y[1:]}, ValueError, "y"),
    "all rows ignored": ({"y": 0 * Y, "ignore_index": 0}, ValueError, "y"),
    "a fraction ignored": ({"ignore_index": 1.5}, TypeError, "ignore_index"),
    "layers in a dict": ({"layers": {"0": "mean"}}, TypeError, "layers"),
    "no name of a layer": ({"layers": [None]}, ValueError, "layers"),
    "a pool of no layer": ({"pool": {"9": "mean"}}, ValueError, r"pool.*'9'"),
    "no pool": ({"pool": None}, ValueError, "pool"),
    "a list of pools": ({"pool": ["mean"]}, ValueError, "pool"),
    "a classifier of an unknown layer": ({"classifier": {"9": WIDE}}, ValueError, "layers.*'9'"),
    "a classifier of three": ({"classifier": (1, 2, 3), "layers": ["0"]}, TypeError, "classifier"),
    "a classifier in a dict": ({"classifier": {"0": 3}}, TypeError, "classifier"),
    "a bias of another length": (
        {"classifier": (WIDE[0], np.zeros(2)), "layers": ["0"]},
        ValueError,
        r"'0': b must have shape \(3,\)",
    ),
    "weights with NaN": (
        {"classifier": (WIDE[0] * np.nan, None), "layers": ["0"]},
        ValueError,
        "'0': W must be finite",
    ),
    "a batch of a fraction": ({"batch_size": 1.5}, TypeError, "batch_size"),
    "a batch of text": ({"batch_size": "8"}, TypeError, "batch_size"),
    "true passes": ({"passes": True}, TypeError, "passes"),
    "no passes": ({"passes": None}, TypeError, "passes"),
    "statistics of no name": ({"statistics": None}, ValueError, "statistics"),
    "a convention of a number": ({"convention": 3}, ValueError, "convention"),
    "a limit below 0": ({"memory_limit": -1}, ValueError, "memory_limit"),
    "a limit of ten bytes": ({"memory_limit": 10}, ValueError, "memory_limit.*needed"),
    "an option that is none": ({"poool": "mean"}, TypeError, "poool"),
    "a layer of NaN": (_layer(NaNs()), ValueError, "'0'.*finite"),
    "a layer of integers": (_layer(Integers()), TypeError, "'0'.*floating-point"),
}


@pytest.mark.parametrize("name", PROBES)
def test_malformed_probes(name: str) -> None:
    options, error, pattern = PROBES[name]
    module = nn.Sequential(nn.Linear(D, 8), nn.ReLU(), nn.Linear(8, 3)).double()
    given = {"module": module, "data": X, "y": Y, "convention": "papyan"} | options
    before = state_of(module)
    with pytest.raises(error, match=rf"\b{pattern}\b" if pattern.isidentifier() else pattern):
        nc.networks.probe(given.pop("module"), given.pop("data"), given.pop("y"), **given)
    assert_same(before, state_of(module))


def _memory(*arguments: Any, **options: Any) -> Any:
    return nc.networks.probe_memory(nn.Linear(D, 3).double(), *arguments, **options)


def _monitor(**options: Any) -> Any:
    return nc.networks.Monitor(nn.Linear(D, 3).double(), X, Y, convention="papyan", **options)


CALLS: dict[str, tuple[Any, Any, str]] = {
    "memory of no class": (lambda: _memory(T, 0), ValueError, "n_classes"),
    "memory of text": (lambda: _memory(T, "3"), TypeError, "n_classes"),
    "memory of rows alone": (lambda: _memory(X, 3), TypeError, "data"),
    "memory with another option": (lambda: _memory(T, 3, poool=1), TypeError, "poool"),
    "monitor of one metric": (lambda: _monitor(metrics="nc1"), TypeError, "metrics"),
    "monitor of an array": (lambda: _monitor(metrics=["nc2_norms"]), ValueError, "metrics"),
    "monitor of text steps": (lambda: _monitor(every="2"), TypeError, "every"),
    "monitor with another option": (lambda: _monitor(poool=1), TypeError, "poool"),
    "monitor before the start": (lambda: _monitor()(-1), ValueError, "step"),
    "monitor of a fraction": (lambda: _monitor()(1.5), TypeError, "step"),
    "monitor into a folder": (lambda: _monitor(sinks=["/tmp"]), ValueError, "sinks"),
    "monitor into nowhere": (lambda: _monitor(sinks=["/nowhere/a.csv"]), ValueError, "sinks"),
    "monitor of no classifier": (
        lambda: _monitor(classifier="fc", every=2)(0),
        ValueError,
        "classifier",
    ),
    "no layer of that name": (
        lambda: nc.networks.probe(nn.Linear(D, 3).double(), X, Y)["fc"],
        KeyError,
        "'fc' is none of ''",
    ),
    "a classifier of None": (lambda: RESULT.with_classifier(None), TypeError, "W"),
    "rows with NaN": (lambda: RESULT.with_classifier(W, B, H=X * np.nan), ValueError, "H"),
    "no convention": (lambda: RESULT.under(None), ValueError, "convention"),
    "relative to a number": (lambda: RESULT.relative_to(1.0), TypeError, "other"),
    "relative to other data": (
        lambda: RESULT.relative_to(nc.collapse(X[3:], Y[3:])),
        ValueError,
        "other",
    ),
    "too few test labels": (lambda: RESULT.evaluate(X, Y[1:]), ValueError, "y_test"),
    "other test labels": (lambda: RESULT.evaluate(X, Y + 5), ValueError, "y_test"),
    "other test features": (lambda: RESULT.evaluate(X[:, 1:], Y), ValueError, "H_test"),
    "no test rows": (lambda: RESULT.evaluate(None, Y), TypeError, "H_test"),
    "no rows of no class": (lambda: RESULT.ood(None), TypeError, "H"),
    "novelty in text": (lambda: RESULT.ood(X, rank="2"), TypeError, "rank"),
    "novelty of a kernel": (lambda: KERNEL.ood(X), ValueError, "explicit features"),
    "some scatter": (lambda: nc.FeatureSums(scatter="some"), ValueError, "scatter"),
    "batches of two widths": (lambda: _sums((X, Y), (X[:, 1:], Y)), ValueError, "H"),
    "batches of two types": (lambda: _sums((X, Y), (X, Y.astype(str))), ValueError, "y"),
    "no batches": (lambda: _sums().collapse(), ValueError, "two classes"),
    "a table of nothing": (lambda: nc.to_table([]), ValueError, "results"),
    "a table of a number": (lambda: nc.to_table(3), TypeError, "results"),
    "a table of text": (lambda: nc.to_table("nc1"), TypeError, "results"),
    "fewer targets than rows": (lambda: nc.regression_collapse(X, X[1:]), ValueError, "Y"),
    "targets at no path": (lambda: nc.regression_collapse(X, "a"), FileNotFoundError, "Y"),
    "other weights": (lambda: nc.regression_collapse(X, X[:, :2], np.eye(3)), ValueError, "W"),
    "no metric of that name": (lambda: RESULT.nc9, AttributeError, "nc9"),
}


@pytest.mark.parametrize("name", CALLS)
def test_malformed_calls(name: str) -> None:
    call, error, pattern = CALLS[name]
    with pytest.raises(error) as caught:
        call()
    assert pattern in str(caught.value)


METRICS: dict[str, tuple[Any, Any, str]] = {
    "another option": (lambda M: M(3, conv=1), Either, "conv"),
    "another convention": (lambda M: M(3, convention="x"), ValueError, "convention"),
    "a fraction ignored": (lambda M: M(3, ignore_index=0.5), TypeError, "ignore_index"),
    "no rows": (lambda M: M(3).collapse(), ValueError, "two classes"),
    "complex features": (lambda M: M(3).update(T[0] + 1j, T[1]), TypeError, "features"),
    "labels in a list": (lambda M: M(3).update(T[0], Y.tolist()), TypeError, "target"),
}


@pytest.mark.parametrize("name", METRICS)
def test_malformed_metrics(name: str) -> None:
    pytest.importorskip("torchmetrics", reason="torchmetrics (extra: torchmetrics)")
    call, error, pattern = METRICS[name]
    with pytest.raises(error) as caught:
        call(nc.torchmetrics.NeuralCollapse)
    assert pattern in str(caught.value)


def test_a_batch_that_is_refused_leaves_the_sums() -> None:
    sums = _sums((X, Y))
    before = sums.collapse().nc1
    for H, y in ((X[:, 1:], Y), (X, Y.astype(str)), (X * np.nan, Y), (X, Y[1:])):
        with pytest.raises(ValueError):  # noqa: PT011  (which, the cases above tell)
            sums.update(H, y)
    assert sums.collapse().nc1 == before
