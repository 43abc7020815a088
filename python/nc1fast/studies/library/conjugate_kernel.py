"""conjugate-kernel: Can the conjugate kernel of a trained network stand in for its NTK, and for the
network?

Ridge regression with the conjugate kernel (CK), the Gram matrix of the last hidden features, and
with the neural tangent kernel (NTK), that of the gradients by all parameters, of networks with two
hidden layers, beside these networks; targets are functions of one variable on [-1, 1].

Source: Qadeer et al. (2023), arXiv 2310.18612.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

import nc1fast as nc
from nc1fast.studies.experiment import grid, nc1_on_d1, part
from nc1fast.studies.fields import Count, Positive
from nc1fast.studies.figures import palette
from nc1fast.studies.figures.looks import Look
from nc1fast.studies.figures.measured import Figure, Lines
from nc1fast.studies.findings.measured import claim, exact, geometric
from nc1fast.studies.library.entry import experiment
from nc1fast.studies.measures import Measure
from nc1fast.studies.quantities import Quantity, measured

Array = NDArray[np.float64]

NETWORK, CK, NTK = "network", "CK", "NTK"
ERROR, TRAINING = "relative test error", "relative training error"
DIMENSION = "effective dimension"
GRAM = "relative distance of the NTK from the Gram matrix of gradients by autograd"
RIDGE = 1e-10  # of the claims, in units of the mean diagonal

DAMPED, ABSOLUTE, STEEP = "damped cosine", "absolute value", "steep tanh"
TARGETS: dict[str, Any] = {
    DAMPED: lambda x: np.asarray(0.1 * np.exp(-3 * x) * np.cos(6 * x)),
    ABSOLUTE: np.abs,
    STEEP: lambda x: np.asarray(np.tanh(20 * x)),
}
FORMULAS = {DAMPED: ".1 exp(-3x) cos 6x", ABSOLUTE: "|x|", STEEP: "tanh 20x"}
SMOOTH = (DAMPED, STEEP)
# Variance of weights times fan-in, variance of biases, and whether that is over fan-in as well. The
# paper's law is not known here: the first is the default because of the three it is nearest to
# earlier medians; the full preset has all.
INITIAL = {
    "LeCun": (1.0, 1 / 3, False),
    "LeCun/3": (1 / 3, 1 / 3, False),
    "torch": (1 / 3, 1 / 3, True),
}


# What is measured


def drawn(
    activation: str, n_features: int, width: int, seed: int, initial: str = "LeCun"
) -> nc.networks.ShallowNetwork:
    """A network with two hidden layers, its weights and biases drawn with variances of
    `INITIAL`.
    """
    weights, biases, of_fan_in = INITIAL[initial]
    fans = (n_features, width, width)
    return nc.networks.ShallowNetwork(
        activation,
        n_features,
        depth=3,
        width=width,
        weight_variance=weights,
        bias_variance=[biases / fan_in if of_fan_in else biases for fan_in in fans],
        seed=seed,
    )


def gradients(network: Any, X: Array) -> Array:
    """Gradients of the output by all parameters, (n, P), row by row by autograd."""
    import torch

    parameters = list(network.parameters())
    found = []
    for x in torch.from_numpy(X):
        parts = torch.autograd.grad(network(x[None])[0, 0], parameters)
        found.append(torch.cat([g.ravel() for g in parts]).numpy())
    return np.stack(found)


@dataclass(frozen=True)
class Fit:
    """Ridge regression f(z) = K(z, X) (K + ridge d I)^-1 y on a stored Gram matrix, d the mean of
    its diagonal, from its eigenvalues (n,) and eigenvectors (n, n).

    Accuracy: errors of eigenvalues are some u n d, u = 1.1e-16: for n = 64 and a ridge of 1e-10,
    less than 1e-4 of the ridge.
    """

    values: Array
    vectors: Array

    @classmethod
    def of(cls, K: Array) -> Fit:
        """The decomposition, which serves every ridge; eigenvalues below 0 are rounding."""
        values, vectors = np.linalg.eigh(K)
        return cls(np.maximum(values, 0.0), vectors)

    def _shifted(self, ridge: float) -> Array:
        return np.asarray(self.values + ridge * self.values.mean())  # the trace is that of K

    def dual(self, y: Array, ridge: float) -> Array:
        """The coefficients (K + ridge d I)^-1 y."""
        return np.asarray(self.vectors @ (self.vectors.T @ y / self._shifted(ridge)))

    def dimension(self, ridge: float) -> float:
        """The effective dimension Tr K (K + ridge d I)^-1."""
        return float((self.values / self._shifted(ridge)).sum())


@dataclass(frozen=True)
class SampledFunction:
    """A function at n evenly spaced points X (n, 1) of [-1, 1], and at 1,001 others Z."""

    X: Array
    y: Array
    Z: Array
    truth: Array

    @classmethod
    def of(cls, target: str, n: int) -> SampledFunction:
        """The target of that name."""
        X, Z = (np.linspace(-1, 1, k)[:, None] for k in (n, 1001))
        f = TARGETS[target]
        return cls(X, f(X[:, 0]), Z, f(Z[:, 0]))

    def trained(self, network: Any, steps: int, rate: float) -> Any:
        """The network after steps of Adam with all points; itself after none."""
        if not steps:
            return network
        trace = nc.networks.train(
            network,
            self.X,
            self.y > np.median(self.y),  # classes of the probe, which nobody reads
            targets=self.y,
            optimizer="adam",
            lr=rate,
            epochs=steps,
            probe=[steps],
        )
        return trace.networks[0]

    def error(self, predicted: Array) -> float:
        """|f - f*|/|f*| over the other points."""
        return float(np.linalg.norm(predicted - self.truth) / np.linalg.norm(self.truth))


def outputs(network: Any, X: Array) -> Array:
    """The outputs at rows, (n,)."""
    import torch

    with torch.no_grad():
        return np.asarray(network(torch.from_numpy(X))[:, 0].numpy())


@part(
    "regression",
    seconds=lambda p: 0.1 + p.steps * (5.4e-4 + 2.7e-8 * p.width * (p.width + p.n_samples)),
    libraries=("torch",),
)
def regression(
    random: np.random.Generator,
    *,
    target: Literal["damped cosine", "absolute value", "steep tanh"] = grid(*TARGETS),
    activation: Literal["tanh", "relu"] = grid("tanh"),
    initial: Literal["LeCun", "LeCun/3", "torch"] = grid("LeCun"),
    width: Count = grid(64),
    steps: Annotated[int, Field(ge=0)] = grid(6000),
    n_samples: Annotated[int, Field(ge=4)] = 64,
    rate: Positive = 1e-3,
    ridges: Annotated[tuple[Positive, ...], Field(min_length=1)] = (RIDGE, 1e-8, 1e-6, 1e-4),
) -> Iterator[Measure]:
    """Errors of a network after steps of Adam, and of both its kernels along the ridges."""
    task = SampledFunction.of(target, n_samples)
    network = drawn(activation, 1, width, int(random.integers(1 << 32)), initial)
    network = task.trained(network, steps, rate)
    yield Measure(NETWORK, ERROR, task.error(outputs(network, task.Z)))
    missed = np.linalg.norm(outputs(network, task.X) - task.y) / np.linalg.norm(task.y)
    yield Measure(NETWORK, TRAINING, float(missed))
    J = gradients(network, task.X)
    for thing, kernel in ((CK, nc.networks.conjugate_kernel), (NTK, nc.networks.empirical_ntk)):
        K, across = kernel(network, task.X), kernel(network, task.Z, task.X)
        if thing == NTK:
            yield Measure(NTK, GRAM, float(np.linalg.norm(K - J @ J.T) / np.linalg.norm(K)))
        fit = Fit.of(K)
        for ridge in ridges:
            error = task.error(across @ fit.dual(task.y, ridge))
            yield Measure(thing, ERROR, error, at={"ridge": ridge})
            yield Measure(thing, DIMENSION, fit.dimension(ridge), at={"ridge": ridge})


@nc1_on_d1(seconds=0.5, libraries=("torch",))
def constructions_on_d1(
    X: Array, y: NDArray[Any], random: np.random.Generator
) -> Iterator[tuple[str, Any]]:
    """The two limits, and CK and NTK of a tanh network with two hidden layers of 64 units before
    and after 200 steps of Adam.
    """
    network = drawn("tanh", X.shape[1], 64, int(random.integers(1 << 32)))
    for kernel in (network.nngp(), network.ntk()):
        yield f"tanh {kernel.name}", nc.collapse(X, y, kernel, convention="papyan")
    trace = nc.networks.train(network, X, y, optimizer="adam", lr=1e-3, epochs=200, probe=[200])
    for when, some in (("start", network), ("end", trace.networks[0])):
        for name, of in ((CK, nc.networks.conjugate_kernel), (NTK, nc.networks.empirical_ntk)):
            result = nc.collapse(of(some, X), y, "precomputed", convention="papyan")
            yield f"tanh network 64-64, {name}, {when}", result


# What is claimed


def error_of(thing: str, activation: str, steps: int | None = None) -> Quantity:
    """Test errors of one thing, of kernels with the ridge of the claims; by default after the most
    steps that were taken.
    """
    query = measured(ERROR, thing, activation=activation)
    query = query if thing == NETWORK else query.at(ridge=RIDGE)
    return query.of_largest("steps", measured(ERROR)) if steps is None else query.at(steps=steps)


tanh = {thing: error_of(thing, "tanh") for thing in (NETWORK, CK, NTK)}
relu = {thing: error_of(thing, "relu") for thing in (NETWORK, CK, NTK)}
start = {thing: error_of(thing, "tanh", steps=0) for thing in (CK, NTK)}
tanh_over_relu = {thing: tanh[thing].over(relu[thing], "activation") for thing in (CK, NTK)}

CLAIMS = (
    claim(
        "CK1. The NTK is the Gram matrix of the gradients",
        "The NTK of a network, computed without gradients by parameters, is the Gram matrix of "
        "those of autograd, to 1e-10.",
        exact("relative distance", measured(GRAM), high=1e-10, digits=1),
    ),
    claim(
        "CK2. Kernels of a trained network predict better than the network",
        "Ridge regression with CK, and with NTK, of a trained tanh network has a smaller test "
        "error than the network, on each target.",
        *(
            geometric(
                f"error of {thing} over that of the network",
                tanh[thing].over(tanh[NETWORK], "ridge"),
                high=1.0,
                digits=2,
            )
            for thing in (CK, NTK)
        ),
    ),
    claim(
        "CK3. On smooth functions CK is marginally worse than NTK",
        "On smooth targets the test error of CK is at most 10 times that of NTK, of tanh networks.",
        geometric(
            "error of CK over that of NTK", tanh[CK].over(tanh[NTK]).at(target=SMOOTH), high=10.0
        ),
    ),
    claim(
        "CK4. In certain cases CK is superior",
        "Of ReLU networks, whose features are continuous and whose gradients jump, CK has a "
        "smaller test error than NTK.",
        geometric("error of CK over that of NTK", relu[CK].over(relu[NTK]), high=1.0),
    ),
    claim(
        "CK5. The regularity of the kernel decides",
        "On smooth targets CK and NTK of tanh networks have smaller test errors than those of ReLU "
        "networks.",
        *(
            geometric(
                f"error of tanh over that of ReLU, {thing}", ratio.at(target=SMOOTH), high=1.0
            )
            for thing, ratio in tanh_over_relu.items()
        ),
    ),
    claim(
        "CK6. Training makes the kernels",
        "On each target CK and NTK of trained tanh networks have smaller test errors than those of "
        "networks as they are drawn (ours).",
        *(
            geometric(
                f"error of {thing} after training over that before",
                tanh[thing].over(start[thing], "steps"),
                high=1.0,
                digits=2,
            )
            for thing in (CK, NTK)
        ),
    ),
)

# What is drawn

LOOKS = {
    NETWORK: Look(NETWORK, palette.NETWORK, "D", "--"),
    CK: Look(CK, palette.NNGP, "o"),
    NTK: Look(NTK, palette.OWN_NTK, "s"),
}


def by_target(name: str, caption: str, x: str, axis: str, steps: bool) -> Figure:
    """A panel for each target, of the initial variances and the width that come first."""

    def shown(thing: str) -> Quantity:
        query = measured(ERROR, thing).of_first("initial", "width", of=measured(ERROR))
        if not steps:
            return query.of_largest("steps", measured(ERROR))
        return query if thing == NETWORK else query.at(ridge=RIDGE)

    return Figure(
        name,
        caption,
        x=x,
        y_name=ERROR,
        lines=[Lines(shown(thing), look=look) for thing, look in LOOKS.items()],
        columns="target",
        rows="activation",
        title_of=FORMULAS,
        axis=axis,
        height=3.0,
    )


FIGURES = (
    by_target(
        "ridges",
        "Ridge regression with the kernels of trained networks. |f - f*|/|f*| over [-1, 1]; ridges "
        "in units of the mean diagonal of the kernel; the network has none.",
        "ridge",
        "log10",
        steps=False,
    ),
    by_target(
        "training",
        f"Networks and their kernels in training. |f - f*|/|f*| over [-1, 1] after steps of Adam; "
        f"ridge {RIDGE:g} of the mean diagonal.",
        "steps",
        "names",
        steps=True,
    ),
)

STUDY = experiment(
    __doc__,
    title="Conjugate kernels in the place of networks, after arXiv 2310.18612",
    parts=(regression, constructions_on_d1),
    presets={
        "quick": """
repeats: 2
parts:
  - {part: regression}
  - {part: regression, steps: [0, 60]}
  - {part: regression, target: [damped cosine], activation: [relu], repeats: 1}
  - {part: nc1}
""",
        "full": """
repeats: 20
parts:
  - {part: regression}
  - {part: regression, initial: [LeCun/3, torch], repeats: 6}
  - {part: regression, activation: [relu], repeats: 8}
  - {part: regression, steps: [0, 60, 600], repeats: 10}
  - {part: nc1, repeats: 10}
""",
    },
    claims=CLAIMS,
    figures=FIGURES,
)
