"""`Monitor`: probes of a module in any training loop, every k steps, into tables and loggers."""

from __future__ import annotations

import csv
import io
import math
import warnings
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.metrics.table import as_metric_names, number_names
from nc1fast.networks.probing.batches import iter_is_new
from nc1fast.networks.probing.modules import as_module
from nc1fast.networks.probing.settings import ProbeSettings
from nc1fast.networks.probing.streamed import probe
from nc1fast.support.arguments import as_count, as_items, shown
from nc1fast.support.files import append_whole
from nc1fast.support.reading import check_regular, reading
from nc1fast.support.warnings import AccuracyWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from nc1fast.networks.probing.result import LayerCollapse


class Monitor:
    """Probe a module every k steps of a loop, whatever trains it.

    Parameters
    ----------
    module : torch.nn.Module
    data, y
        The rows that are probed, as `nc1fast.networks.probe` takes them; no iterator.
    every : int, default 1
        Steps between two probes; step 0 is probed.
    metrics : sequence of str, optional
        Names of numbers of docs/metrics.md. Default: nc1, its traces and all that are numbers.
    sinks : sequence, optional
        Each is a callable(step, values), values a dict from "LAYER/METRIC" to float; an object with
        `add_scalar(tag, value, step)`, as TensorBoard's SummaryWriter; or the path of a CSV file,
        to which rows are added.
    **options
        As of `nc1fast.networks.probe`: layers, pool, classifier, ...

    Attributes
    ----------
    rows : list of dict
        A row for each probe and layer: step, layer, the metrics, and a note: why there are none.

    Raises
    ------
    TypeError, ValueError
        As `probe` for its settings, and for a sink that is none.

    Examples
    --------
    >>> monitor = nc.networks.Monitor(model, loader, every=100, sinks=["collapse.csv"])
    >>> for step, (x, y) in enumerate(loader):
    ...     train_step(x, y)
    ...     monitor(step)
    >>> pandas.DataFrame(monitor.table())
    """

    def __init__(
        self,
        module: Any,
        data: Any,
        y: Any = None,
        *,
        every: int = 1,
        metrics: Sequence[str] | None = None,
        sinks: Sequence[Any] = (),
        **options: Any,
    ) -> None:
        self.module, self.data, self.y = as_module(module), data, y
        if not iter_is_new(data):
            raise TypeError("data must be passed over again at every probe: no iterator")
        self.every = as_count("every", every)
        self.metrics = as_metric_names(metrics, number_names())
        checked = {name: v for name, v in options.items() if name not in ("layers", "classifier")}
        ProbeSettings.of(**checked)
        self.options = options
        self.rows: list[dict[str, Any]] = []
        self._sinks = [self._as_sink(sink) for sink in as_items("sinks", sinks, "a list of sinks")]
        self._step = -1

    def _as_sink(self, sink: Any) -> Callable[[int, list[dict[str, Any]]], object]:
        """A sink as a function of the step and the new rows."""
        if isinstance(sink, str | PathLike):
            path = Path(fspath(sink))
            check_regular(path, "sinks")
            if not path.parent.is_dir():
                raise ValueError(f"sinks: {path} must be in a folder that exists")
            return lambda _step, rows: self._append(path, rows)
        if hasattr(sink, "add_scalar"):
            return lambda step, rows: [
                sink.add_scalar(tag, value, step) for tag, value in self._values(rows).items()
            ]
        if callable(sink):
            return lambda step, rows: sink(step, self._values(rows))
        raise TypeError(
            f"sinks must be callables, paths or objects with add_scalar, got {shown(sink)}"
        )

    def _values(self, rows: list[dict[str, Any]]) -> dict[str, float]:
        """Numbers by "LAYER/METRIC", those that are defined."""
        return {
            f"{row['layer']}/{name}": row[name]
            for row in rows
            for name in self.metrics
            if not math.isnan(row[name])
        }

    def _append(self, path: Path, rows: list[dict[str, Any]]) -> None:
        """Add rows to a CSV file, which gets a header where it is new."""
        names = list(rows[0])
        new = not path.exists() or not path.stat().st_size
        if not new:
            with reading(str(path)), path.open(encoding="utf-8", newline="") as file:
                if next(csv.reader(file)) != names:
                    raise ValueError(f"{path} has other columns: choose another file")
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, names)
        if new:
            writer.writeheader()
        writer.writerows(rows)
        append_whole(path, text.getvalue().encode())

    def __call__(self, step: int | None = None) -> LayerCollapse | None:
        """Probe if it is time.

        Parameters
        ----------
        step : int, optional
            Default: one more than before.

        Returns
        -------
        LayerCollapse or None
            None between probes, and where a layer holds NaN or Inf, which is a row with a note: the
            loop goes on.
        """
        self._step = self._step + 1 if step is None else as_count("step", step, 0)
        if self._step % self.every:
            return None
        found = None
        with warnings.catch_warnings():  # error_bound is among the metrics
            warnings.simplefilter("ignore", AccuracyWarning)
            try:
                found = probe(self.module, self.data, self.y, **self.options)
            except ValueError as error:
                if not self.rows:  # a call that was never right
                    raise
                rows = [self._row("", {}, str(error))]
        if found is not None:
            rows = [self._row(name, result.to_dict(), "") for name, result in found.items()]
            rows += [self._row(name, {}, reason) for name, reason in found.reasons.items()]
        self.rows += rows
        for sink in self._sinks:
            sink(self._step, rows)
        return found

    def _row(self, layer: str, values: dict[str, Any], note: str) -> dict[str, Any]:
        """A row of the table; NaN where a metric has no value."""
        given = {name: values.get(name) for name in self.metrics}
        numbers = {name: math.nan if v is None else float(v) for name, v in given.items()}
        return {"step": self._step, "layer": layer, **numbers, "note": note}

    def table(self) -> dict[str, NDArray[Any]]:
        """The rows as columns, each an array of shape (n_rows,); `pandas.DataFrame` takes them."""
        names = ["step", "layer", *self.metrics, "note"]
        return {name: np.array([row[name] for row in self.rows]) for name in names}
