"""`NeuralCollapse`: class sums of features as the state of a metric of torchmetrics."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torchmetrics

from nc1fast.metrics.definitions import CONVENTIONS
from nc1fast.metrics.feature_sums import FeatureSums, sums_scatter
from nc1fast.metrics.table import as_metric_names, number_names
from nc1fast.networks.probing.moments import DeviceMoments
from nc1fast.networks.probing.outputs import RowClasses
from nc1fast.networks.probing.settings import IGNORED
from nc1fast.support.arguments import as_count, check_choice, shown
from nc1fast.support.arithmetic import ieee
from nc1fast.support.warnings import AccuracyWarning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.metrics.result import Collapse


class NeuralCollapse(torchmetrics.Metric):
    """The collapse of features that arrive batch by batch, on any device and from any number of
    processes.

    Parameters
    ----------
    num_classes : int
        Labels are 0, ..., num_classes - 1; classes without rows are left out.
    metrics : sequence of str, optional
        Names of the numbers that `compute` returns: nc1, error_bound, trace_within, trace_between
        and those of docs/metrics.md that need neither a classifier nor a second pass. Default: all
        of these.
    convention : str, default "papyan"
        As in `nc1fast.collapse`.
    ignore_index : int, optional
        Label of rows that are left out; default: -100 where labels have more than one axis.
    scatter : {"auto", True, False}, default "auto"
        As in `nc1fast.FeatureSums`: whether to add up what nc1_pinv and the ranks of Sigma_W need.
    **kwargs
        As of any `torchmetrics.Metric`.

    Raises
    ------
    TypeError, ValueError
        For a value that is not allowed.

    Notes
    -----
    The state is one float64 tensor for each process, 3 num_classes d numbers and d^2 for the
    scatter; processes exchange it when `compute` is called, and their sums are merged as
    `FeatureSums` are. `state_dict` holds it.
    Cost: 6 flops an entry, 2 d more for the scatter; `forward`, which gives the metrics of its
    batch too, twice that.
    Accuracy: that of `nc1fast.networks.probe` in one pass; error_bound covers any number of
    processes.

    Examples
    --------
    >>> metric = nc.torchmetrics.NeuralCollapse(num_classes=10)
    >>> for x, y in loader:
    ...     metric.update(backbone(x), y)
    >>> metric.compute()["nc1"]
    """

    full_state_update = True  # forward measures each batch on its own, too
    is_differentiable = False
    higher_is_better = None

    def __init__(
        self,
        num_classes: int,
        *,
        metrics: Sequence[str] | None = None,
        convention: str = "papyan",
        ignore_index: int | None = None,
        scatter: bool | str = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_classes = as_count("num_classes", num_classes, 2)
        check_choice("convention", convention, CONVENTIONS)
        self.metrics = as_metric_names(metrics, number_names("sums", "rows"))
        FeatureSums(scatter)  # checks it
        self.convention, self.scatter = convention, scatter
        if ignore_index is not None:
            ignore_index = as_count("ignore_index", ignore_index, -(2**63))
        self.ignore_index = ignore_index
        self.moments: Any  # float64 tensors of packed `DeviceMoments`
        self.add_state("moments", default=[], dist_reduce_fx="cat", persistent=True)
        self.set_dtype(torch.float64)

    @ieee
    def update(self, features: torch.Tensor, target: torch.Tensor) -> None:
        """Add a batch.

        Parameters
        ----------
        features : tensor of shape (n_samples, ...) or (n_samples, n_tokens, n_features)
            Flattened where labels have one axis.
        target : integer tensor of shape (n_samples,) or (n_samples, n_tokens)

        Raises
        ------
        TypeError, ValueError
            For other shapes and types, labels out of range, NaN and Inf, and another number of
            features than before. The state is then as it was.
        """
        H, rows = self._checked(features, target)
        if parts := _as_list(self.moments):
            sums, _ = DeviceMoments.unpacked(parts[0])
            if sums.shift.shape[1] != H.shape[1]:
                raise ValueError(
                    f"features must have {sums.shift.shape[1]} numbers a row, got {H.shape[1]}"
                )
            sums.update(H, rows)  # in place
            return
        scatter = sums_scatter(self.scatter, H.shape[1])
        sums = DeviceMoments(self.num_classes, H.shape[1], H.device, scatter=scatter)
        sums.update(H, rows)
        self.moments = [sums.packed()]

    def _checked(self, features: Any, target: Any) -> tuple[torch.Tensor, RowClasses]:
        """Rows of features and their classes."""
        if not isinstance(features, torch.Tensor) or not features.is_floating_point():
            raise TypeError(f"features must be a floating-point tensor, got {shown(features)}")
        integers = isinstance(target, torch.Tensor) and not (
            target.is_floating_point() or target.is_complex() or target.dtype is torch.bool
        )
        if not integers:
            raise TypeError(
                f"target must be an integer tensor, got {shown(getattr(target, 'dtype', target))}"
            )
        shape = tuple(target.shape)
        if features.ndim < 2 or not shape or tuple(features.shape[: len(shape)]) != shape:
            hint = " (of one-hot labels, their argmax)" if target.ndim == 2 else ""
            raise ValueError(
                f"target must have a label for each row of features{hint}, got {shape} for "
                f"{tuple(features.shape)}"
            )
        if len(shape) > 1 and features.ndim != len(shape) + 1:
            raise ValueError(
                "features must have one axis more than labels of tokens, got "
                f"{tuple(features.shape)} for {shape}"
            )
        H = features.detach().reshape(target.numel(), -1)
        codes = target.detach().reshape(-1).cpu().numpy().astype(np.int64)
        ignored = IGNORED if self.ignore_index is None and len(shape) > 1 else self.ignore_index
        kept = np.ones(len(codes), bool) if ignored is None else codes != ignored
        out = kept & ((codes < 0) | (codes >= self.num_classes))
        if out.any():
            raise ValueError(
                f"target must be in 0, ..., {self.num_classes - 1}, got {codes[out][0]}"
            )
        if H.numel() and not all(bool(torch.isfinite(end)) for end in torch.aminmax(H)):
            raise ValueError("features must be finite, but they contain NaN or Inf")
        rows = RowClasses(np.where(kept, codes, -1))
        return (H if rows.kept is None else H[rows.on(H.device, "kept")]), rows

    def feature_sums(self) -> FeatureSums:
        """The sums so far of this process, or, while the state is synchronised, of all."""
        total = FeatureSums()
        for flat in _as_list(self.moments):
            start = 0
            while start < len(flat):
                sums, length = DeviceMoments.unpacked(flat[start:])
                total = total + sums.feature_sums()
                start += length
        return total

    @ieee
    def collapse(self, convention: str | None = None) -> Collapse:
        """Every metric of the rows so far of this process: a `Collapse`, which takes a classifier
        and held-out rows.

        Raises
        ------
        ValueError
            For fewer than two classes, and where NC1 is 0/0.
        """
        return self.feature_sums().collapse(convention or self.convention)

    def compute(self) -> dict[str, torch.Tensor]:
        """The metrics by name, float64 numbers; NaN where they are not defined."""
        try:
            with warnings.catch_warnings():  # error_bound is among them
                warnings.simplefilter("ignore", AccuracyWarning)
                values = self.collapse().to_dict()
        except ValueError:
            values = {}
        numbers = {name: values.get(name) for name in self.metrics}
        return {
            name: torch.tensor(math.nan if v is None else v, dtype=torch.float64)
            for name, v in numbers.items()
        }

    def merge_state(self, incoming_state: Any) -> None:
        """Add the rows of another metric of this class, or of its state.

        Raises
        ------
        ValueError
            For anything else, and for other numbers of classes or features.
        """
        if isinstance(incoming_state, NeuralCollapse):
            incoming_state = incoming_state.metric_state
        if not isinstance(incoming_state, dict) or "moments" not in incoming_state:
            raise ValueError(
                f"incoming_state must be a NeuralCollapse or its state, got {shown(incoming_state)}"
            )
        both = (*_as_list(self.moments), *_as_list(incoming_state["moments"]))
        parts = [part.detach().clone() for part in both if len(part)]
        shapes = {tuple(part[:2].tolist()) for part in parts}
        if len(shapes | {(float(self.num_classes), d) for _, d in shapes}) > 1:
            raise ValueError(
                "incoming_state must have the same numbers of classes and features as this metric"
            )
        self.moments = parts
        self._update_count += 1
        self._computed = None


def _as_list(state: Any) -> list[torch.Tensor]:
    """The state as tensors: while synchronised, torchmetrics holds one."""
    return state if isinstance(state, list) else [state]
