"""polynomial-nets: What does multiplying hidden units do to the NTK, its frequencies and its
collapse?

k1 = |x||x'| kappa1 and k0 = kappa0 are the arc-cosine kernels of a factor sqrt2 relu(<w, x>): of
products of P factors the NNGP is k1^P, the NTK k1^P + P <x, x'> k0 k1^(P-1).

Source: Wu, Zhu, Liu, Chrysos & Cevher (2022), arXiv 2209.07736.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

import nc1fast as nc
from nc1fast.kernels.polynomial import SkipPolynomial, polynomial_nngp, polynomial_ntk
from nc1fast.studies.experiment import grid, nc1_on_d1, part
from nc1fast.studies.fields import Count
from nc1fast.studies.figures import palette
from nc1fast.studies.figures.looks import LOOKS, Look
from nc1fast.studies.figures.measured import Figure, Lines
from nc1fast.studies.findings import rules
from nc1fast.studies.findings.measured import JudgedCell, Test, claim, exact, mean, rises, where
from nc1fast.studies.library.entry import experiment
from nc1fast.studies.measures import Measure, MeasuredCell
from nc1fast.studies.quantities import measured, together

Array = NDArray[np.float64]
Factors = Annotated[int, Field(ge=1, le=8)]
Unit = Literal["products", "products with skips"]

NNGP, NTK, NETWORK = "NNGP", "NTK", "NTK of a network"
SAMPLED = "NTK, at the places of the network"  # so few that c_k is that of k, 64 - k, 64 + k, ...
DEVIATION = "relative deviation of a network"
FROM_RELU = "largest relative difference from the ReLU NTK"
FREQUENCY = "c_k/c_0"
ODD, EVEN, HIGHER = (1, 3, 5, 7, 9), (2, 4, 6, 8), (3, 5, 7, 9)


# What is measured


def limits(unit: str, degree: int) -> tuple[Any, Any]:
    """NNGP and NTK of a kind of units."""
    if unit == "products with skips":
        return SkipPolynomial(degree), SkipPolynomial(degree, tangent=True)
    return polynomial_nngp(degree), polynomial_ntk(degree)


@part("limits", seconds=lambda p: 0.02 + 1.2e-6 * p.width * p.degree, libraries=("torch",))
def network_limits(
    random: np.random.Generator,
    *,
    unit: Unit = grid("products", "products with skips"),
    degree: Factors = grid(1, 2, 3),
    width: Count = 16384,
) -> Iterator[Measure]:
    """Mean entry of both kernels of one network, relative to its limit, on six rows that all
    repeats share; and the NTK of degree 1 beside the ReLU NTK.
    """
    import torch

    X, seed = np.random.default_rng(0).normal(size=(6, 5)), int(random.integers(1 << 32))
    skip = unit == "products with skips"
    network = nc.networks.PolynomialNetwork(5, degree=degree, width=width, skip=skip, seed=seed)
    with torch.no_grad():
        H = network.features(torch.from_numpy(X)).numpy()
    nngp, ntk = limits(unit, degree)
    yield Measure(NNGP, DEVIATION, float((H @ H.T / width).sum() / nngp(X).sum() - 1))
    found = nc.networks.empirical_ntk(network, X)
    yield Measure(NTK, DEVIATION, float(found.sum() / ntk(X).sum() - 1))
    if unit == "products" and degree == 1:
        relu = nc.NTK("relu", weight_variance=(1.0, 2.0))(X)
        yield Measure(NTK, FROM_RELU, float(np.abs(ntk(X) / relu - 1).max()))


@part("circle", seconds=lambda p: 0.01 + 9e-6 * p.width * p.degree, libraries=("torch",))
def on_the_circle(
    random: np.random.Generator, *, degree: Factors = grid(1, 2, 3), width: Count = 16384
) -> Iterator[Measure]:
    """Fourier coefficients along the angle up to k = 9, of both kernels at 1,024 places and of the
    NTK of one network at 64.
    """
    X, sampled = circle(1024), circle(64)
    seed = int(random.integers(1 << 32))
    network = nc.networks.PolynomialNetwork(2, degree=degree, width=width, seed=seed)
    nngp, ntk = limits("products", degree)
    for name, K in (
        (NNGP, nngp(X[:1], X)),
        (NTK, ntk(X[:1], X)),
        (SAMPLED, ntk(sampled[:1], sampled)),
        (NETWORK, nc.networks.empirical_ntk(network, sampled)),
    ):
        for k, value in enumerate(frequencies(K, max(ODD)), start=1):
            yield Measure(name, FREQUENCY, float(value), at={"k": k})


def circle(n: int) -> Array:
    """Rows (cos t, sin t) at n even places t."""
    t = 2 * np.pi * np.arange(n) / n
    return np.stack([np.cos(t), np.sin(t)], axis=1)


def frequencies(K: NDArray[Any], most: int) -> Array:
    """c_k/c_0, k = 1, ..., most, of the Gram matrix of n even places on the circle: of its mean
    along its diagonals. One row of a kernel that sees the angle alone is enough.
    """
    n = K.shape[1]
    shifts = np.exp(2j * np.pi * np.outer(np.arange(len(K)), np.arange(n)) / n)
    c = (np.fft.fft(K, axis=1) * shifts).mean(axis=0).real
    return np.asarray(c[1 : most + 1] / c[0])


@part("degrees", seconds=lambda p: 0.01 + 5e-8 * len(p.degrees) * p.n_samples**2)
def along_degrees(
    random: np.random.Generator,
    *,
    d0: Count = grid(1, 8, 128),
    degrees: Annotated[tuple[Factors, ...], Field(min_length=1)] = (1, 2, 3, 4, 5),
    n_samples: Count = 256,
) -> Iterator[Measure]:
    """NC1 of both kernels against P, on one draw of D1."""
    X, y = nc.datasets.paper_d1(n_samples, d0, int(random.integers(1 << 32)))
    kernels = [make(P) for make in (polynomial_nngp, polynomial_ntk) for P in degrees]
    results = iter(nc.collapse(X, y, kernels, convention="papyan"))
    for name in (NNGP, NTK):
        for P in degrees:
            result = next(results)
            yield Measure(name, "nc1", result.nc1, result.error_bound, {"degree": P})


@nc1_on_d1(seconds=0.4, libraries=("torch",))
def constructions_on_d1(
    X: Array, y: NDArray[Any], random: np.random.Generator
) -> Iterator[tuple[str, Any]]:
    """Kernels of degrees 1 to 3, with skips, and a network of degree 2 and width 256 before and
    after 100 steps of Adam.
    """
    import torch

    kernels = {
        f"{name} of products, P = {P}": make(P)
        for P in (1, 2, 3)
        for name, make in ((NNGP, polynomial_nngp), (NTK, polynomial_ntk))
    }
    results = nc.collapse(X, y, list(kernels.values()), convention="papyan")
    yield from zip(kernels, results, strict=True)
    for name, tangent in ((NNGP, False), (NTK, True)):
        kernel = SkipPolynomial(2, tangent=tangent)
        yield f"{name} with skips, P = 2", nc.collapse(X, y, kernel, convention="papyan")
    seed = int(random.integers(1 << 32))
    network = nc.networks.PolynomialNetwork(X.shape[1], degree=2, width=256, seed=seed)
    rows, targets = torch.from_numpy(X), torch.from_numpy(2.0 * (y == y.max()) - 1)[:, None]
    for state, steps in (("start", 0), ("end", 100)):
        descend(network, rows, targets, steps)
        with torch.no_grad():
            H = network.features(rows).numpy() / math.sqrt(network.width)
        yield f"network of products, P = 2, {state}", nc.collapse(H, y, convention="papyan")


def descend(network: Any, rows: Any, targets: Any, steps: int) -> None:
    """Train a network in place, by full-batch steps of Adam at a rate of .01 on the mean squared
    error.
    """
    import torch

    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(network(rows), targets).backward()
        optimizer.step()


# What is claimed

TOLERANCE = 1 + rules.TOLERANCE
KNOWN = {2: (0.152, 0.018, 0.0071, 0.0039), 3: (0.27, 0.036, 0.011, 0.0056)}  # by P, of `HIGHER`
frequency = measured(FREQUENCY, NTK).first()
of_networks = measured(FREQUENCY, NETWORK)
sampled = measured(FREQUENCY, SAMPLED).first().values(lambda c: abs(c) > 1e-12)
nc1 = measured("nc1", NNGP, NTK, part="degrees")


def deviations(cells: Sequence[MeasuredCell]) -> list[JudgedCell]:
    """Mean deviations at the level at which all are judged at once: one fails if its interval
    leaves out 0, and holds if that is short as well.
    """
    level = 1 - (1 - rules.TOGETHER) / max(len(cells), 1)
    found = []
    for cell in cells:
        one = rules.mean_interval(cell.draws.values(), level)
        if one.n < rules.FEWEST:
            word = rules.TOO_FEW
        elif not one.low <= 0 <= one.high:
            word = rules.FAILS
        else:
            short = max(-one.low, one.high) <= rules.TOLERANCE
            word = rules.HOLDS if short else rules.UNDECIDED
        found.append(JudgedCell(where(cell), word, one))
    return found


CLAIMS = (
    claim(
        "PN1. One factor is the ReLU NTK",
        "With one factor, P = 1, the NTK of the network of products is the ReLU NTK, to 1e-12.",
        exact("relative difference", measured(FROM_RELU), high=1e-12, digits=1),
    ),
    claim(
        "PN2. Networks have these limits",
        "Networks of products, with skips and without, have the limits: NNGP k1^P and NTK k1^P + P "
        "<x, x'> k0 k1^(P-1), and those of the skips; k1 = |x||x'| kappa1 and k0 = kappa0, the "
        "arc-cosine kernels. The mean over the networks is within its sampling error, all settings "
        f"judged at once at {rules.TOGETHER:.0%}, and known to {rules.TOLERANCE:.0%}.",
        Test("mean deviation", measured(DEVIATION), deviations, 2),
    ),
    claim(
        "PN3. Products bring the odd frequencies",
        "On the circle the NTK of bias-free ReLU units has no odd frequency above 1. Products have "
        "all of them, and c_k/c_0 at k = 3, 5, 7, 9 rises with P: higher frequencies are learned "
        "faster.",
        exact(
            "c_k/c_0 at P = 1",
            together(frequency, of_networks).at(degree=1, k=HIGHER),
            -1e-12,
            1e-12,
        ),
        exact(
            "step in P",
            frequency.at(k=HIGHER).steps("degree", difference=True),
            low=math.nextafter(1e-12, 1),
        ),
    ),
    claim(
        "PN4. Networks have these frequencies",
        "The NTK of a finite network of products has the same frequencies up to k = 9: in the mean "
        "over networks each c_k/c_0 is that of the limit, at the same places on the circle, within "
        f"{rules.TOLERANCE:.0%}.",
        mean("ratio", of_networks.over_first(sampled), 1 / TOLERANCE, TOLERANCE, digits=4),
    ),
    claim(
        "PN5. NC1 rises with P",
        "NC1 on D1 rises with the number of factors P, for the NNGP and for the NTK: products "
        "collapse less.",
        rises("step in P", nc1, "degree"),
    ),
    claim(
        "PN6. The odd frequencies",
        f"c_k/c_0 at k = 3, 5, 7, 9 is {' and '.join(f'{c} at P = {P}' for P, c in KNOWN.items())} "
        f"within {rules.TOLERANCE:.0%}, numbers of another implementation.",
        exact(
            "ratio",
            frequency.at(k=HIGHER, degree=tuple(KNOWN)).times(
                lambda at: 1 / KNOWN[int(at["degree"])][HIGHER.index(int(at["k"]))]
            ),
            1 / TOLERANCE,
            TOLERANCE,
        ),
    ),
)

# What is drawn


def of_frequencies(ks: tuple[int, ...]) -> tuple[Lines, ...]:
    """A curve for each P, and networks on them; smaller coefficients are zero but for rounding."""
    shown = [
        measured(FREQUENCY, thing, k=ks).values(lambda c: c > 1e-9) for thing in (NTK, NETWORK)
    ]
    networks = Look("networks", palette.NETWORK, "x", "", rank=9)
    return (
        Lines(shown[0], "degree", "P = {}"),
        Lines(shown[1], "degree", "networks", look=networks),
    )


FIGURES = (
    Figure(
        "frequencies",
        "Frequencies of the NTK on the circle. Fourier coefficients along the angle, relative to "
        "the constant; one factor, P = 1, has no odd frequency above 1. Crosses: networks of "
        "finite width.",
        x="k",
        x_name="frequency k",
        y_name="c_k/c_0",
        lines={"odd k": of_frequencies(ODD), "even k": of_frequencies(EVEN)},
        axis="linear",
    ),
    Figure(
        "nc1",
        "NC1 against the number of factors. NNGP k1^P and NTK of networks of products on D1.",
        x="degree",
        x_name="P: factors of a unit",
        y_name="NC1",
        lines=[
            Lines(measured("nc1", name, part="degrees"), look=LOOKS[name, ""])
            for name in (NNGP, NTK)
        ],
        columns="d0",
        title="d₀ = {}",
        axis="linear",
    ),
)

STUDY = experiment(
    __doc__,
    title="Networks of products: kernels, frequencies and collapse of polynomial nets, arXiv "
    "2209.07736",
    parts=(network_limits, on_the_circle, along_degrees, constructions_on_d1),
    presets={
        "quick": """
repeats: 6
parts:
  - {part: limits, width: 65536}
  - {part: circle, width: 32768}
  - {part: degrees}
  - {part: nc1, repeats: 3}
""",
        "full": """
repeats: 20
parts:
  - {part: limits, width: 131072}
  - {part: circle, width: 32768}
  - {part: degrees, d0: [1, 2, 8, 32, 128], repeats: 10}
  - {part: nc1, repeats: 10}
""",
    },
    claims=CLAIMS,
    figures=FIGURES,
)
