"""A probe under way: its passes, and the metrics that come of them."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.metrics.classifiers import Classifier
from nc1fast.metrics.feature_sums import scatter_wanted
from nc1fast.metrics.result import Collapse, collapse_from_sums
from nc1fast.metrics.rows import scatter_statistics
from nc1fast.networks.probing.decisions import Outputs
from nc1fast.networks.probing.keeping import buffers_kept, evaluating, random_state
from nc1fast.networks.probing.layers import Layers, Listener
from nc1fast.networks.probing.moments import DeviceMoments
from nc1fast.networks.probing.pooling import Batch, pooled
from nc1fast.networks.probing.result import LayerCollapse
from nc1fast.networks.probing.rows import ClassMeans, DeviceRows
from nc1fast.sums.features import sums_of
from nc1fast.sums.memory import check_memory
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from numpy.typing import NDArray

    from nc1fast.networks.probing.batches import Source
    from nc1fast.networks.probing.settings import ProbeSettings
    from nc1fast.sums.class_sums import ClassSums
else:
    torch = require("torch", "torch")


@dataclass(eq=False)
class Measurement:
    """A probe under way.

    Attributes
    ----------
    module : torch.nn.Module
    source : Source
    heard : Layers
    weights : dict of str to (W, b)
        Classifiers by layer.
    settings : ProbeSettings
    sums : dict of str to DeviceMoments
        By layer, in the order of the forward pass.
    rows : dict of str to DeviceRows
    reasons : dict of str to str
    shapes_alone : bool
        Whether no row is added.
    """

    module: Any
    source: Source
    heard: Layers
    weights: dict[str, tuple[Any, Any]]
    settings: ProbeSettings
    sums: dict[str, DeviceMoments] = field(default_factory=dict)
    rows: dict[str, DeviceRows] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    shapes_alone: bool = False

    @property
    def passes(self) -> int:
        """Passes over the data: 1 or 2."""
        asked, again = self.settings.passes, self.source.again
        if asked == 2 and not again:
            raise ValueError(
                "passes=2 needs data that can be passed over again: a list or a DataLoader, not an iterator"
            )
        if self.settings.statistics == "sums" or asked == 1:
            return 1
        return 2 if again else 1

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
    def _unchanged(self) -> Any:
        """Evaluation mode, without gradients; yields what puts the random numbers back, as happens
        at the end.
        """
        restore = random_state(self.source.data)
        try:
            with torch.no_grad(), buffers_kept(self.module), evaluating(self.module):
                yield restore
        finally:
            restore()

    def _pass(self, listener: Listener, begin: Callable[[Batch], None]) -> None:
        """One forward pass over all batches."""
        count = 0
        with listener.attached():
            for batch, whole in self.source.batches():
                if not len(batch.codes):
                    continue
                begin(batch)
                listener.start()
                if self.settings.forward is not None:
                    self.settings.forward(self.module, whole)
                else:
                    _call(self.module, batch.inputs)
                listener.end()
                count += 1
                if count == 1:
                    self._after_first_batch()
        if not count:
            raise ValueError("data must hold batches with rows, got none")

    def first_pass(self) -> None:
        """Add up class sums of every layer that is heard."""
        now: list[Batch] = []

        def receive(name: str, H: torch.Tensor) -> None:
            F, rows = pooled(_in_reach(H), self.settings.pool_of(name), now[-1])
            self._add(name, F, rows)

        def begin(batch: Batch) -> None:
            now[:] = [batch]

        listener = Listener(self.heard, receive)
        self._pass(listener, begin)
        for name, reason in listener.misfits.items():
            self.reasons[name] = reason
            self.sums.pop(name, None)
        self.settings.check_layers([*self.sums, *self.reasons])
        if not self.sums:
            raise ValueError(
                "layers must include one whose output is a tensor with a row per sample"
            )

    def _add(self, name: str, F: torch.Tensor, rows: Any) -> None:
        """Add features of a batch to the sums of a layer."""
        if name not in self.sums:
            scatter = (
                self.passes == 1
                and self.settings.statistics == "all"
                and scatter_wanted("auto", F.shape[1])
            )
            room = self.source.n_classes or max(len(self.source.classes), 1)
            n_classes = 0 if self.shapes_alone else room
            single = F.dtype is not torch.float64
            d = F.shape[1]
            self.sums[name] = DeviceMoments(n_classes, d, F.device, scatter=scatter, single=single)
        if self.shapes_alone:
            return
        sums = self.sums[name]
        if F.shape[1] != sums.shift.shape[1]:
            raise ValueError(
                f"layer {name!r} must have as many features in every batch, got {F.shape[1]} after {sums.shift.shape[1]}"
            )
        sums.grow(len(self.source.classes))
        sums.update(F, rows)

    def _after_first_batch(self) -> None:
        """Refuse what does not fit, and features that are not finite, before the other batches."""
        if self.shapes_alone:
            return
        check_memory(self.settings.memory_limit, self.memory())
        for name, sums in self.sums.items():
            _naming(name, sums.check)

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
            moments = _naming(name, sums.moments)
            if len(moments) < len(order) or not moments.n[order].all():
                self.reasons[name] = "it has no rows of some of the classes"
                continue
            scatter = sums.scatter_within(moments)
            sorted_already = np.array_equal(order, np.arange(len(order)))
            whole = sums_of(moments.of(slice(len(order)) if sorted_already else order), labels)
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
        weight, bias = self.weights[name]
        W, b = _array(weight), None if bias is None else _array(bias)
        assert sums.means is not None
        shape, labels = sums.means.shape, sums.labels
        numbered = labels.dtype.kind in "iu" and labels.min() >= 0
        columns = None
        if numbered and W.ndim == 2 and len(W) > labels.max():
            if b is not None and b.shape != (len(W),):
                raise ValueError(
                    f"layer {name!r}: b must have shape ({len(W)},) as W has rows, got {b.shape}"
                )
            if not np.array_equal(labels, np.arange(len(W))):
                columns = labels.astype(np.int64)
            W, b = W[labels], None if b is None else b[labels]
        found: Classifier = _naming(name, lambda: Classifier.of(W, b, shape))
        return found, columns

    def _second_pass(self, known: Mapping[str, KnownLayer]) -> None:
        """Add up rows about the class means."""
        for name in list(self.sums):
            sums = self.sums.pop(name)
            if name in known:
                found = known[name]
                variance = float(found.sums.within.sum()) / float(found.sums.sizes.sum())
                assert found.sums.means is not None
                means = ClassMeans(found.sums.means, found.sums.sizes, variance, found.classifier)
                scatter = self.settings.statistics == "all"
                self.rows[name] = DeviceRows(means, sums.shift.device, scatter=scatter)
        now: list[Batch] = []
        heard = self._outputs_of(known)

        def receive(name: str, H: torch.Tensor) -> None:
            if name not in self.rows:
                return
            pool = self.settings.pool_of(name)
            F, rows = pooled(_in_reach(H), pool, now[-1])
            follow = name in heard and heard[name].expects(H, F, rows, pool)
            self.rows[name].update(F, rows, outputs_follow=follow)

        def begin(batch: Batch) -> None:
            now[:] = [batch]

        listener = Listener(self.heard, receive)
        with contextlib.ExitStack() as stack:
            for name, outputs in heard.items():
                stack.callback(outputs.attach(self.rows[name].compare).remove)
            self._pass(listener, begin)

    def _outputs_of(self, known: Mapping[str, KnownLayer]) -> dict[str, Outputs]:
        """Linear layers whose outputs tell the decisions about their inputs, by the name of these."""
        parts = dict(self.module.named_modules())
        found = {}
        for name, layer in known.items():
            part = parts.get(name.removesuffix(".input"))
            if layer.classifier is None or not name.endswith(".input") or part is None:
                continue
            if Outputs.told_by(part) and self.weights[name][0] is part.weight:
                found[name] = Outputs(part, layer.columns)
        return found

    def _results(self, known: Mapping[str, KnownLayer]) -> dict[str, Collapse]:
        """The metrics of every layer where they are defined, and the reasons of the others."""
        results = {}
        for name, found in known.items():
            rows, classifier = None, found.classifier
            if name in self.rows:
                second = self.rows[name]
                rows = _naming(name, second.statistics)
                if classifier is not None:
                    classifier = dataclasses.replace(classifier, agreement=second.agreement())
            elif found.scatter is not None and found.sums.means is not None:
                rows = scatter_statistics(found.scatter, found.sums.means, found.sums.sizes)
            try:
                results[name] = collapse_from_sums(
                    found.sums, self.settings.convention, rows=rows, classifier=classifier
                )
            except ValueError as error:
                self.reasons[name] = str(error)
        return results


@dataclass(frozen=True, eq=False)
class KnownLayer:
    """A layer after the first pass: its class sums, its scatter (d, d), its classifier, and which
    outputs of it are those of the classes.
    """

    sums: ClassSums
    scatter: NDArray[np.float64] | None
    classifier: Classifier | None
    columns: NDArray[np.int64] | None


def _call(module: Any, inputs: Any) -> None:
    """Call the module with inputs of any structure."""
    if isinstance(inputs, Mapping):
        module(**inputs)
    elif isinstance(inputs, tuple | list):
        module(*inputs)
    else:
        module(inputs)


def _in_reach(H: torch.Tensor) -> torch.Tensor:
    """A tensor where float64 is known: on the host for devices that have none."""
    return H.cpu() if H.device.type == "mps" else H


def _array(A: Any) -> Any:
    return A.detach().cpu().double().numpy() if isinstance(A, torch.Tensor) else np.asarray(A)


def _naming(name: str, call: Callable[[], Any]) -> Any:
    """The value of a call, whose errors name the layer."""
    try:
        return call()
    except ValueError as error:
        raise ValueError(f"layer {name!r}: {error}") from error
