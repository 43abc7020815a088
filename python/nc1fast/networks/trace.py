"""The trace of a training, a tidy table of its probes, and the rules that say when to probe and
when to stop.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.metrics.definitions import weights
from nc1fast.metrics.table import metric_columns, metrics_of
from nc1fast.support.arguments import as_count, as_items, as_number, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nc1fast.inputs.targets import Targets
    from nc1fast.networks.network import ShallowNetwork
    from nc1fast.networks.shallow_layers import LayerResult

    Array = NDArray[np.float64]
    Row = dict[str, Any]

RULES = "'zero-error', ('loss', value) or ('slope', value)"
PROBES_PER_DECADE = 8
DIVERGED = 1e50  # a loss above this counts as infinite: squares of features would overflow next


@dataclass(frozen=True, eq=False)
class Trace:
    """The course of a training, for all its repeats.

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
        return f"Trace(repeats={len(self.networks)}, epochs={self.epochs}, endings={self.endings}, rows={rows})"

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


def probe_epochs(probe: Any, epochs: int) -> list[int]:
    """The epochs at which to probe, sorted; always with 0 and the last one.

    Raises
    ------
    TypeError, ValueError
        For a name other than "log", and for epochs that are not integers between 0 and `epochs`.
    """
    if isinstance(probe, str):
        if probe != "log":
            raise ValueError(f"probe must be 'log' or a list of epochs, got {probe!r}")
        count = int(math.log10(max(epochs, 1)) * PROBES_PER_DECADE) + 1
        found = {round(10 ** (k / PROBES_PER_DECADE)) for k in range(count)}
        return sorted({0, epochs} | {e for e in found if e <= epochs})
    several = getattr(probe, "ndim", 1) > 0 and hasattr(probe, "__iter__")
    given = as_items("probe", probe, "'log' or a list of epochs") if several else [probe]
    return sorted({0, epochs, *(as_count("probe", epoch, 0, epochs) for epoch in given)})


def as_rule(until: Any) -> tuple[str, float] | None:
    """A stopping rule as (name, value), or None.

    Raises
    ------
    ValueError
        For anything but None and the three rules.
    """
    if until is None:
        return None
    if isinstance(until, str) and until == "zero-error":
        return ("zero-error", 0.0)
    if (
        isinstance(until, tuple | list)
        and len(until) == 2
        and isinstance(until[0], str)
        and until[0] in ("loss", "slope")
    ):
        return (until[0], as_number("until", until[1], above=0))
    raise ValueError(f"until must be None, {RULES} with a value > 0, got {shown(until)}")


def stop_reason(rule: tuple[str, float] | None, rows: Sequence[Row], last: str) -> str:
    """Why the rule ends a repeat at its latest probe; "" if it does not.

    The slope is that of log10 NC1 of the layer `last` against log10 epoch, by least squares over
    the probes of the last decade: at least three, half a decade apart or more.
    """
    if rule is None or not rows:
        return ""
    name, value = rule
    now = rows[-1]
    if name == "zero-error":
        return "until: zero error" if now["accuracy"] == 1 else ""
    if name == "loss":
        return f"until: loss <= {value:g}" if now["loss"] <= value else ""
    points = [
        (math.log10(row["epoch"]), math.log10(row["nc1"]))
        for row in rows
        if row["layer"] == last
        and row["epoch"] >= max(now["epoch"] / 10, 1)
        and 0 < row["nc1"] < math.inf
    ]
    if len(points) < 3 or points[-1][0] - points[0][0] < 0.5:
        return ""
    x, y = np.array(points).T
    slope = float(np.polyfit(x, y, 1)[0])
    return f"until: |slope| <= {value:g} per decade" if abs(slope) <= value else ""
