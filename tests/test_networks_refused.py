"""Malformed calls of everything that draws, trains, measures and plots networks: each error names
the argument, and nothing has changed.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import nc1fast as nc

torch = pytest.importorskip("torch")
from tests.probed import assert_same, state_of

nn, networks, D = torch.nn, nc.networks, 6
Shallow = networks.ShallowNetwork
X = np.random.default_rng(0).standard_normal((12, D))
Y = np.arange(12) % 3
W, B = np.random.default_rng(1).normal(size=(3, D)), np.zeros(3)
T = (torch.tensor(X), torch.tensor(Y))
BATCHES = [(X[:6], Y[:6]), (X[6:], Y[6:])]
LOADER = torch.utils.data.DataLoader(list(zip(X, Y, strict=True)), 6)
NANS = np.where(np.arange(D) == 2, np.nan, X)
WIDE = (np.eye(3, 8), None)  # a classifier of the layer "0"
RESULT = nc.collapse(X, Y)


def _fails(call: Any, error: Any, pattern: str) -> None:
    """A name alone is a word of the message."""
    with pytest.raises(error, match=rf"\b{pattern}\b" if pattern.isidentifier() else pattern):
        call()


class Mapped(nn.Module):  # type: ignore[misc, name-defined]
    """A layer that is a function."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Any) -> Any:
        return self.function(x)


def _layer(function: Any) -> dict[str, Any]:
    return {"module": nn.Sequential(Mapped(function)), "layers": ["0"]}


