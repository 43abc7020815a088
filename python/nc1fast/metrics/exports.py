"""Results for other tools: dicts, JSON, xarray, pandas, text and HTML."""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.metrics.registry import all_metrics
from nc1fast.support.extras import require
from nc1fast.support.plain import to_line

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEAD = (  # what a result has beside metrics, sizes and labels
    *("nc1", "error_bound", "trace_within", "trace_between"),
    *("convention", "method", "reason", "standard_error", "interval"),
)
_AXES = {"nearest_center": ("sample",), "classifier_angles": ("angle",)}  # of arrays of no class
_INTERVAL = ("interval_low", "interval_high")
Axes = tuple[str, ...]


class Exports:
    """The exports of a `Collapse`."""

    def to_dict(self: Any) -> dict[str, Any]:
        """Every number and array by name, arrays as they are; what is missing is None."""
        return named(self, pairs=True)

    def to_json(self: Any, *, pairs: bool = True) -> str:
        """The same as one line of strict JSON: NaN is null, infinities are "inf" and "-inf", labels
        that are no numbers text.

        Parameters
        ----------
        pairs : bool, default True
            Whether with the tables of all pairs of classes.
        """
        return to_line(named(self, pairs=pairs))

    def to_xarray(self: Any, *, pairs: bool = True) -> Any:
        """A dataset of xarray: numbers, and arrays along the axes class, other_class, sample and
        angle.

        Parameters
        ----------
        pairs : bool, default True
            Whether with the tables of all pairs of classes, C x C numbers each.

        Returns
        -------
        xarray.Dataset
            The coordinates class and other_class are the labels; texts are attributes, and what is
            missing is left out.

        Raises
        ------
        ImportError
            If xarray is missing (extra `tables`).

        Examples
        --------
        >>> nc.collapse(X, y).to_xarray()["cdnv_by_pair"].sel({"class": 3}).to_pandas()
        """
        return dataset({"": self}, pairs=pairs, layered=False)

    def to_pandas(self: Any) -> Any:
        """A data frame of pandas with a row for each class: sizes, and all metrics that are numbers
        of a class.

        Raises
        ------
        ImportError
            If pandas is missing (extra `tables`).
        """
        pandas = require("pandas", "tables")
        values = named(self, pairs=False)
        columns = {n: value for n, value in values.items() if axes_of(n, self) == ("class",)}
        return pandas.DataFrame(columns, index=pandas.Index(self.labels, name="class"))

    def summary(self: Any) -> str:
        """Text with one line for each number."""
        return summary_text(repr(self), self._head() | self.metrics.small())

    def _repr_html_(self: Any) -> str:
        return html_table(repr(self), self._head() | self.metrics.small())

    def _head(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _HEAD}


def named(result: Any, *, pairs: bool) -> dict[str, Any]:
    """`Collapse.to_dict`, with or without the tables of pairs of classes."""
    metrics = result.metrics if pairs else result.metrics.small()
    return {**result._head(), "sizes": result.sizes, "labels": result.labels, **metrics}


def axes_of(name: str, result: Any) -> Axes | None:
    """Names of the axes of an array of a result; () for a number, None for text, labels and what is
    missing.
    """
    if name in ("labels", "interval"):
        return None
    metric = all_metrics().get(name)
    value = result.metrics[name] if metric is not None else getattr(result, name)
    if value is None or isinstance(value, str):
        return None
    if not isinstance(value, np.ndarray):
        return ()
    if metric is not None and metric.large:
        return ("class", "other_class")
    if name in _AXES:
        return _AXES[name]
    by_class = value.shape == (len(result.sizes),)  # of a plug-in: any shape
    return ("class",) if by_class else tuple(f"{name}_{k}" for k in range(value.ndim))


def dataset(results: Mapping[str, Any], *, pairs: bool, layered: bool) -> Any:
    """A dataset of xarray of results on the same classes; `layered`: along an axis layer, NaN where
    a layer lacks a metric.
    """
    xarray = require("xarray", "tables")
    values = {layer: named(result, pairs=pairs) for layer, result in results.items()}
    first = next(iter(results.values()))
    axes: dict[str, Axes] = {}
    for layer, result in results.items():
        found = {name: axes_of(name, result) for name in values[layer]}
        axes |= {name: of for name, of in found.items() if of is not None}
        if result.interval is not None:
            axes |= dict.fromkeys(_INTERVAL, ())
            values[layer] |= dict(zip(_INTERVAL, result.interval, strict=True))
    variables = {}
    for name, of in axes.items():
        stack = _stacked([one.get(name) for one in values.values()])
        variables[name] = (("layer", *of), stack) if layered else (of, stack[0])
    used = {axis for of, _ in variables.values() for axis in of}
    coordinates: dict[str, Any] = {
        axis: first.labels for axis in ("class", "other_class") if axis in used
    }
    if layered:
        coordinates["layer"] = list(results)
    texts = {name: value for name, value in values[next(iter(values))].items() if name in _HEAD}
    attributes = {name: value for name, value in texts.items() if isinstance(value, str) and value}
    return xarray.Dataset(variables, coordinates, attributes)


def _stacked(parts: list[Any]) -> Any:
    """Values of one name of all layers along a new first axis; NaN for None, and at the end of
    shorter arrays.
    """
    known = [np.asarray(part) for part in parts if part is not None]
    shape = tuple(max(sizes) for sizes in zip(*(a.shape for a in known), strict=True))
    if len(known) == len(parts) and all(a.shape == shape for a in known):
        return np.stack(known)
    out = np.full((len(parts), *shape), math.nan)
    for k, part in enumerate(parts):
        if part is not None:
            place: Any = (k, *(slice(n) for n in np.shape(part)))
            out[place] = part
    return out


def _lines(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values of what is a number or a text, and no array."""
    return [
        (name, f"{value:.6g}" if isinstance(value, int | float) else value)
        for name, value in values.items()
        if isinstance(value, int | float | str) and value != ""
    ]


def summary_text(title: str, values: Mapping[str, Any]) -> str:
    """Title, and a line for each number or text."""
    lines = _lines(values)
    width = max(len(name) for name, _ in lines)
    return "\n".join([title, *(f"  {name:<{width}}  {value}" for name, value in lines)])


def html_table(title: str, values: Mapping[str, Any]) -> str:
    """Table with a row for each number or text."""
    rows = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
        for name, value in _lines(values)
    )
    return f"<table><caption>{html.escape(title)}</caption><tbody>{rows}</tbody></table>"
