"""Probes that are refused: malformed calls, and data that change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nc1fast as nc

torch = pytest.importorskip("torch")
from tests.probed import D, assert_same, state_of

nn = torch.nn
probe = nc.networks.probe

X1 = np.random.default_rng(0).standard_normal((12, D))
Y1 = np.arange(12) % 3
B1 = [(X1[:6], Y1[:6]), (X1[6:], Y1[6:])]
LOADER = torch.utils.data.DataLoader(list(zip(X1, Y1, strict=True)), 6)
NANS = np.where(np.arange(D) == 2, np.nan, X1)
MALFORMED: dict[str, tuple[dict[str, Any], Any, str]] = {
    "no labels": ({"data": X1}, TypeError, "batches"),
    "batches without labels": ({"data": [X1, X1]}, TypeError, r"batches \(x, y\)"),
    "a mapping without labels": ({"data": [{"x": X1}]}, TypeError, "there are x"),
    "a key of tuples": ({"data": B1, "y": "labels"}, TypeError, "names a key"),
    "a key that is not there": ({"data": [{"x": X1, "y": Y1}], "y": "t"}, TypeError, "y='KEY'"),
    "a loader and labels": ({"data": LOADER, "y": Y1}, TypeError, "y must be left out"),
    "no batches": ({"data": []}, ValueError, "got none"),
    "a number": ({"data": 3}, TypeError, "data must be arrays"),
    "text": ({"data": "rows.npy"}, TypeError, "data must be arrays"),
    "one class": ({"data": [(X1, 0 * Y1)]}, ValueError, "at least two classes"),
    "labels of another length": (
        {"data": [(X1, Y1[1:])]},
        ValueError,
        r"y must have shape \(12,\)",
    ),
    "labels in a column": ({"data": [(X1, Y1[:, None])]}, ValueError, "ravel"),
    "one-hot labels": ({"data": [(X1, np.eye(3)[Y1])]}, ValueError, "argmax"),
    "labels of two types": (
        {"data": [(X1, Y1), (X1, list("abc" * 4))]},
        ValueError,
        "type of labels",
    ),
    "arrays of two lengths": ({"data": (X1, Y1[1:])}, ValueError, "one number of rows"),
    "rows of another width": ({"data": [(X1[:, 1:], Y1)]}, RuntimeError, "shape"),
    "no rows": ({"data": X1[:0], "y": Y1[:0]}, ValueError, "rows of features"),
    "NaN in data": ({"data": NANS, "y": Y1}, ValueError, "data must be finite"),
    "NaN in a batch": ({"data": [(NANS, Y1)]}, ValueError, r"layer '0'.*finite"),
    "an unknown pool": ({"pool": "sum"}, ValueError, "pool must be one of"),
    "a pool of a number": ({"pool": 3}, ValueError, "pool must be one of"),
    "a pool of a layer": ({"pool": {"0": "sum"}}, ValueError, "pool must be one of"),
    "a pool that returns none": (
        {"pool": lambda H: None, "layers": ["0"]},
        TypeError,
        r"rows \(n, d\) by its pool, not None",
    ),
    "a pool that loses rows": (
        {"pool": lambda H: H[1:], "layers": ["0"]},
        TypeError,
        "a row for each of 6 labels, not 5",
    ),
    "tokens of rows": ({"pool": "tokens", "layers": ["0"]}, TypeError, "must return tokens"),
    "three passes": ({"passes": 3}, ValueError, "passes must be"),
    "passes of text": ({"passes": "two"}, ValueError, "passes must be"),
    "two passes of an iterator": ({"data": iter(B1), "passes": 2}, ValueError, "passed over again"),
    "a batch size of 0": ({"batch_size": 0}, ValueError, "batch_size"),
    "a forward that cannot be called": ({"forward": "m"}, TypeError, "forward must be a callable"),
    "an unknown layer": ({"layers": ["3"]}, ValueError, "layers must name submodules"),
    "an unknown input": ({"layers": ["3.input"]}, ValueError, "layers must name submodules"),
    "a layer that is a number": ({"layers": [0]}, ValueError, "layers must name submodules"),
    "a layer that is not called": (
        {"layers": ["0"], "forward": lambda m, b: None},
        TypeError,
        "there was none",
    ),
    "an item that is not there": ({"layers": ["0#1"]}, TypeError, "there was none"),
    "a classifier that is none": ({"classifier": "1"}, ValueError, r"linear layer \(0, 2\)"),
    "an unknown classifier": ({"classifier": "fc"}, ValueError, "linear layer"),
    "a classifier of no layer": ({"classifier": (X1, None)}, ValueError, "the one layer"),
    "a classifier of another width": (
        {"classifier": (np.ones((3, 2)), None), "layers": ["0"]},
        ValueError,
        "W must have shape",
    ),
    "a classifier without a bias": (
        {"classifier": X1, "layers": ["0"]},
        TypeError,
        "name of a linear",
    ),
    "an ignored label of text": ({"ignore_index": "no"}, TypeError, "ignore_index"),
    "an unknown convention": ({"convention": "mine"}, ValueError, "convention must be"),
    "a limit of text": ({"memory_limit": "much"}, TypeError, "memory_limit"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_calls_are_told_why(name: str) -> None:
    options, error, message = MALFORMED[name]
    module = nn.Sequential(nn.Linear(D, 8), nn.ReLU(), nn.Linear(8, 3)).double()
    before = state_of(module)
    given = {"data": B1, "convention": "papyan"} | options
    with pytest.raises(error, match=message):
        probe(module, given.pop("data"), given.pop("y", None), **given)
    assert_same(before, state_of(module))


class _Changing:
    """Batches that are others in every pass."""

    def __init__(self, what: str) -> None:
        self.what, self.count = what, 0

    def __iter__(self) -> Any:
        self.count += 1
        shift = self.count if self.what == "rows" else 0
        late = self.count == 2
        yield X1 + shift, Y1 + (3 * late if self.what == "labels" else 0)
        if late and self.what == "number":
            yield X1, Y1


@pytest.mark.parametrize(
    ("what", "message"), [("rows", "gave others"), ("labels", "is new"), ("number", "gave others")]
)
def test_data_that_change_from_pass_to_pass_are_refused(what: str, message: str) -> None:
    module = nn.Linear(D, 8).double()
    with pytest.raises(ValueError, match=message):
        probe(module, _Changing(what), convention="papyan")
    assert probe(module, _Changing(what), passes=1, convention="papyan").passes == 1