FIRST: dict[str, Any] = {"layers": ["0"]}
PROBES: list[tuple[dict[str, Any], Any, str]] = [
    ({"module": nn.Linear(D, 3).state_dict()}, TypeError, "module must be a torch.nn.Module"),
    ({"module": nn.Linear}, TypeError, "module"),
    # data and labels
    ({"data": None}, TypeError, "data"),
    ({"data": 3}, TypeError, "data must be arrays"),
    ({"data": "rows.npy"}, TypeError, "data must be arrays"),
    ({"data": X}, TypeError, "batches"),
    ({"data": [X, X]}, TypeError, r"batches \(x, y\)"),
    ({"data": [{"x": X}]}, TypeError, "there are x"),
    ({"data": [{"x": X, "y": Y}], "y": "t"}, TypeError, "y='KEY'"),
    ({"y": "labels"}, TypeError, "names a key"),
    ({"data": LOADER, "y": Y}, TypeError, "y must be left out"),
    ({"data": []}, ValueError, "got none"),
    ({"data": X + 1j, "y": Y}, TypeError, "data"),
    ({"data": T[0] + 1j, "y": Y}, TypeError, "data"),
    ({"data": X.astype(str), "y": Y}, TypeError, "data must be an array of real numbers"),
    ({"data": X[:, 0], "y": Y}, ValueError, "data"),
    ({"data": X[:0], "y": Y[:0]}, ValueError, "rows of features"),
    ({"data": NANS, "y": Y}, ValueError, "data must be finite"),
    ({"data": [(NANS, Y)]}, ValueError, r"layer '0'.*finite"),
    ({"data": (X, Y[1:])}, ValueError, "one number of rows"),
    ({"data": [(X[:, 1:], Y)]}, RuntimeError, "mat1"),
    ({"data": [(X, 0 * Y)]}, ValueError, "at least two classes"),
    ({"data": X, "y": 0 * Y}, ValueError, "at least two classes"),
    ({"data": X, "y": Y[1:]}, ValueError, r"y must have shape \(12,\)"),
    ({"data": [(X, Y[1:])]}, ValueError, r"y must have shape \(12,\)"),
    ({"data": [(X, Y[:, None])]}, ValueError, "ravel"),
    ({"data": [(X, np.eye(3)[Y])]}, ValueError, "argmax"),
    ({"data": [(X, Y), (X, list("abc" * 4))]}, ValueError, "type of labels"),
    ({"data": X, "y": {0: 1}}, TypeError, "y"),
    ({"data": X, "y": 3}, TypeError, "y"),
    ({"data": X, "y": np.where(Y == 0, np.nan, Y)}, ValueError, "y"),
    ({"data": [X], "y": lambda batch: None}, TypeError, "y"),
    ({"data": [X], "y": lambda batch: Y[1:]}, ValueError, "y"),
    ({"data": X, "y": 0 * Y, "ignore_index": 0}, ValueError, "y"),
    ({"ignore_index": 1.5}, TypeError, "ignore_index"),
    # layers and pools
    ({"layers": "conv"}, TypeError, "layers must be a list"),
    ({"layers": {"0": "mean"}}, TypeError, "layers"),
    ({"layers": []}, ValueError, "layers must name submodules"),
    ({"layers": ["3"]}, ValueError, "layers must name submodules"),
    ({"layers": ["3.input"]}, ValueError, "layers must name submodules"),
    ({"layers": [0]}, ValueError, "layers must name submodules"),
    ({"layers": ["0#1"]}, TypeError, "there was none"),
    (FIRST | {"forward": lambda m, b: None}, TypeError, "there was none"),
    ({"forward": "m"}, TypeError, "forward must be a callable"),
    (_layer(lambda x: x * torch.nan), ValueError, "'0'.*finite"),
    (_layer(lambda x: x.long()), TypeError, "'0'.*floating-point"),
    ({"pool": "sum"}, ValueError, "pool must be one of"),
    ({"pool": None}, ValueError, "pool must be one of"),
    ({"pool": {"0": "sum"}}, ValueError, "pool must be one of"),
    ({"pool": {"9": "mean"}}, ValueError, r"pool.*'9'"),
    (FIRST | {"pool": lambda H: None}, TypeError, r"rows \(n, d\) by its pool, not None"),
    (FIRST | {"pool": lambda H: H[1:]}, TypeError, "a row for each of 6 labels, not 5"),
    (FIRST | {"pool": "tokens"}, TypeError, "must return tokens"),
    # classifiers
    ({"classifier": "1"}, ValueError, r"linear layer \(0, 2\)"),
    ({"classifier": "fc"}, ValueError, "linear layer"),
    ({"classifier": (X, None)}, ValueError, "the one layer"),
    ({"classifier": {"9": WIDE}}, ValueError, "layers.*'9'"),
    ({"classifier": {"0": 3}}, TypeError, "classifier"),
    (FIRST | {"classifier": X}, TypeError, "name of a linear"),
    (FIRST | {"classifier": (1, 2, 3)}, TypeError, "classifier"),
    (FIRST | {"classifier": (np.ones((3, 2)), None)}, ValueError, "W must have shape"),
    (FIRST | {"classifier": (WIDE[0], np.zeros(2))}, ValueError, r"'0': b must have shape \(3,\)"),
    (FIRST | {"classifier": (WIDE[0] * np.nan, None)}, ValueError, "'0': W must be finite"),
    # settings
    ({"passes": 3}, ValueError, "passes must be"),
    ({"passes": "two"}, ValueError, "passes must be"),
    ({"passes": None}, TypeError, "passes"),
    ({"data": iter(BATCHES), "passes": 2}, ValueError, "passed over again"),
    ({"batch_size": 0}, ValueError, "batch_size"),
    ({"batch_size": 1.5}, TypeError, "batch_size"),
    ({"statistics": "some"}, ValueError, "statistics"),
    ({"convention": "mine"}, ValueError, "convention"),
    ({"memory_limit": "much"}, TypeError, "memory_limit"),
    ({"memory_limit": -1}, ValueError, "memory_limit"),
    ({"memory_limit": 10}, ValueError, "memory_limit.*needed"),
    ({"poool": "mean"}, TypeError, "poool"),
]


