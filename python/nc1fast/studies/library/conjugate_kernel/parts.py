"""Ridge regression with the conjugate kernel (CK) and the neural tangent kernel (NTK) of trained
networks, beside these networks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

import nc1fast as nc
from nc1fast.studies.experiment import Part
from nc1fast.studies.fields import Count, Positive
from nc1fast.studies.library import on_d1
from nc1fast.studies.library.conjugate_kernel.regression import (
    Fit,
    SampledFunction,
    drawn,
    gradients,
)
from nc1fast.studies.measures import Measure
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from nc1fast.studies.measures import Setting

    Array = NDArray[np.float64]

NETWORK, CK, NTK = "network", "CK", "NTK"
ERROR, TRAINING = "relative test error", "relative training error"
DIMENSION = "effective dimension"
GRAM = "relative distance of the NTK from the Gram matrix of gradients by autograd"
RIDGE = 1e-10  # of the claims, in units of the mean diagonal
_D1_WIDTH, _D1_STEPS, _D1_RATE = 64, 200, 1e-3

Several = Annotated[tuple[Count, ...], Field(min_length=1)]


class Surrogates(Part):
    """Networks with two hidden layers, trained on a function of one variable by Adam, and ridge
    regression with their kernels.

    CK is the Gram matrix of the last hidden features, NTK that of the gradients by all parameters,
    both after `steps` steps. Weights have the variance 1/fan_in and biases 1/3 at the start
    ("LeCun"), or 1/(3 fan_in) and 1/3 ("LeCun/3"), or both 1/(3 fan_in) ("torch").
    """

    grid: ClassVar[tuple[str, ...]] = ("target", "activation", "initial", "width", "steps")
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    part: Literal["regression"]
    target: Annotated[
        tuple[Literal["damped cosine", "absolute value", "steep tanh"], ...], Field(min_length=1)
    ] = ("damped cosine", "absolute value", "steep tanh")
    activation: Annotated[tuple[Literal["tanh", "relu"], ...], Field(min_length=1)] = ("tanh",)
    initial: Annotated[tuple[Literal["LeCun", "LeCun/3", "torch"], ...], Field(min_length=1)] = (
        "LeCun",
    )
    width: Several = (64,)
    steps: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = (6000,)
    n_samples: Annotated[int, Field(ge=4)] = 64
    rate: Positive = 1e-3
    ridges: Annotated[tuple[Positive, ...], Field(min_length=1)] = (RIDGE, 1e-8, 1e-6, 1e-4)

    def seconds(self, setting: Setting) -> float:
        """Of the steps, most of it."""
        width = int(setting["width"])
        return 0.1 + int(setting["steps"]) * (5.4e-4 + 2.7e-8 * width * (width + self.n_samples))

    def measure(self, setting: Setting, random: np.random.Generator) -> Iterator[Measure]:
        """Errors of the network, and of both kernels along the ridges."""
        task = SampledFunction.of(str(setting["target"]), self.n_samples)
        network = drawn(
            str(setting["activation"]),
            1,
            int(setting["width"]),
            int(random.integers(1 << 32)),
            str(setting["initial"]),
        )
        network = task.trained(network, int(setting["steps"]), self.rate)
        yield Measure(NETWORK, ERROR, task.error(_outputs(network, task.Z)))
        missed = np.linalg.norm(_outputs(network, task.X) - task.y) / np.linalg.norm(task.y)
        yield Measure(NETWORK, TRAINING, float(missed))
        J = gradients(network, task.X)
        for thing, kernel in (
            (CK, nc.networks.conjugate_kernel),
            (NTK, nc.networks.empirical_ntk),
        ):
            K, across = kernel(network, task.X), kernel(network, task.Z, task.X)
            if thing == NTK:
                yield Measure(NTK, GRAM, float(np.linalg.norm(K - J @ J.T) / np.linalg.norm(K)))
            fit = Fit.of(K)
            for ridge in self.ridges:
                at = {"ridge": ridge}
                error = task.error(across @ fit.dual(task.y, ridge))
                yield Measure(thing, ERROR, error, at=at)
                yield Measure(thing, DIMENSION, fit.dimension(ridge), at=at)


class ConjugateOnD1(on_d1.OnD1):
    """CK and NTK of a tanh network, infinitely wide, at the start and after its training."""

    libraries: ClassVar[tuple[str, ...]] = ("torch",)
    seconds_each: ClassVar[float] = 0.5

    def constructions(
        self, X: Array, y: NDArray[Any], random: np.random.Generator
    ) -> Iterator[tuple[str, Any]]:
        """The two limits, and a network with two hidden layers of 64 units before and after 200
        steps of Adam.
        """
        network = drawn("tanh", X.shape[1], _D1_WIDTH, int(random.integers(1 << 32)))
        for kernel in (network.nngp(), network.ntk()):
            yield f"tanh {kernel.name}", nc.collapse(X, y, kernel, convention="papyan")
        trace = nc.networks.train(
            network, X, y, optimizer="adam", lr=_D1_RATE, epochs=_D1_STEPS, probe=[_D1_STEPS]
        )
        for when, some in (("start", network), ("end", trace.networks[0])):
            for name, of in ((CK, nc.networks.conjugate_kernel), (NTK, nc.networks.empirical_ntk)):
                result = nc.collapse(of(some, X), y, "precomputed", convention="papyan")
                yield f"tanh network 64-64, {name}, {when}", result


def _outputs(network: Any, X: Array) -> Array:
    torch: Any = require("torch", "torch")
    with torch.no_grad():
        return np.asarray(network(torch.from_numpy(X))[:, 0].numpy())
