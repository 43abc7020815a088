"""The results of the layers of a module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.metrics.exports import dataset, html_table, named, summary_text
from nc1fast.metrics.result import Collapse
from nc1fast.metrics.table import to_table
from nc1fast.support.extras import require
from nc1fast.support.plain import to_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


class LayerCollapse(dict[str, Collapse]):
    """A `Collapse` for each layer, in the order of the forward pass.

    Attributes
    ----------
    reasons : dict of str to str
        Why a layer that was called has none.
    passes : int
        Passes over the data, 1 or 2.
    memory : dict of str to int
        Bytes of the sums of each layer.
    """

    def __init__(
        self,
        results: Mapping[str, Collapse],
        reasons: Mapping[str, str],
        passes: int,
        memory: Mapping[str, int],
    ) -> None:
        super().__init__(results)
        self.reasons, self.passes, self.memory = dict(reasons), passes, dict(memory)

    def __missing__(self, name: str) -> Collapse:
        if name in self.reasons:
            raise KeyError(f"{name!r} has no result: {self.reasons[name]}")
        raise KeyError(f"{name!r} is none of {', '.join(map(repr, self)) or 'no layers'}")

    def __repr__(self) -> str:
        inside = ", ".join(f"{name!r}: nc1={result.nc1:.4g}" for name, result in self.items())
        return f"LayerCollapse({inside}; {len(self.reasons)} left out)"

    def to_table(self) -> dict[str, NDArray[Any]]:
        """The columns of `nc1fast.to_table` after one of the layers, for `pandas.DataFrame`."""
        return {"layer": np.array(list(self)), **to_table(self.values())}

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Every number and array of each layer, by name."""
        return {name: result.to_dict() for name, result in self.items()}

    def to_json(self, *, pairs: bool = True) -> str:
        """`to_dict` as one line of strict JSON, as `Collapse.to_json`."""
        return to_line({name: named(result, pairs=pairs) for name, result in self.items()})

    def to_xarray(self, *, pairs: bool = True) -> Any:
        """A dataset of xarray as of `Collapse.to_xarray` along a further axis, layer; NaN where a
        layer lacks a metric.

        Raises
        ------
        ImportError
            If xarray is missing (extra `tables`).

        Examples
        --------
        >>> found.to_xarray()["nc1_by_class"].to_pandas()    # a row for each layer, a column for
            each class
        """
        return dataset(self, pairs=pairs, layered=True)

    def to_pandas(self) -> Any:
        """`to_table` as a data frame of pandas with the layers as its index.

        Raises
        ------
        ImportError
            If pandas is missing (extra `tables`).
        """
        return require("pandas", "tables").DataFrame(self.to_table()).set_index("layer")

    def summary(self) -> str:
        """Text with a line for each layer: nc1, or why there is none."""
        return summary_text(f"{len(self)} layers, {self.passes} passes", self._lines())

    def _repr_html_(self) -> str:
        return html_table(f"{len(self)} layers, {self.passes} passes", self._lines())

    def _lines(self) -> dict[str, Any]:
        return {name: result.nc1 for name, result in self.items()} | self.reasons
