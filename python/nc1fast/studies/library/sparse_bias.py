"""sparse-bias: What does sparse activation by large biases do to the NTK, its spectrum and its
collapse?

f = m^-1/2 sum_r a_r relu(<w_r, x> - b_r), b_r = B at the start, w and b trained, a = +-1 fixed, has
the tangent kernel H(x, x') = (<x, x'> + 1) P(<w, x> >= B, <w, x'> >= B), w ~ N(0, I).

Source: Yang, Jiang, Zhang, Wang & Chi (2023), arXiv 2301.00327.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

import nc1fast as nc
from nc1fast.studies.experiment import grid, nc1_on_d1, part
from nc1fast.studies.fields import Count, Number
from nc1fast.studies.figures import palette
from nc1fast.studies.figures.looks import LOOKS, Look
from nc1fast.studies.figures.measured import Figure, Lines
from nc1fast.studies.findings import rules
from nc1fast.studies.findings.measured import claim, exact, falls, mean, rises
from nc1fast.studies.library.entry import experiment
from nc1fast.studies.measures import Measure, Setting
from nc1fast.studies.quantities import measured
from nc1fast.support.extras import require

Array = NDArray[np.float64]
Bias = Annotated[Number, Field(ge=0, le=4)]
Biases = Annotated[tuple[Bias, ...], Field(min_length=1)]
Dimension = Annotated[int, Field(ge=2)]

KERNEL, START, TRAINED, NETWORK = "H", "network, start", "network, training", "network"
FROM_OWEN = "largest difference from Owen's function"
FROM_RELU = "largest relative difference from the ReLU NTK"
SMALLEST, CONDITION = "smallest eigenvalue", "condition number"
DEVIATION = "Frobenius deviation of a network, relative"
SHARE, LOSS = "active share", "loss over its bound"
BIASES = (0.0, 0.5, 1.0, 1.5)


# What is measured


def limit(activation: Any, n_features: int, variance: float | None = None) -> nc.NTK:
    """H, of an activation, of rows of so many features; the weights have variance 1 by default, so
    that w ~ N(0, I), and otherwise `variance`/d0.
    """
    return nc.NTK(
        activation,
        weight_variance=(float(n_features) if variance is None else variance, 1.0),
        parametrization="standard",
        width=1,  # of the readout, which is fixed
        train_readout=False,
    )


def network(
    bias: float, n_features: int, width: int, seed: int, variance: float | None = None
) -> Any:
    """A network with that limit, its readout +-m^-1/2 with random signs."""
    import torch

    drawn = nc.networks.ShallowNetwork(
        nc.ShiftedReLU(bias),
        n_features,
        width=width,
        weight_variance=(float(n_features) if variance is None else variance, 1.0),
        train_readout=False,
        seed=seed,
    )
    with torch.no_grad():
        drawn.output.weight.copy_(drawn.output.weight.sign() / math.sqrt(width))
    return drawn


def active(drawn: Any, rows: Any) -> float:
    """Share of pairs of a hidden unit and a row at which the unit is above its threshold."""
    import torch

    with torch.no_grad():
        return float((drawn.post1(drawn.pre1(rows)) > 0).double().mean())


def descend(drawn: Any, rows: Any, targets: Any, lr: float, steps: int) -> Iterator[float]:
    """Train in place by full-batch gradient descent on the mean squared error; its value before
    each step.
    """
    import torch

    optimizer = torch.optim.SGD([p for p in drawn.parameters() if p.requires_grad], lr=lr)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(drawn(rows), targets)
        loss.backward()
        yield float(loss.detach())
        optimizer.step()


def unit_rows(random: np.random.Generator, n: int, d: int) -> Array:
    """Rows drawn evenly from the sphere."""
    X = random.normal(size=(n, d))
    return np.asarray(X / np.linalg.norm(X, axis=1, keepdims=True))


def by_owen(X: Array, bias: float) -> Array:
    """H of unit rows by Owen's T, P = Q(B) - 2 T(B, sqrt((1 - r)/(1 + r))), the diagonal by r =
    1.
    """
    special, r = require("scipy.special", "study"), np.clip(X @ X.T, -1, 1)
    np.fill_diagonal(r, 1.0)
    with np.errstate(divide="ignore"):  # opposite rows, at infinity
        owen = special.owens_t(bias, np.sqrt((1 - r) / (1 + r)))
    return np.asarray((r + 1) * (special.ndtr(-bias) - 2 * owen))


@part("spectra", seconds=lambda p: 0.01 + 4e-9 * len(p.biases) * p.n_samples**3)
def spectra(
    random: np.random.Generator,
    *,
    d: Dimension = grid(16),
    n_samples: Count = 200,
    biases: Biases = BIASES,
) -> Iterator[Measure]:
    """H of random unit rows at each bias, on the same rows: against Owen's function, and its
    eigenvalues.
    """
    X = unit_rows(random, n_samples, d)
    for bias in biases:
        at, H = {"bias": bias}, limit(nc.ShiftedReLU(bias), d)(X)
        yield Measure(KERNEL, FROM_OWEN, float(np.abs(H - by_owen(X, bias)).max()), at=at)
        if bias == 0:
            relu = limit("relu", d)(X)
            difference = np.abs(H - relu).max() / np.abs(relu).max()
            yield Measure(KERNEL, FROM_RELU, float(difference), at=at)
        eigenvalues = np.linalg.eigvalsh(H)
        rounding = len(X) * np.finfo(float).eps * eigenvalues[-1]
        yield Measure(KERNEL, SMALLEST, float(eigenvalues[0]), float(rounding), at)
        yield Measure(KERNEL, CONDITION, float(eigenvalues[-1] / eigenvalues[0]), at=at)


@part("widths", seconds=lambda p: 0.02 + 1e-7 * p.width * p.n_samples, libraries=("torch",))
def wide_networks(
    random: np.random.Generator,
    *,
    bias: Bias = grid(*BIASES),
    d: Count = 16,
    n_samples: Count = 12,
    width: Count = 400000,
) -> Iterator[Measure]:
    """The tangent kernel of one wide network beside H on a few random unit rows, |H_m -
    H|_F/|H|_F.
    """
    X = unit_rows(random, n_samples, d)
    drawn = network(bias, d, width, int(random.integers(1 << 32)))
    H = limit(nc.ShiftedReLU(bias), d)(X)
    difference = nc.networks.empirical_ntk(drawn, X) - H
    yield Measure(NETWORK, DEVIATION, float(np.linalg.norm(difference) / np.linalg.norm(H)))


@part(
    "descents",
    seconds=lambda p: 0.02 + 2e-8 * p.steps * p.width * p.n_samples,
    libraries=("torch",),
)
def descents(
    random: np.random.Generator,
    *,
    bias: Bias = grid(*BIASES),
    d: Count = 16,
    n_samples: Count = 64,
    width: Count = 2048,
    steps: Count = 200,
) -> Iterator[Measure]:
    """Gradient descent on random labels of random unit rows with the step 1/largest eigenvalue of
    H: the largest of ten active shares, and the loss after T steps over (1 - eta lambda_min/2)^T
    times that at the start.
    """
    import torch

    X = unit_rows(random, n_samples, d)
    targets = torch.from_numpy(random.choice([-1.0, 1.0], size=(n_samples, 1)))
    drawn = network(bias, d, width, int(random.integers(1 << 32)))
    eigenvalues = np.linalg.eigvalsh(limit(nc.ShiftedReLU(bias), d)(X))
    rows, lr = torch.from_numpy(X), n_samples / (2 * eigenvalues[-1])
    yield Measure(START, SHARE, active(drawn, rows))
    largest, losses = 0.0, []
    for step, loss in enumerate(descend(drawn, rows, targets, lr, steps + 1)):
        losses.append(loss)
        if step % max(1, steps // 10) == 0:
            largest = max(largest, active(drawn, rows))
    yield Measure(TRAINED, SHARE, largest)
    bound = (1 - eigenvalues[0] / eigenvalues[-1] / 2) ** steps
    yield Measure(TRAINED, LOSS, losses[-1] / losses[0] / bound)


@part("collapses", seconds=lambda p: 0.01 + 3e-8 * len(p.biases) * p.n_samples**2)
def collapses(
    random: np.random.Generator,
    *,
    d: Dimension = grid(4, 16, 64),
    n_samples: Count = 400,
    biases: Biases = BIASES,
) -> Iterator[Measure]:
    """NC1 of H against the bias, on the same rows: two Gaussian classes around +-(1, ..., 1),
    projected onto the sphere.
    """
    sizes, seed = [n_samples // 2, n_samples - n_samples // 2], int(random.integers(1 << 32))
    X, y = nc.datasets.gaussian_mixture([-1.0, 1.0], 1.0, sizes, d, seed)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    kernels = [limit(nc.ShiftedReLU(bias), d) for bias in biases]
    results = nc.collapse(X, y, kernels, convention="papyan")
    for bias, result in zip(biases, results, strict=True):
        yield Measure(KERNEL, "nc1", result.nc1, result.error_bound, {"bias": bias})


@nc1_on_d1(seconds=0.5, libraries=("torch",))
def constructions_on_d1(
    X: Array, y: NDArray[Any], random: np.random.Generator
) -> Iterator[tuple[str, Any]]:
    """H at three biases, weights N(0, 1/d0), and the 512 hidden units of a network with B = 1
    before and after 100 steps of gradient descent.
    """
    import torch

    d0 = X.shape[1]
    kernels = {f"H, B = {b:g}": limit(nc.ShiftedReLU(b), d0, 1.0) for b in (0.0, 1.0, 2.0)}
    results = nc.collapse(X, y, list(kernels.values()), convention="papyan")
    yield from zip(kernels, results, strict=True)
    drawn = network(1.0, d0, 512, int(random.integers(1 << 32)), 1.0)
    rows, targets = torch.from_numpy(X), torch.from_numpy(2.0 * (y == y.max()) - 1)[:, None]
    lr = len(X) / (2 * np.linalg.eigvalsh(kernels["H, B = 1"](X))[-1])
    for state, steps in (("start", 0), ("end", 100)):
        for _ in descend(drawn, rows, targets, lr, steps):
            pass
        with torch.no_grad():
            hidden = drawn.post1(drawn.pre1(rows)).numpy()
        yield f"network, B = 1, {state}", nc.collapse(hidden, y, convention="papyan")


# What is claimed

TOLERANCE = 1 + rules.TOLERANCE
# Means over draws of 200 unit rows in 16 dimensions, from another implementation, by Owen's
# function.
KNOWN = {0.0: 0.137, 0.5: 0.122, 1.0: 0.087, 1.5: 0.049}
smallest, condition = measured(SMALLEST), measured(CONDITION)
started, trained = measured(SHARE, START), measured(SHARE, TRAINED)
nc1 = measured("nc1", KERNEL, part="collapses")


def over_tail(at: Setting) -> float:
    """1/Q(B), Q the probability of a normal number above B."""
    return 2 / math.erfc(float(at["bias"]) / math.sqrt(2))


CLAIMS = (
    claim(
        "SB1. The NTK is an orthant probability",
        "On unit rows H(x, x') = (<x, x'> + 1) P(<w, x> >= B, <w, x'> >= B), P = Q(B) - 2 T(B, "
        "sqrt((1 - r)/(1 + r))) with w ~ N(0, I), r = <x, x'>, Q = 1 - Phi and Owen's T, to 1e-10.",
        exact("difference", measured(FROM_OWEN), high=1e-10, digits=1),
    ),
    claim(
        "SB2. Without a bias it is the ReLU's",
        "At B = 0 H is the NTK of a ReLU layer with trained biases and a fixed readout, to 1e-12.",
        exact("relative difference", measured(FROM_RELU), high=1e-12, digits=1),
    ),
    claim(
        "SB3. Wide networks have this NTK",
        "The tangent kernel of a wide network with biases B, trained biases and a fixed readout is "
        "H: in the mean over networks |H_m - H|_F/|H|_F is at most 1 %.",
        mean("mean deviation", measured(DEVIATION), high=0.01),
    ),
    claim(
        "SB4. Positive, smaller, better conditioned",
        "The smallest eigenvalue of H is positive and falls as B grows, but more slowly than the "
        "largest one: the condition number falls as well.",
        exact("smallest eigenvalue", smallest, low=0.0, digits=3),
        falls("fall to the next B", smallest, "bias"),
        falls("fall of the condition number", condition, "bias"),
    ),
    claim(
        "SB5. The smallest eigenvalues",
        "The smallest eigenvalue of 200 random unit rows in 16 dimensions is "
        f"{', '.join(f'{v:g} at B = {b:g}' for b, v in KNOWN.items())} within 10 %, numbers of "
        "another implementation.",
        mean(
            "ratio",
            smallest.at(d=16, bias=tuple(KNOWN)).times(lambda at: 1 / KNOWN[float(at["bias"])]),
            0.9,
            1.1,
        ),
    ),
    claim(
        "SB6. Biases make activation sparse",
        "At the start a unit is active on a unit row with probability Q(B): the share is Q(B) "
        f"within {rules.TOLERANCE:.0%}.",
        mean("share/Q(B)", started.times(over_tail), 1 / TOLERANCE, TOLERANCE),
    ),
    claim(
        "SB7. It stays sparse in training",
        "Activation stays sparse throughout training: at no time is the share above exp(-B^2/2).",
        mean(
            "share over exp(-B²/2)",
            trained.times(lambda at: math.exp(float(at["bias"]) ** 2 / 2)),
            high=1.0,
        ),
    ),
    claim(
        "SB8. Linear convergence",
        "Gradient descent converges linearly at the rate of H: after T steps the loss is at most "
        "(1 - eta lambda_min/2)^T of that at the start.",
        mean("loss over the bound", measured(LOSS), high=1.0),
    ),
    claim(
        "SB9. NC1 rises with the bias",
        "NC1 of H rises with B: the sparser the activation, the less collapsed is the NTK.",
        rises("NC1 less that at the next smaller B", nc1, "bias"),
    ),
)

# What is drawn

TRAINING = Look("network, largest in training", palette.NETWORK, "D", rank=1)

FIGURES = (
    Figure(
        "spectrum",
        "Sparsity and the spectrum of the NTK against the bias. Share of pairs of a unit and a row "
        "at which the unit is active, at the start and at its largest in training; eigenvalues of "
        "H of random unit rows.",
        x="bias",
        x_name="B: bias at the start",
        y_name="",
        lines={
            SHARE: (
                Lines(started, look=LOOKS["network", "start"]),
                Lines(trained, look=TRAINING),
            ),
            f"{SMALLEST} of H": (Lines(smallest, "d", "d = {}"),),
            f"{CONDITION} of H": (Lines(condition, "d", "d = {}"),),
        },
        axis="linear",
        height=2.2,
        stacked=True,
    ),
    Figure(
        "nc1",
        "NC1 of the NTK against the bias. Two Gaussian classes around opposite means, projected "
        "onto the sphere of d dimensions.",
        x="bias",
        x_name="B: bias at the start",
        y_name="NC1",
        lines={"two classes on the sphere": (Lines(nc1, "d", "d = {}"),)},
        axis="linear",
    ),
)

STUDY = experiment(
    __doc__,
    title="Sparse activation by large biases: the bias-generalised NTK, arXiv 2301.00327",
    parts=(spectra, wide_networks, descents, collapses, constructions_on_d1),
    presets={
        "quick": """
repeats: 6
parts:
  - {part: spectra}
  - {part: widths}
  - {part: descents, repeats: 6}
  - {part: collapses}
  - {part: nc1, repeats: 3}
""",
        "full": """
repeats: 20
parts:
  - {part: spectra, d: [8, 16, 64], biases: [0, 0.5, 1, 1.5, 2]}
  - {part: widths, repeats: 10}
  - {part: descents, width: 8192, n_samples: 128, steps: 500, repeats: 10}
  - {part: collapses, n_samples: 800, biases: [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2]}
  - {part: nc1, repeats: 10}
""",
    },
    claims=CLAIMS,
    figures=FIGURES,
)