@pytest.mark.parametrize(("options", "error", "pattern"), PROBES)
def test_malformed_probes(options: dict[str, Any], error: Any, pattern: str) -> None:
    module = nn.Sequential(nn.Linear(D, 8), nn.ReLU(), nn.Linear(8, 3)).double()
    given = {"module": module, "data": BATCHES, "y": None, "convention": "papyan"} | options
    before = state_of(module)
    of = [given.pop(name) for name in ("module", "data", "y")]
    _fails(lambda: networks.probe(*of, **given), error, pattern)
    assert_same(before, state_of(module))


class _Changing:
    """Batches that are others in every pass."""

    def __init__(self, what: str) -> None:
        self.what, self.count = what, 0

    def __iter__(self) -> Any:
        self.count += 1
        shift = 0.1 * self.count if self.what == "rows" else 0
        late = self.count == 2
        yield X + shift, Y + (3 * late if self.what == "labels" else 0)
        if late and self.what == "number":
            yield X, Y


@pytest.mark.parametrize("statistics", ["all", "nearest"])
@pytest.mark.parametrize(
    ("what", "message"), [("rows", "gave others"), ("labels", "is new"), ("number", "gave others")]
)
def test_data_that_change_between_passes(what: str, message: str, statistics: str) -> None:
    options: dict[str, Any] = {"statistics": statistics, "convention": "papyan"}
    module = nn.Linear(D, 8).double()
    with pytest.raises(ValueError, match=message):
        networks.probe(module, _Changing(what), **options)
    assert networks.probe(module, _Changing(what), passes=1, **options).passes == 1


NETWORKS: list[tuple[dict[str, Any], str]] = [
    ({"width": 0}, "width must be >= 1"),
    ({"width": (3, 4)}, "width must be one number or 1"),
    ({"width": 2.5}, "width must be an integer"),
    ({"n_outputs": 0}, "n_outputs must be >= 1"),
    ({"depth": 1}, "depth, of weight layers, must be >= 2"),
    ({"weight_variance": -1.0}, "weight_variance must be finite and >= 0"),
    ({"weight_variance": (1.0, 2.0, 3.0)}, "weight_variance must be one number or 2"),
    ({"parametrization": "mup"}, "parametrization must be"),
    ({"train_bias": 1}, "train_bias must be"),
    ({"train_readout": 1}, "train_readout must be"),
    ({"dtype": "float16"}, "dtype must be"),
    ({"seed": -1}, "seed must be >= 0"),
    ({"rng": "0"}, "rng must be None, an integer"),
    ({"rng": 0, "seed": 0}, "give one of them"),
    ({"activation": "swish"}, "unknown activation"),
]
TRAININGS: list[tuple[dict[str, Any], str]] = [
    ({"targets": "one-hot"}, "needs n_outputs=3, but the network has 1"),
    ({"targets": "ordinal"}, "targets must be 'scalar'"),
    ({"targets": np.zeros(12)}, "targets must differ between classes"),
    ({"targets": np.zeros((12, 2))}, r"targets must have shape \(12, 1\)"),
    ({"targets": np.full(12, np.nan)}, "targets must be finite"),
    ({"loss": "hinge"}, "loss must be one of"),
    ({"loss": "cross-entropy"}, "loss='cross-entropy' needs targets='one-hot'"),
    ({"loss": "none"}, "belongs to optimizer='langevin'"),
    ({"optimizer": "lbfgs"}, "optimizer must be one of"),
    ({"optimizer": "adam", "momentum": 0.9}, "momentum belongs to"),
    ({"optimizer": "langevin"}, "temperature belongs to"),
    ({"temperature": 1.0}, "temperature belongs to"),
    ({"optimizer": "langevin", "temperature": 0.0}, "temperature must be finite and > 0"),
    ({"optimizer": "langevin", "temperature": 1.0}, "pre1.bias trains and has variance 0"),
    ({"lr": 0}, "lr must be finite and > 0"),
    ({"lr": "fast"}, "lr must be a number"),
    ({"weight_decay": -1}, "weight_decay must be finite and >= 0"),
    ({"epochs": 0}, "epochs must be >= 1"),
    ({"epochs": 1.5}, "epochs must be an integer"),
    ({"repeats": 0}, "repeats must be >= 1"),
    ({"batch_size": 0}, "batch_size must be >= 1"),
    ({"probe": "linear"}, "probe must be 'log'"),
    ({"probe": [2000]}, "probe must be >= 0 and <= 1000, got 2000"),
    ({"until": "bored"}, "until must be None"),
    ({"until": ("loss", -1)}, "until must be finite and > 0"),
    ({"convention": "mine"}, "convention must be one of"),
    ({"device": "abacus"}, "device must be one that torch knows"),
    ({"dtype": "int8"}, "dtype must be"),
    ({"progress": 3}, "progress must be a bool"),
    ({"checkpoint": "no/such/folder/run.pt"}, "checkpoint must be a file in a folder"),
    ({"y": np.zeros(12)}, "at least two classes"),
    ({"y": np.zeros(3)}, r"y must have shape \(12,\)"),
    ({"X": np.ones((12, 5))}, r"X must have shape \(n_samples, 6\)"),
    ({"network": nn.Linear(D, 1)}, "network must be a ShallowNetwork"),
]
FOUR, SMALL = np.ones((3, 4)), Shallow("relu", 4, width=3)
KERNELS: list[tuple[str, dict[str, Any], str]] = [
    ("both", {"X": np.ones((3, 5))}, r"X must have shape \(n_samples, 4\)"),
    ("both", {"X": np.full((3, 4), np.nan)}, "X must be finite"),
    ("both", {"Z": np.ones((3, 3))}, "Z must have shape"),
    ("both", {"batch_size": 0}, "batch_size must be >= 1"),
    ("both", {"module": None}, "module must be a torch.nn.Module"),
    ("empirical_ntk", {"outputs": 1}, "outputs must be below the 1"),
    ("empirical_ntk", {"outputs": "all"}, "outputs must be 'mean'"),
    ("empirical_ntk", {"module": nn.Flatten()}, "module must have a parameter"),
    (
        "empirical_ntk",
        {"module": nn.Sequential(nn.Linear(4, 2), nn.Unflatten(1, (1, 2)))},
        "return",
    ),
    ("conjugate_kernel", {"layer": "post2"}, r"layer must name a submodule \(pre1, post1"),
    ("conjugate_kernel", {"layer": 1}, "layer must name a submodule"),
    ("conjugate_kernel", {"module": nn.Linear(4, 2)}, "layer must name a submodule .*got None"),
]


