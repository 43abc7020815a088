"""K(s) = (1 - s) NTK + s NNGP: NC1 along s from one pass, and from a Gram matrix that is mixed and
stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

import nc1fast as nc
from nc1fast.studies.experiment import Part
from nc1fast.studies.fields import Count, Number  # noqa: TC001  (pydantic reads it)
from nc1fast.studies.library import on_d1
from nc1fast.studies.measures import Measure

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from nc1fast.studies.measures import Setting

CURVE, STORED = "K(s), from one pass", "K(s), stored"


class Mixtures(Part):
    """The curve NC1(s) of one draw of D1.

    Traces are linear in the kernel, NC1(s) = ((1 - s) W_NTK + s W_NNGP) / ((1 - s) B_NTK + s
    B_NNGP), and the curve follows from the sums of its two ends (`nc1fast.blend`).
    """

    grid: ClassVar[tuple[str, ...]] = ("activation", "depth", "d0")

    part: Literal["mixtures"]
    activation: Annotated[tuple[str, ...], Field(min_length=1)] = ("relu", "erf")
    depth: Annotated[tuple[Annotated[int, Field(ge=2)], ...], Field(min_length=1)] = (2,)
    d0: Annotated[tuple[Count, ...], Field(min_length=1)] = (1, 8, 128)
    n_samples: Count = 128
    shares: Annotated[tuple[Annotated[Number, Field(ge=0, le=1)], ...], Field(min_length=2)]

    def seconds(self, setting: Setting) -> float:
        """Most of it for stored Gram matrices."""
        del setting
        return 0.02 + len(self.shares) * 1e-7 * self.n_samples**2

    def measure(self, setting: Setting, random: np.random.Generator) -> Iterator[Measure]:
        """NC1 at each share of the NNGP, both ways."""
        activation, depth = str(setting["activation"]), int(setting["depth"])
        X, y = nc.datasets.paper_d1(
            self.n_samples, int(setting["d0"]), int(random.integers(1 << 32))
        )
        kernels = [nc.NTK(activation, depth), nc.NNGP(activation, depth)]
        ends = nc.collapse(X, y, kernels, convention="papyan")
        tangent, conjugate = (kernel(X) for kernel in kernels)
        for s in self.shares:
            mixed = nc.blend(ends, [1 - s, s])
            stored = nc.collapse(
                (1 - s) * tangent + s * conjugate, y, "precomputed", convention="papyan"
            )
            for thing, result in ((CURVE, mixed), (STORED, stored)):
                yield Measure(thing, "nc1", result.nc1, result.error_bound, {"s": s})
        for kernel, result in zip(kernels, ends, strict=True):
            yield Measure(kernel.name, "nc1", result.nc1, result.error_bound)


class FamilyOnD1(on_d1.OnD1):
    """Both ends and the middle."""

    def constructions(
        self, X: NDArray[np.float64], y: NDArray[Any], random: np.random.Generator
    ) -> Iterator[tuple[str, Any]]:
        """NTK, K(1/2) and NNGP of a ReLU network with one hidden layer."""
        del random
        ends = nc.collapse(X, y, [nc.NTK("relu"), nc.NNGP("relu")], convention="papyan")
        yield "ReLU NTK", ends[0]
        yield "ReLU K(1/2)", nc.blend(ends, [0.5, 0.5])
        yield "ReLU NNGP", ends[1]
