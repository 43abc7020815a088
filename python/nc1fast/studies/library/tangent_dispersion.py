"""tangent-dispersion: When may the tangent kernel of a finite network be taken for its limit?

Dispersion of the tangent kernel over initialisations, its drift during training, and the spread of
its NC1. ReLU networks of depth L and width n in the NTK parametrization, biases of variance sb2
trained. For sw2 < 2 they are in the ordered phase, where gradients vanish, for sw2 > 2 in the
chaotic one, where they explode; sw2 = 2 is the edge of chaos.

Source: Seleznova & Kutyniok (2021), arXiv 2012.04477.
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
from nc1fast.studies.fields import Count, Positive, Variance
from nc1fast.studies.figures import palette
from nc1fast.studies.figures.looks import Look
from nc1fast.studies.figures.measured import Figure, Lines
from nc1fast.studies.findings.measured import claim, exact, mean
from nc1fast.studies.library.entry import experiment
from nc1fast.studies.measures import Measure, Setting
from nc1fast.studies.quantities import measured

Array = NDArray[np.float64]
Depth = Annotated[int, Field(ge=2)]
Draws = Annotated[int, Field(ge=2)]

LIMIT, NETWORK, EXACT = "limit", "network", "recursion"
SCALED, CHANGE = "n Var/mean^2", "relative change of Var/mean^2 with sw2"
DEVIATION, RATIO = "std/mean of an entry", "log E[Theta^2]/E[Theta]^2"
DRIFT, LOSS = "median drift", "loss over that of the best constant"
NC1, OVER = "nc1", "mean NC1 over that of the limit"
SPREAD, TRACES = "std/mean of NC1", "std/mean of the trace"


# What is measured


def network(d0: int, n: int, L: int = 2, sw2: float = 2.0, sb2: float = 0.0) -> Any:
    """A network of width n, depth L and these variances."""
    variances: Any = {"weight_variance": sw2, "bias_variance": sb2}
    return nc.networks.ShallowNetwork(
        "relu", d0, depth=L, width=n, parametrization="ntk", seed=0, **variances
    )


def on_sphere(n: int, d0: int, random: np.random.Generator) -> Array:
    """Random rows, |x|^2 = d0."""
    X = random.standard_normal((n, d0))
    return np.asarray(X * math.sqrt(d0) / np.linalg.norm(X, axis=1, keepdims=True))


def n_weights(p: Any) -> int:
    """Roughly how many there are."""
    return int(16 * p.n + (getattr(p, "L", 2) - 2) * p.n**2)


@part("shallow", seconds=lambda p: 0.02 + 2.9e-8 * p.draws * n_weights(p), libraries=("torch",))
def two_layers(
    random: np.random.Generator,
    *,
    n: Count = grid(16, 64, 256),
    d0: Count = 10,
    draws: Draws = 3000,
) -> Iterator[Measure]:
    """One entry Theta(x, x) of two-layer networks without biases, of a random row: n Var/mean^2."""
    x, seed = on_sphere(1, d0, random), int(random.integers(1 << 32))
    found = nc.networks.tangent_dispersion(network(d0, n), x, draws=draws, seed=seed)
    yield Measure(NETWORK, SCALED, float(found.relative_variance[0, 0] * n))


@part(
    "without biases",
    seconds=lambda p: 0.02 + (1 + len(p.sw2) / 4) * 2.9e-8 * p.draws * n_weights(p),
    libraries=("torch",),
)
def without_biases(
    random: np.random.Generator,
    *,
    n: Count = grid(32),
    L: Depth = grid(2, 4, 8),
    sw2: Annotated[tuple[Positive, ...], Field(min_length=1)] = (1.0, 3.0),
    d0: Count = 10,
    draws: Draws = 4000,
) -> Iterator[Measure]:
    """The log ratio of the moments of an entry at sw2 = 2, that of the recursion, and Var/mean^2 of
    the same draws at other sw2.
    """
    x, seed = on_sphere(1, d0, random), int(random.integers(1 << 32))

    def relative_variance(variance: float, some: int) -> float:
        net = network(d0, n, L, variance)
        found = nc.networks.tangent_dispersion(net, x, draws=some, seed=seed)
        return float(found.relative_variance[0, 0])

    yield Measure(NETWORK, RATIO, float(np.log1p(relative_variance(2.0, draws))))
    yield Measure(EXACT, RATIO, math.log(nc.theory.tangent_moment([n] * (L - 1))), 1e-14)
    few = max(2, draws // 4)
    first = relative_variance(2.0, few)
    for variance in sw2:
        change = abs(relative_variance(variance, few) / first - 1)
        yield Measure(NETWORK, CHANGE, change, at={"sw2": variance})


@part("depths", seconds=lambda p: 0.02 + 2.9e-8 * p.draws * n_weights(p), libraries=("torch",))
def depths(
    random: np.random.Generator,
    *,
    n: Count = grid(64),
    sw2: Positive = grid(1.0, 2.0, 3.0),
    L: Depth = grid(2, 4, 8, 16, 24),
    sb2: Variance = 0.5,
    d0: Count = 10,
    draws: Draws = 500,
) -> Iterator[Measure]:
    """One entry of networks with trained biases: std/mean against depth in the three phases."""
    x, seed = on_sphere(1, d0, random), int(random.integers(1 << 32))
    net = network(d0, n, L, sw2, sb2)
    found = nc.networks.tangent_dispersion(net, x, draws=draws, seed=seed)
    yield Measure(NETWORK, DEVIATION, float(found.relative_deviation[0, 0]))


@part(
    "drifts",
    seconds=lambda p: 0.05 + p.steps * (1.5e-4 * p.L + 1e-8 * p.networks * n_weights(p)),
    libraries=("torch",),
)
def drifts(
    random: np.random.Generator,
    *,
    n: Count = grid(64),
    sw2: Positive = grid(1.0, 2.0, 3.0),
    L: Depth = grid(2, 4, 8, 16, 24),
    sb2: Variance = 0.5,
    d0: Count = 10,
    n_samples: Annotated[int, Field(ge=2, multiple_of=2)] = 16,
    networks: Count = 16,
    steps: Count = 100,
    rate: Positive = 0.5,
) -> Iterator[Measure]:
    """Networks trained on random labels by full-batch gradient descent, of a rate `rate`
    n_samples/lambda_max of the kernel that each begins with: medians over the networks of |Theta_T
    - Theta_0|_F/|Theta_0|_F, and of the loss; 1 is that of a constant.
    """
    import torch

    X = on_sphere(n_samples, d0, random)
    labels = random.permutation(np.repeat([-1.0, 1.0], n_samples // 2))
    seed = int(random.integers(1 << 32))
    ensemble = nc.networks.Ensemble(network(d0, n, L, sw2, sb2), networks, seed=seed)
    before = ensemble.tangent_kernels(X)
    rates = rate * n_samples / np.linalg.eigvalsh(before)[:, -1]
    rows, targets = torch.from_numpy(X), torch.from_numpy(labels)
    losses = ensemble.descend(rows, targets, torch.from_numpy(rates), steps)
    moved = np.linalg.norm(ensemble.tangent_kernels(X) - before, axis=(1, 2))
    drift = moved / np.linalg.norm(before, axis=(1, 2))
    diverged = ~(np.isfinite(drift) & np.isfinite(losses))
    if 2 * diverged.sum() >= networks:
        raise ValueError(f"{diverged.sum()} of {networks} networks diverge")
    for quantity, numbers in ((DRIFT, drift), (LOSS, losses)):
        yield Measure(NETWORK, quantity, float(np.median(np.where(diverged, np.inf, numbers))))


@part(
    "spreads",
    seconds=lambda p: 0.05 + p.networks * (5e-4 + 9e-8 * n_weights(p)),
    libraries=("torch",),
)
def spreads(
    random: np.random.Generator,
    *,
    n: Count = grid(64),
    sw2: Positive = grid(1.0, 2.0, 3.0),
    L: Depth = grid(2, 4, 8, 16, 24),
    sb2: Variance = 0.5,
    d0: Count = 8,
    n_samples: Annotated[int, Field(ge=4, multiple_of=2)] = 64,
    networks: Draws = 40,
) -> Iterator[Measure]:
    """NC1 of the tangent kernels of networks on one draw of D1, their mean and spread, and of their
    limit.
    """
    X, y = nc.datasets.paper_d1(n_samples, d0, int(random.integers(1 << 32)))
    one = network(d0, n, L, sw2, sb2)
    ensemble = nc.networks.Ensemble(one, networks, seed=int(random.integers(1 << 32)))
    kernels = ensemble.tangent_kernels(X)
    limit = nc.collapse(X, y, one.ntk(), convention="papyan")
    results = nc.collapse_each(((K, y) for K in kernels), "precomputed", convention="papyan")
    found, traces = np.array([r.nc1 for r in results]), np.trace(kernels, axis1=1, axis2=2)
    yield Measure(LIMIT, NC1, limit.nc1, limit.error_bound)
    yield Measure(NETWORK, NC1, float(found.mean()))
    yield Measure(NETWORK, OVER, float(found.mean() / limit.nc1))
    for quantity, numbers in ((SPREAD, found), (TRACES, traces)):
        yield Measure(NETWORK, quantity, float(numbers.std(ddof=1) / numbers.mean()))


@nc1_on_d1(seconds=0.1, libraries=("torch",))
def constructions_on_d1(
    X: Array, y: NDArray[Any], random: np.random.Generator
) -> Iterator[tuple[str, Any]]:
    """Tangent kernels of networks of width 64 with trained biases, sb2 = 1/2, in the three phases,
    and their limits.
    """
    for sw2, depth in ((2.0, 2), (1.0, 8), (2.0, 8), (3.0, 8)):
        where, one = f"sw2 = {sw2:g}, L = {depth}", network(X.shape[1], 64, depth, sw2, 0.5)
        yield f"ReLU NTK, {where}", nc.collapse(X, y, one.ntk(), convention="papyan")
        one.draw(int(random.integers(1 << 32)))
        K = nc.networks.empirical_ntk(one, X)
        yield f"empirical NTK, {where}", nc.collapse(K, y, "precomputed", convention="papyan")


# What is claimed


def is_ordered(sw2: float) -> bool:
    """Whether networks are in the ordered phase."""
    return sw2 < 2


def is_chaotic(sw2: float) -> bool:
    """Whether networks are in the chaotic phase."""
    return sw2 > 2


def over_law(at: Setting) -> float:
    """1/(5 beta), beta = sum 1/n_l over the L - 1 hidden layers."""
    return float(at["n"]) / (5 * (float(at["L"]) - 1))


deep, near = {"n": 64, "L": 16}, {"n": 64, "L": 2}
deviation, drift, loss = measured(DEVIATION), measured(DRIFT), measured(LOSS)
growth = deviation.ends("L", start=lambda deepest: 8 if deepest >= 16 else deepest)
moments = measured(RATIO, NETWORK)
spread_over_trace = measured(SPREAD).over(measured(TRACES)).at(**deep)

CLAIMS = (
    claim(
        "TD1. Two layers disperse as 3/n",
        "Without biases Var[Theta(x, x)]/E[Theta(x, x)]^2 of a two-layer ReLU network of width n "
        "is 3/n, to 10 %.",
        mean("n Var/mean^2", measured(SCALED), 2.7, 3.3),
    ),
    claim(
        "TD2. The kernel of deep networks is random in the chaotic phase, not in the ordered one",
        "With trained biases, at L = 16 and width 64, std/mean of an entry is below .3 in the "
        "ordered phase, sw2 < 2, and above .8 in the chaotic one, sw2 > 2.",
        mean("std/mean, ordered", deviation.at(**deep, sw2=is_ordered), high=0.3),
        mean("chaotic", deviation.at(**deep, sw2=is_chaotic), low=0.8),
    ),
    claim(
        "TD3. Dispersion saturates in the ordered phase and grows beyond it",
        "From L = 8 to the deepest networks std/mean changes by at most a fourth in the ordered "
        "phase, and grows by more than that at the edge of chaos and in the chaotic phase.",
        mean("ratio, ordered", growth.at(sw2=is_ordered), 0.75, 1.25),
        mean("beyond", growth.at(sw2=lambda sw2: not is_ordered(sw2)), low=1.25),
    ),
    claim(
        "TD4. Without biases there are no phases",
        "Without biases the same draws give the same Var/mean^2 at every sw2, to 1e-10.",
        exact("relative change", measured(CHANGE), high=1e-10, digits=1),
    ),
    claim(
        "TD5. exp(5 beta) is the order of the moments, no number",
        "Without biases log E[Theta^2]/E[Theta]^2 is between half of 5 beta and 5 beta, beta = sum "
        "1/n_l over hidden layers, after the law of Hanin & Nica (2020), arXiv 1909.05989.",
        mean("log ratio over 5 beta", moments.times(over_law), 0.5, 1.0),
    ),
    claim(
        "TD6. A recursion gives the moments (ours)",
        "Without biases log E[Theta^2]/E[Theta]^2 is that of a recursion over layers, to 10 %.",
        mean("measured over exact", moments.over(measured(RATIO, EXACT)), 0.9, 1.1),
    ),
    claim(
        "TD7. The kernel moves in training where it is random",
        "At width 64 the median of |Theta_T - Theta_0|/|Theta_0| is above .3 at L = 16 in the "
        "chaotic phase; in the ordered phase, and in both at L = 2, it is below .15.",
        mean("drift at L = 16, ordered", drift.at(**deep, sw2=is_ordered), high=0.15),
        mean("chaotic", drift.at(**deep, sw2=is_chaotic), low=0.3),
        mean("drift at L = 2", drift.at(**near, sw2=lambda sw2: sw2 != 2), high=0.15),
    ),
    claim(
        "TD8. Deep networks of the ordered phase hardly train",
        "In the ordered phase, at width 64, the same number of steps leaves more than .8 of the "
        "loss of the best constant at L = 16 and less than .6 at L = 2.",
        mean("loss over that of the constant at L = 16", loss.at(**deep, sw2=is_ordered), low=0.8),
        mean("at L = 2", loss.at(**near, sw2=is_ordered), high=0.6),
    ),
    claim(
        "TD9. At L = 2 networks have the NC1 of their limit in the mean",
        "At L = 2 and width 64 the mean NC1 of tangent kernels is that of the limit, to 10 %.",
        mean("mean NC1 over that of the limit", measured(OVER, L=2), 0.9, 1.1),
    ),
    claim(
        "TD10. A kernel that hardly disperses may have an NC1 that does (ours)",
        "At L = 16 and width 64 NC1 disperses more than the trace of the kernel in the ordered "
        "phase, where a constant outweighs the rest, and less in the chaotic one.",
        mean(
            "std/mean of NC1 over that of the trace, ordered",
            spread_over_trace.at(sw2=is_ordered),
            1,
        ),
        mean("chaotic", spread_over_trace.at(sw2=is_chaotic), high=1.0),
    ),
)

# What is drawn


by_sw2 = ("sw2", "sw² = {}")

FIGURES = (
    Figure(
        "phases",
        "Dispersion of the tangent kernel against depth, in three phases. Networks with trained "
        "biases: std/mean of an entry over initialisations; relative change of the kernel in "
        "training; std/mean of NC1 on D1.",
        x="L",
        y_name="relative to the mean or the start",
        lines={
            "std/mean": (Lines(deviation, *by_sw2),),
            "drift": (Lines(drift, *by_sw2),),
            "std/mean of NC1": (Lines(measured(SPREAD), *by_sw2),),
        },
        columns="n",
        title="n = {}",
    ),
    Figure(
        "nc1",
        "NC1 of empirical tangent kernels and of their limit. Two classes of D1, d₀ = 8, networks "
        "of width 64 with trained biases.",
        x="L",
        y_name="NC1",
        lines=(
            Lines(measured(NC1, LIMIT, part="spreads"), look=Look("limit", palette.NTK, "s")),
            Lines(measured(NC1, NETWORK, part="spreads"), look=Look("mean", palette.OWN_NTK, "<")),
        ),
        columns="sw2",
        title="sw² = {}",
    ),
    Figure(
        "law",
        "The second moment without biases, beside the published law. log E[Θ²]/E[Θ]² of one entry, "
        "and 5 beta, beta the sum of 1/n over hidden layers.",
        x="L",
        y_name=RATIO,
        lines=(
            Lines(moments, look=Look("networks", palette.OWN_NTK, "<", rank=0)),
            Lines(measured(RATIO, EXACT), look=Look("recursion (ours)", palette.NTK, "s", "--")),
            Lines(
                measured(RATIO, EXACT).replaced(lambda at: 1 / over_law(at)),
                look=Look("5 beta", palette.INK, "x", ":"),
            ),
        ),
        columns="n",
        title="n = {}",
        axis="log2",
    ),
)

STUDY = experiment(
    __doc__,
    title="Dispersion of the neural tangent kernel of finite networks, after arXiv 2012.04477",
    parts=(two_layers, without_biases, depths, drifts, spreads, constructions_on_d1),
    presets={
        "quick": """
repeats: 6
parts:
  - {part: shallow}
  - {part: without biases, draws: 2000}
  - {part: depths, L: [2, 4, 8, 16], draws: 150}
  - {part: drifts, L: [2, 16], networks: 8, steps: 50}
  - {part: spreads, L: [2, 16], networks: 40}
  - {part: nc1, repeats: 3}
""",
        "full": """
repeats: 8
parts:
  - {part: shallow, n: [16, 64, 256, 1024]}
  - {part: without biases, draws: 6000}
  - {part: without biases, n: [64], L: [2, 4, 8, 16], draws: 2000}
  - {part: depths}
  - {part: depths, n: [16], L: [2, 4, 8], draws: 2000}
  - {part: depths, n: [256], L: [2, 4, 8, 16], draws: 60}
  - {part: drifts}
  - {part: drifts, n: [16], L: [2, 4, 8]}
  - {part: spreads, networks: 100}
  - {part: nc1}
""",
    },
    claims=CLAIMS,
    figures=FIGURES,
)
