"""The trace of a training, a tidy table of its probes, and the measurements that a probe takes of
every layer of a network whose data are in memory.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from nc1fast.core.linear import matmul
from nc1fast.metrics.definitions import weights
from nc1fast.metrics.feature_sums import FeatureSums
from nc1fast.metrics.result import Collapse, collapse_from_sums
from nc1fast.metrics.table import metric_columns, metrics_of
from nc1fast.networks.network import Layer, Phi, ShallowNetwork
from nc1fast.networks.probing.modules import evaluating

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from nc1fast.inputs.labelled import Classes
    from nc1fast.inputs.targets import Targets

    Array = NDArray[np.float64]
    Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Trace:
    """The learning curves of a training, for all its repeats.

    Attributes
    ----------
    table : dict of str to ndarray of shape (n_rows,)
        One row per repeat, probe and layer; `pandas.DataFrame` takes it as it is. repeat, epoch;
        layer ("pre1", ..., "output") and kind ("pre", "post", "output"); loss and accuracy of all
        rows in evaluation mode; the metrics of `nc1fast.to_table` of the layer (nc1, error_bound,
        trace_within, ...) and convention; nc3 and nc4. NaN where a number is not defined:
        nc3_reason, nc4_reason and note say why.
    endings : list of str
        Why each repeat ended: "epochs", "until: ..." or "diverged ...".
    epochs : list of int
        Epochs that each repeat completed.
    weight_covariances : list of dict
        Per repeat, layer and "start" or "end", second moments of the matrix W (n_out, fan_in) that
        multiplies the layer's input: W^T W / n_out, shape (fan_in, fan_in), for the hidden layers
        (for the first it is what the adaptive kernel calls Sigma), and W W^T / fan_in, shape
        (n_out, n_out), for "output".
    networks : list of ShallowNetwork
        The trained networks, in evaluation mode.
    """

    table: dict[str, NDArray[Any]]
    endings: list[str]
    epochs: list[int]
    weight_covariances: list[dict[str, dict[str, Array]]]
    networks: list[ShallowNetwork]

    def __repr__(self) -> str:
        rows = len(self.table["epoch"])
        return (
            f"Trace(repeats={len(self.networks)}, epochs={self.epochs}, endings={self.endings}, "
            f"rows={rows})"
        )

    def at(self, epoch: int | None = None, layer: str | None = None) -> dict[str, NDArray[Any]]:
        """Rows of the table at one epoch (None: the last probe of each repeat) and one layer (None:
        all).
        """
        t = self.table
        keep = np.ones(len(t["epoch"]), dtype=bool)
        if epoch is None:
            last = {r: t["epoch"][t["repeat"] == r].max() for r in np.unique(t["repeat"])}
            keep &= t["epoch"] == np.array([last[r] for r in t["repeat"]])
        else:
            keep &= t["epoch"] == epoch
        if layer is not None:
            keep &= t["layer"] == layer
        return {name: column[keep] for name, column in t.items()}


def to_columns(rows: Sequence[Row]) -> dict[str, NDArray[Any]]:
    """Rows as columns, each an array of shape (n_rows,)."""
    columns = (
        *("repeat", "epoch", "layer", "kind", "loss", "accuracy", *metric_columns(), "convention"),
        *("nc3", "nc3_reason", "nc4", "nc4_reason", "note"),
    )
    return {name: np.array([row[name] for row in rows]) for name in columns}


@dataclass(frozen=True, eq=False)
class LayerResult:
    """The measurements of one layer.

    Attributes
    ----------
    collapse : Collapse or None
        None where the metrics are not defined.
    means : ndarray of shape (n_classes, d)
        Class means.
    error : str
        Why the metrics are not defined; "" where they are.
    """

    collapse: Collapse | None
    means: Array
    error: str = ""


def layer_results(
    network: ShallowNetwork,
    X: Any,
    classes: Classes,
    size: int,
    convention: str | None,
    watch: Callable[[slice, Any], object],
) -> dict[str, LayerResult]:
    """Metrics of every layer from two passes over X, or one if X is a single batch.

    The first pass adds up class moments; the second computes the row-class sums R_ci = n_c <mu_c,
    h_i> of the class means mu_c.

    Parameters
    ----------
    network : ShallowNetwork
    X : tensor of shape (n_samples, n_features)
    classes : Classes
    size : int
        Rows of a forward pass.
    convention : str or None
    watch : callable(rows, output)
        Called for every batch of the first pass, before its features are used.
    """
    sums: dict[str, FeatureSums] = {}
    batches: Any = []
    for rows, features, output in _forward(network, X, size):
        batches = [(rows, features, output)]
        watch(rows, output)
        for name, H in features.items():
            try:
                sums.setdefault(name, FeatureSums(scatter=False)).update(H, classes.of_row[rows])
            except ValueError as error:
                raise ValueError(f"layer {name!r}: {error}") from error
    means = {name: of_layer.means() for name, of_layer in sums.items()}
    if len(X) > size:
        batches = _forward(network, X, size)
    R = _row_sums(batches, means, classes)
    results = {}
    for name, of_layer in sums.items():
        whole = dataclasses.replace(
            of_layer.class_sums(),
            labels=classes.labels,
            class_rows=R.pop(name),
            order=classes.order,
        )
        try:
            collapse = collapse_from_sums(whole, convention, keep_rows=False)
            results[name] = LayerResult(collapse, means[name])
        except ValueError as error:
            results[name] = LayerResult(None, means[name], str(error))
    return results


def _forward(
    network: ShallowNetwork, X: torch.Tensor, size: int
) -> Iterator[tuple[slice, dict[str, NDArray[Any]], torch.Tensor]]:
    """For each batch of `size` rows: their slice, their features by layer in the order of the
    forward pass, and the outputs.
    """
    features: dict[str, NDArray[Any]] = {}
    in_place = not all(isinstance(part, Layer | Phi) for part in network.children())

    def keep(name: str, output: torch.Tensor) -> None:
        H = output.detach().cpu()
        features[name] = (H.clone() if in_place else H).numpy()  # a later layer may overwrite it

    with contextlib.ExitStack() as stack:
        stack.enter_context(evaluating(network))
        stack.enter_context(torch.no_grad())
        for name in network.layers:
            part = network.get_submodule(name)
            hook = lambda _module, _inputs, output, name=name: keep(name, output)
            stack.enter_context(part.register_forward_hook(hook))
        for start in range(0, len(X), size):
            batch = X[start : start + size]
            features.clear()
            outputs = network(batch)
            yield slice(start, start + len(batch)), dict(features), outputs


def _row_sums(batches: Any, means: dict[str, Array], classes: Classes) -> dict[str, Array]:
    """The row-class sums of every layer, (C, N) with columns sorted by class, from its class means
    (C, d).
    """
    place = np.empty_like(classes.order)  # the position of each row once sorted by class
    place[classes.order] = np.arange(len(place))
    scaled = {name: classes.sizes[:, None] * mu for name, mu in means.items()}
    R = {name: np.empty((len(classes), len(place))) for name in means}
    for rows, features, _ in batches:
        for name, H in features.items():
            R[name][:, place[rows]] = matmul(scaled[name], H.T.astype(np.float64, copy=False))
    return R


def nc3(weight: Array, means: Array, g: Array) -> float:
    """|W/|W| - Z/|Z||^2 = 2 - 2 <W, Z>/(|W| |Z|) of the readout W (C, h) and the centred class
    means Z (C, h).

    Source: Papyan, Han & Donoho (2020), self-duality.
    """
    Z = means - g @ means
    sizes = float(np.linalg.norm(weight) * np.linalg.norm(Z))
    return 2 - 2 * float((weight * Z).sum()) / sizes if sizes > 0 else math.nan


def self_duality(result: LayerResult, readout: Array, targets: Targets) -> tuple[float, str]:
    """nc3 of the last hidden layer and the readout W (C, h), and ""; or NaN and the reason why
    there is none.
    """
    if readout.shape[0] == 1:
        return math.nan, "one output"
    if len(result.means) == 2:
        return math.nan, "C = 2"
    if not targets.one_hot:
        return math.nan, "targets are not one-hot"
    if result.collapse is None:
        return math.nan, result.error
    g = weights(result.collapse.convention, result.collapse.sizes).mean
    value = nc3(readout, result.means, g)
    return value, "" if math.isfinite(value) else "readout or class means are zero"


def layer_row(result: LayerResult, decisions: NDArray[np.int64]) -> Row:
    """The metrics of one layer as columns, with nc4: how often nearest mean and decision agree."""
    row: Row = dict.fromkeys(metric_columns(), math.nan)
    row |= {"convention": "", "nc4": math.nan, "nc4_reason": result.error, "note": result.error}
    collapse = result.collapse
    if collapse is None:
        return row
    row |= metrics_of(collapse)
    assert collapse.nearest_center is not None
    agreement = float((collapse.nearest_center == decisions).mean())
    return row | {"convention": collapse.convention, "nc4": agreement}