@pytest.mark.parametrize(("settings", "message"), NETWORKS)
def test_malformed_networks(settings: dict[str, Any], message: str) -> None:
    given = {"activation": "relu", "n_features": 3} | settings
    _fails(lambda: Shallow(**given), (TypeError, ValueError), message)


@pytest.mark.parametrize(("settings", "message"), TRAININGS)
def test_malformed_trainings(settings: dict[str, Any], message: str) -> None:
    given = {"network": Shallow("erf", D, width=4), "X": X, "y": Y} | settings
    _fails(lambda: networks.train(**given), (TypeError, ValueError), message)


@pytest.mark.parametrize(("which", "settings", "message"), KERNELS)
def test_malformed_empirical_kernels(which: str, settings: dict[str, Any], message: str) -> None:
    given = {"module": SMALL, "X": FOUR} | settings
    for name in ("empirical_ntk", "conjugate_kernel") if which == "both" else (which,):
        _fails(lambda n=name: getattr(networks, n)(**given), (TypeError, ValueError), message)


def _memory(*arguments: Any, **options: Any) -> Any:
    return networks.probe_memory(nn.Linear(D, 3).double(), *arguments, **options)


def _monitor(module: Any = None, data: Any = X, y: Any = Y, **options: Any) -> Any:
    module = nn.Linear(D, 3).double() if module is None else module
    return networks.Monitor(module, data, y, convention="papyan", **options)


