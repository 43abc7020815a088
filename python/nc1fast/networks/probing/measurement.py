"""A probe under way: its passes, and the metrics that come of them."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from nc1fast.metrics.classifiers import Classifier
from nc1fast.metrics.feature_sums import sums_scatter
from nc1fast.metrics.result import Collapse, collapse_from_sums
from nc1fast.metrics.rows import scatter_statistics
from nc1fast.networks.probing.layers import Layers, Listener
from nc1fast.networks.probing.modules import buffers_kept, evaluating, random_state
from nc1fast.networks.probing.moments import DeviceMoments
from nc1fast.networks.probing.outputs import Batch, RowClasses, pooled
from nc1fast.networks.probing.result import LayerCollapse
from nc1fast.networks.probing.rows import DeviceRows
from nc1fast.networks.probing.search import Outputs
from nc1fast.sums.given import sums_of
from nc1fast.sums.settings import check_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from nc1fast.networks.probing.batches import Source
    from nc1fast.networks.probing.settings import ProbeSettings
    from nc1fast.sums.class_sums import ClassSums


@dataclass(frozen=True, eq=False)
class KnownLayer:
    """A layer after the first pass: its class sums, its scatter (d, d), its classifier, and which
    outputs of it are those of the classes.
    """

    sums: ClassSums
    scatter: NDArray[np.float64] | None
    classifier: Classifier | None
    columns: NDArray[np.int64] | None


@dataclass(eq=False)
class Measurement:
    """A probe under way.

    Attributes
    ----------
    module : torch.nn.Module
    source : Source
    layers : Layers
    weights : dict of str to (W, b)
        Classifiers by layer.
    settings : ProbeSettings
    sums : dict of str to DeviceMoments
        By layer, in the order of the forward pass.
    rows : dict of str to DeviceRows
    reasons : dict of str to str
        Why a layer has no result.
    shapes_alone : bool
        Whether no row is added.
    """

    module: Any
    source: Source
    layers: Layers
    weights: dict[str, tuple[Any, Any]]
    settings: ProbeSettings
    sums: dict[str, DeviceMoments] = field(default_factory=dict)
    rows: dict[str, DeviceRows] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    shapes_alone: bool = False

    @property
    def passes(self) -> int:
        """Passes over the data: 1 or 2."""
        requested, again = self.settings.passes, self.source.again
        if requested == 2 and not again:
            raise ValueError(
                "passes=2 needs data that can be passed over again: a list or a DataLoader, not an "
                "iterator"
            )
        one = self.settings.statistics == "sums" or requested == 1 or not again
        return 1 if one else 2

    def run(self) -> LayerCollapse:
        """Pass over the data and evaluate every layer."""
        passes = self.passes
        with self._unchanged() as restart:
            self.first_pass()
            order, labels = self.source.sort()
            if len(labels) < 2:
                raise ValueError(
                    f"y must hold at least two classes, got {len(labels)} in all batches"
                )
            known = self._known(order, labels)
            memory = self.memory()
            if passes == 2:
                restart()
                self._second_pass(known)
        results = self._results(known)
        if not results:
            name, reason = next(iter(self.reasons.items()))
            raise ValueError(f"layer {name!r}: {reason}")
        return LayerCollapse(results, self.reasons, passes, memory)

    @contextlib.contextmanager
    def _unchanged(self) -> Iterator[Callable[[], None]]:
        """Evaluation mode, without gradients; yields what puts the random numbers back, as happens
        at the end.
        """
        restore = random_state(self.source.data)
        try:
            with torch.no_grad(), buffers_kept(self.module), evaluating(self.module):
                yield restore
        finally:
            restore()

    def _pass(self, receive: Callable[[str, torch.Tensor, Batch], object]) -> Listener:
        """One forward pass over all batches; `receive` is given every tensor of a layer."""
        batch: Any = None
        listener = Listener(self.layers, lambda name, H: receive(name, H, batch))
        count = 0
        with listener.attached():
            for batch, whole in self.source.batches():
                if not len(batch.codes):
                    continue
                listener.start()
                if self.settings.forward is not None:
                    self.settings.forward(self.module, whole)
                else:
                    _call(self.module, batch.inputs)
                listener.end()
                count += 1
                if count == 1 and not self.shapes_alone:
                    self._check_first_batch()
        if not count:
            raise ValueError("data must hold batches with rows, got none")
        return listener

    def _pooled(self, name: str, H: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, RowClasses]:
        """Features of the output of a layer, where float64 is known, and their classes."""
        H = H.cpu() if H.device.type == "mps" else H
        return pooled(H, self.settings.pool_of(name), batch)

    def first_pass(self) -> None:
        """Add up class sums of every layer."""
        listener = self._pass(self._add)
        for name, reason in listener.misfits.items():
            self.reasons[name] = reason
            self.sums.pop(name, None)
        self.settings.check_layers([*self.sums, *self.reasons])
        if not self.sums:
            raise ValueError(
                "layers must include one whose output is a tensor with a row per sample"
            )

    def _add(self, name: str, H: torch.Tensor, batch: Batch) -> None:
        """Add features of a batch to the sums of a layer."""
        F, rows = self._pooled(name, H, batch)
        d, n_classes = F.shape[1], len(self.source.classes)
        if name not in self.sums:
            of_one_pass = self.passes == 1 and self.settings.statistics == "all"
            room = 0 if self.shapes_alone else self.source.n_classes or max(n_classes, 1)
            self.sums[name] = DeviceMoments(
                room,
                d,
                F.device,
                scatter=of_one_pass and sums_scatter("auto", d),
                single=F.dtype is not torch.float64,
            )
        sums = self.sums[name]
        if d != sums.shift.shape[1]:
            raise ValueError(
                f"layer {name!r} must have as many features in every batch, got {d} after "
                f"{sums.shift.shape[1]}"
            )
        if not self.shapes_alone:
            sums.grow(n_classes)
            sums.update(F, rows)

    def _check_first_batch(self) -> None:
        """Refuse what does not fit, and features that are not finite, before the other batches."""
        check_memory(self.settings.memory_limit, self.memory())
        for name, sums in self.sums.items():
            with _naming(name):
                sums.check()

    def memory(self) -> dict[str, int]:
        """Bytes of the sums of each layer."""
        C = max(self.source.n_classes or 0, len(self.source.classes))
        needed = {}
        for name, sums in self.sums.items():
            d, scatter = sums.shift.shape[1], bool(sums.scatter.numel())
            needed[name] = DeviceMoments.bytes_needed(C, d, scatter=scatter, single=sums.single)
            if self.passes == 2:
                needed[name] = max(needed[name], 8 * C * d + DeviceRows.bytes_needed(C, d))
        return needed

    def _known(self, order: NDArray[np.int64], labels: NDArray[Any]) -> dict[str, KnownLayer]:
        """The layers after the first pass, by name; reasons for those that lack a class."""
        known = {}
        for name, sums in self.sums.items():
            with _naming(name):
                moments = sums.moments()
            if len(moments) < len(order) or not moments.n[order].all():
                self.reasons[name] = "it has no rows of some of the classes"
                continue
            scatter = sums.scatter_within(moments)
            is_sorted = np.array_equal(order, np.arange(len(order)))
            whole = sums_of(moments.of(slice(len(order)) if is_sorted else order), labels)
            with _naming(name):
                classifier, columns = self._classifier(name, whole)
            known[name] = KnownLayer(whole, scatter, classifier, columns)
        return known

    def _classifier(
        self, name: str, sums: ClassSums
    ) -> tuple[Classifier | None, NDArray[np.int64] | None]:
        """The classifier of a layer, its rows in the order of the labels, and which these are;
        None: all.
        """
        if name not in self.weights:
            return None, None
        W, b = (None if A is None else _as_array(A) for A in self.weights[name])
        assert W is not None
        assert sums.means is not None
        labels, columns = sums.labels, None
        numbered = labels.dtype.kind in "iu" and labels.min() >= 0
        if numbered and W.ndim == 2 and len(W) > labels.max():
            if b is not None and b.shape != (len(W),):
                raise ValueError(f"b must have shape ({len(W)},) as W has rows, got {b.shape}")
            if not np.array_equal(labels, np.arange(len(W))):
                columns = labels.astype(np.int64)
            W, b = W[labels], None if b is None else b[labels]
        return Classifier.of(W, b, sums.means.shape), columns

    def _second_pass(self, known: Mapping[str, KnownLayer]) -> None:
        """Add up rows about the class means."""
        scatter = self.settings.statistics == "all"
        for name in list(self.sums):
            device = self.sums.pop(name).shift.device
            if name in known:
                layer = known[name]
                self.rows[name] = DeviceRows(layer.sums, layer.classifier, device, scatter=scatter)
        outputs = self._linear_outputs(known)

        def receive(name: str, H: torch.Tensor, batch: Batch) -> None:
            if name not in self.rows:
                return
            F, rows = self._pooled(name, H, batch)
            pool = self.settings.pool_of(name)
            follow = name in outputs and outputs[name].expects(H, F, rows, pool)
            self.rows[name].update(F, rows, outputs_follow=follow)

        with contextlib.ExitStack() as stack:
            for name, of_layer in outputs.items():
                stack.enter_context(of_layer.attach(self.rows[name].compare))
            self._pass(receive)

    def _linear_outputs(self, known: Mapping[str, KnownLayer]) -> dict[str, Outputs]:
        """Linear layers whose outputs are the decisions about their inputs, by names of these."""
        parts = dict(self.module.named_modules())
        found = {}
        for name, layer in known.items():
            part = parts.get(name.removesuffix(".input"))
            if layer.classifier is None or not name.endswith(".input") or part is None:
                continue
            if Outputs.are_plain(part) and self.weights[name][0] is part.weight:
                found[name] = Outputs(part, layer.columns)
        return found

    def _results(self, known: Mapping[str, KnownLayer]) -> dict[str, Collapse]:
        """The metrics of every layer where they are defined, and the reasons of the others."""
        results = {}
        for name, layer in known.items():
            rows, classifier = None, layer.classifier
            if name in self.rows:
                second = self.rows[name]
                with _naming(name):
                    rows = second.statistics()
                if classifier is not None:
                    classifier = dataclasses.replace(classifier, agreement=second.agreement())
            elif layer.scatter is not None and layer.sums.means is not None:
                rows = scatter_statistics(layer.scatter, layer.sums.means, layer.sums.sizes)
            try:
                results[name] = collapse_from_sums(
                    layer.sums, self.settings.convention, rows=rows, classifier=classifier
                )
            except ValueError as error:
                self.reasons[name] = str(error)
        return results


def _call(module: Any, inputs: Any) -> None:
    """Call the module with inputs of any structure."""
    if isinstance(inputs, Mapping):
        module(**inputs)
    elif isinstance(inputs, tuple | list):
        module(*inputs)
    else:
        module(inputs)


def _as_array(A: Any) -> Any:
    return A.detach().cpu().double().numpy() if isinstance(A, torch.Tensor) else np.asarray(A)


@contextlib.contextmanager
def _naming(layer: str) -> Iterator[None]:
    """Errors of values name the layer."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"layer {layer!r}: {error}") from error
