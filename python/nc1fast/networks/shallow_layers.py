"""The collapse of every layer of a `ShallowNetwork` in training, whose data are in memory."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.core.linear import matmul
from nc1fast.metrics.feature_sums import FeatureSums
from nc1fast.metrics.result import Collapse, collapse_from_sums
from nc1fast.networks.network import Layer, Phi, ShallowNetwork
from nc1fast.networks.probing.keeping import evaluating
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch
    from numpy.typing import NDArray

    from nc1fast.inputs.labelled import Classes

    Array = NDArray[np.float64]
else:
    torch = require("torch", "torch")


class _Recorder:
    """Collects the features of a batch by layer, in the order of the forward pass."""

    def __init__(self, network: ShallowNetwork) -> None:
        self.network = network
        parts = {type(part) for part in network.children()}
        self.own = parts <= {Layer, Phi}
        self._batch: dict[str, Any] = {}

    def _hook(self, name: str) -> Any:
        """A forward hook that keeps the output of a layer as features (rows, d)."""

        def hook(_module: Any, _inputs: Any, output: Any) -> None:
            H = output.detach().cpu()
            H = H if self.own else H.clone()  # a later layer may work in place
            self._batch[name] = H.numpy()

        return hook

    def batches(self, X: Any, size: int) -> Iterator[tuple[slice, dict[str, NDArray[Any]], Any]]:
        """For each batch of `size` rows: their slice, their features by layer, and the output of
        the module.
        """
        with contextlib.ExitStack() as stack:
            stack.enter_context(evaluating(self.network))
            stack.enter_context(torch.no_grad())
            for name in self.network.layers:
                handle = self.network.get_submodule(name).register_forward_hook(self._hook(name))
                stack.callback(handle.remove)
            for start in range(0, len(X), size):
                batch = X[start : start + size]
                self._batch = {}
                output = self.network(batch)
                yield slice(start, start + len(batch)), self._batch, output


@dataclasses.dataclass(frozen=True, eq=False)
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
    watch: Callable[[slice, Any], object] | None = None,
) -> dict[str, LayerResult]:
    """Metrics of every layer from two passes over X, or one if X is a single batch.

    The first pass adds up class moments; the second, which knows the class means mu_c, computes the
    row-class sums R_ci = n_c <mu_c, h_i>.

    Parameters
    ----------
    network : ShallowNetwork
    X : tensor of shape (n_samples, n_features)
    classes : Classes
    size : int
        Rows of a forward pass.
    convention : str or None
    watch : callable(rows, output), optional
        Called for every batch of the first pass, before its features are used.
    """
    listener = _Recorder(network)
    sums: dict[str, FeatureSums] = {}
    batches: Any = []
    for rows, features, output in listener.batches(X, size):
        batches = [(rows, features, output)]
        if watch is not None:
            watch(rows, output)
        for name, H in features.items():
            try:
                sums.setdefault(name, FeatureSums(scatter=False)).update(H, classes.of_row[rows])
            except ValueError as error:
                raise ValueError(f"layer {name!r}: {error}") from error
    means = {name: of_layer.means() for name, of_layer in sums.items()}
    R = _row_sums(batches if len(X) <= size else listener.batches(X, size), means, classes)
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