def _sums(*batches: Any) -> Any:
    sums = nc.FeatureSums()
    for H, y in batches:
        sums.update(H, y)
    return sums


def _layers(found: Any = RESULT, *metrics: Any, axes: int = 0) -> Any:
    plt = pytest.importorskip("matplotlib.pyplot")
    found = {"a": found} if found is RESULT else found
    given = plt.subplots(axes)[1] if axes else None
    plt.close("all")
    return networks.plot_layers(found, *metrics, axes=given)


def _training(*given: Any, **columns: Any) -> Any:
    return networks.plot_training({"step": [0], "layer": ["a"], "nc1": [1.0]} | columns, *given)


def _metric() -> Any:
    pytest.importorskip("torchmetrics", reason="torchmetrics (extra: torchmetrics)")
    return nc.torchmetrics.NeuralCollapse


NORMED = Shallow("relu", 3, width=5, batch_norm=True)
CALLS: list[tuple[Any, Any, str]] = [
    (NORMED.nngp, ValueError, "batch_norm=True has no kernel"),
    (Shallow("sign", 3).ntk, ValueError, "no finite NTK"),
    (lambda: networks.Ensemble(nn.Linear(3, 1), 2), TypeError, "must be a ShallowNetwork, got Lin"),
    (lambda: networks.Ensemble(NORMED, 2), ValueError, "without batch normalization"),
    (lambda: networks.Ensemble(SMALL, 2).tangent_kernels(X), ValueError, "X must have shape"),
    (lambda: networks.Ensemble(SMALL, 2).member(2), ValueError, "index must be >= 0 and <= 1"),
    (lambda: networks.tangent_dispersion(NORMED, FOUR), ValueError, "without batch normalization"),
    (lambda: networks.tangent_dispersion(SMALL, FOUR, draws=1), ValueError, "draws must be >= 2"),
    (lambda: networks.MeanFieldNetwork("tanh", 3, scale=0.0), ValueError, "scale"),
    (lambda: networks.MeanFieldNetwork("tanh", 3, scale=math.inf), ValueError, "scale"),
    (lambda: networks.MeanFieldNetwork("tanh", 3, width=0), ValueError, "width"),
    (lambda: networks.MeanFieldNetwork("tanh", 0), ValueError, "n_features"),
    (lambda: _memory(T, 0), ValueError, "n_classes"),
    (lambda: _memory(T, "3"), TypeError, "n_classes"),
    (lambda: _memory(X, 3), TypeError, "data"),
    (lambda: _memory(T, 3, poool=1), TypeError, "poool"),
    (lambda: _monitor(3), TypeError, "module must be"),
    (lambda: _monitor(data=iter(BATCHES), y=None), TypeError, "no iterator"),
    (lambda: _monitor(metrics="nc1"), TypeError, "metrics"),
    (lambda: _monitor(metrics=["nc2_norms"]), ValueError, "metrics must be one of"),
    (lambda: _monitor(every=0), ValueError, "every"),
    (lambda: _monitor(every="2"), TypeError, "every"),
    (lambda: _monitor(poool=1), TypeError, "poool"),
    (lambda: _monitor(pool="sum"), ValueError, "pool must be"),
    (lambda: _monitor()(-1), ValueError, "step"),
    (lambda: _monitor()(1.5), TypeError, "step"),
    (lambda: _monitor(sinks=[3]), TypeError, "sinks must be"),
    (lambda: _monitor(sinks="a.csv"), TypeError, "sinks must be a list"),
    (lambda: _monitor(sinks=["/tmp"]), ValueError, "sinks"),
    (lambda: _monitor(sinks=["/nowhere/a.csv"]), ValueError, "sinks"),
    (lambda: _monitor(classifier="fc", every=2)(0), ValueError, "classifier"),
    (lambda: networks.probe(nn.Linear(D, 3).double(), X, Y)["fc"], KeyError, "'fc' is none of ''"),
    (lambda: _layers(3), TypeError, "found must be what"),
    (lambda: _layers({}), TypeError, "found must be what"),
    (lambda: _layers({"a": 1.0}), TypeError, "found must be what"),
    (lambda: _layers({"a": {}}), TypeError, "found must be what"),
    (lambda: _layers(RESULT, "nc9"), ValueError, "metrics must be"),
    (lambda: _layers(RESULT, "class_gram"), ValueError, "metrics must be"),
    (lambda: _layers(RESULT, []), ValueError, "metrics must name at least one"),
    (lambda: _layers(RESULT, 3), TypeError, "metrics must be a list of names"),
    (lambda: _layers(axes=2), ValueError, "axes must hold one"),
    (lambda: networks.plot_training(3), TypeError, "course must be a Monitor"),
    (lambda: networks.plot_training({"nc1": [1.0]}), ValueError, "course must have rows"),
    (lambda: _training(step=[], layer=[]), ValueError, "course must have rows"),
    (lambda: _training("cdnv"), ValueError, "metrics must be"),
    (lambda: _training("nc1", ["b"]), ValueError, "layers must be"),
    (lambda: RESULT.with_classifier(None), TypeError, "W"),
    (lambda: RESULT.with_classifier(W, B, H=X * np.nan), ValueError, "H"),
    (lambda: RESULT.under(None), ValueError, "convention"),
    (lambda: RESULT.relative_to(1.0), TypeError, "other"),
    (lambda: RESULT.relative_to(nc.collapse(X[3:], Y[3:])), ValueError, "other"),
    (lambda: RESULT.evaluate(X, Y[1:]), ValueError, "y_test"),
    (lambda: RESULT.evaluate(X, Y + 5), ValueError, "y_test"),
    (lambda: RESULT.evaluate(X[:, 1:], Y), ValueError, "H_test"),
    (lambda: RESULT.evaluate(None, Y), TypeError, "H_test"),
    (lambda: RESULT.ood(None), TypeError, "H"),
    (lambda: RESULT.ood(X, rank="2"), TypeError, "rank"),
    (lambda: nc.collapse(X, Y, nc.NNGP("relu")).ood(X), ValueError, "explicit features"),
    (lambda: RESULT.nc9, AttributeError, "nc9"),
    (lambda: nc.FeatureSums(scatter="some"), ValueError, "scatter"),
    (lambda: _sums((X, Y), (X[:, 1:], Y)), ValueError, "H"),
    (lambda: _sums((X, Y), (X, Y.astype(str))), ValueError, "y"),
    (lambda: _sums().collapse(), ValueError, "two classes"),
    (lambda: nc.to_table([]), ValueError, "results"),
    (lambda: nc.to_table(3), TypeError, "results"),
    (lambda: nc.to_table("nc1"), TypeError, "results"),
    (lambda: nc.regression_collapse(X, X[1:]), ValueError, "Y"),
    (lambda: nc.regression_collapse(X, "a"), FileNotFoundError, "Y"),
    (lambda: nc.regression_collapse(X, X[:, :2], np.eye(3)), ValueError, "W"),
    (lambda: _metric()(3, conv=1), (TypeError, ValueError), "conv"),
    (lambda: _metric()(3).collapse(), ValueError, "two classes"),
    (lambda: _metric()(3).update(T[0] + 1j, T[1]), TypeError, "features"),
    (lambda: _metric()(3).update(T[0], Y.tolist()), TypeError, "target"),
]


@pytest.mark.parametrize(("call", "error", "pattern"), CALLS)
def test_malformed_calls(call: Any, error: Any, pattern: str) -> None:
    _fails(call, error, pattern)


def test_a_batch_that_is_refused_leaves_the_sums() -> None:
    sums = _sums((X, Y))
    before = sums.collapse().nc1
    for H, y in ((X[:, 1:], Y), (X, Y.astype(str)), (X * np.nan, Y), (X, Y[1:])):
        with pytest.raises(ValueError):  # noqa: PT011  (which, the cases above tell)
            sums.update(H, y)
    assert sums.collapse().nc1 == before
