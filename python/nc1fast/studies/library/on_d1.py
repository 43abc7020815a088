"""The paper's question in every experiment: NC1 of its constructions on D1, with few features and
with many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from nc1fast import datasets
from nc1fast.studies.experiment import Part
from nc1fast.studies.fields import Count  # noqa: TC001  (pydantic reads it)
from nc1fast.studies.measures import Measure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from nc1fast.studies.measures import Setting


class OnD1(Part):
    """NC1 of each construction of an experiment on D1: two classes N(-2 1, I/4) and N(+2 1, I/4) in
    d0 dimensions.

    A subclass says what is measured, by `constructions`. The atlas puts these rows of all
    experiments side by side.
    """

    grid: ClassVar[tuple[str, ...]] = ("d0",)

    part: Literal["nc1"]
    d0: Annotated[tuple[Count, ...], Field(min_length=1)] = (1, 8, 128)
    n_samples: Count = 256
    seconds_each: ClassVar[float] = 0.05

    def seconds(self, setting: Setting) -> float:
        """A constant of the class."""
        del setting
        return self.seconds_each

    def constructions(
        self, X: NDArray[np.float64], y: NDArray[Any], random: np.random.Generator
    ) -> Iterable[tuple[str, Any]]:
        """Names of the constructions with their results, as of `nc1fast.collapse`."""
        raise NotImplementedError

    def measure(self, setting: Setting, random: np.random.Generator) -> Iterator[Measure]:
        """NC1 of each construction on one draw."""
        X, y = datasets.paper_d1(self.n_samples, int(setting["d0"]), int(random.integers(1 << 32)))
        for name, result in self.constructions(X, y, random):
            yield Measure(name, "nc1", result.nc1, result.error_bound)
