"""silent-alignment: Does the tangent kernel align, and collapse, before the loss falls?

Linear networks follow gradient flow from small weights; alignment and NC1 of the tangent kernel are
measured by the share of the loss that is gone, and the network at the end is compared with
regression with its own tangent kernels.

Source: Atanasov, Bordelon & Pehlevan (2022), arXiv 2111.00034.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

import nc1fast as nc
from nc1fast.networks.linear import LinearFlow, LinearNetwork
from nc1fast.studies.experiment import grid, nc1_on_d1, part
from nc1fast.studies.fields import Count, Positive
from nc1fast.studies.figures.looks import graded
from nc1fast.studies.figures.measured import Figure, Lines
from nc1fast.studies.findings.measured import claim, exact, mean
from nc1fast.studies.library.entry import experiment
from nc1fast.studies.measures import Measure
from nc1fast.studies.quantities import measured

Array = NDArray[np.float64]
Layers = Annotated[int, Field(ge=2)]
Scales = Annotated[tuple[Positive, ...], Field(min_length=1)]
Shares = Annotated[tuple[Annotated[float, Field(ge=0, lt=1)], ...], Field(min_length=1)]
Inputs = Literal["whitened", "normal", "graded"]
Even = Annotated[int, Field(ge=4, multiple_of=2)]

TANGENT = "tangent kernel"
START, EARLY, END = (f"{TANGENT}, {when}" for when in ("start", "loss fallen by 5 %", "end"))
LIMIT = "tangent kernel of the balanced network"
ALIGNMENT, NC1 = "alignment", "nc1"
GAINED = "share of its way that alignment has gone"
COLLAPSED = "share of its way that log NC1 has gone"
OVER_END = "NC1 over that at the end"
CLOSED = "relative difference of alignment from L/sqrt(d0 - 1 + L^2)"
FINAL = "final alignment over that of the balanced network"
LIKENESS = "cosine with the final tangent kernel"
IDENTITY = "relative difference of alignment from N Tr Sigma_B/|K|"
MACHINE = "relative distance of the network from its kernel machine"

SILENT = 0.05  # share of the loss that is gone when alignment is judged


# What is measured


def drawn_rows(kind: str, n: int, d0: int, random: np.random.Generator) -> Array:
    """Standard normal rows; "whitened": all singular values equal; "graded": the variance of
    feature k is 1/k, in the mean 1.
    """
    X = random.standard_normal((n, d0))
    if kind == "whitened":
        U, _, V = np.linalg.svd(X, full_matrices=False)
        return np.asarray(math.sqrt(max(n, d0)) * U @ V)
    if kind == "graded":
        variances = 1 / np.arange(1, d0 + 1)
        return np.asarray(X * np.sqrt(variances / variances.mean()))
    return X


def drawn_network(d0: int, depth: int, width: int, random: np.random.Generator) -> LinearNetwork:
    """A linear network of one output before it is scaled: weights N(0, 1/width)."""
    std = 1 / math.sqrt(width)
    return LinearNetwork.drawn(d0, depth=depth, width=width, weight_std=std, seed=random)


def descent(
    X: Array, targets: Array, start: LinearNetwork, scale: float, until: float = 1e-8
) -> LinearFlow:
    """Gradient flow from weights multiplied by `scale`, until a small share of the loss is left."""
    network, longest = LinearNetwork([scale * W for W in start.weights]), 1e7
    flow = network.gradient_flow(X, targets, time=longest, until=until)
    if flow.end >= longest:
        raise ValueError(f"the loss has not fallen by time {longest:g}")
    return flow


def network_at(flow: LinearFlow, fallen: float) -> LinearNetwork:
    """The network when a share of the loss is gone."""
    return flow.at(flow.time_of(fallen))


def identity(X: Array, y: NDArray[Any], kernel: Any, result: Any) -> tuple[float, float]:
    """Alignment of a kernel, and its relative difference from N Tr Sigma_B/|K|_F with Tr Sigma_B of
    a result of `collapse`.
    """
    found = nc.alignment(X, y, kernel)
    alignment = float(found.target[0])
    return alignment, abs(len(y) * result.trace_between / float(found.norms[0]) / alignment - 1)


def seconds(p: Any) -> float:
    """Of a flow for each scale, longest where features differ most in variance."""
    steps = {"whitened": 25, "normal": 60, "graded": 200}[p.inputs]
    each = 3e-4 * (p.depth - 1) * (1 + (p.width / 50) ** 2)
    return float(0.1 + len(p.scales) * (0.02 + steps * each))


SCIPY = ("scipy.integrate", "scipy.optimize")


@part("teachers", "classes", "machines", seconds=seconds, libraries=SCIPY)
def linear_networks(
    random: np.random.Generator,
    *,
    part: str,
    depth: Layers = grid(2),
    inputs: Inputs = grid("whitened", "normal", "graded"),
    scales: Scales = (0.3, 0.1, 0.03, 0.01),
    d0: Count = 30,
    width: Count = 50,
    n_samples: Even | None = None,
    fallen: Shares = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95, 0.99),
) -> Iterator[Measure]:
    """Linear networks from weights scale N(0, 1/width), by default on 60 rows (machines: 20).

    The targets are those of a linear teacher; of "classes" the halves of the rows above and below
    its median. On one draw the weights of all scales are the same but for it.
    """
    n = n_samples or (20 if part == "machines" else 60)
    X, beta = drawn_rows(inputs, n, d0, random), random.standard_normal(d0)
    start = drawn_network(d0, depth, width, random)
    outputs = X @ (beta / np.linalg.norm(beta))
    if part == "classes":
        outputs = np.where(outputs > np.median(outputs), 1.0, -1.0)
    along = {"teachers": of_teachers, "classes": of_classes, "machines": of_machines}[part]
    for scale in scales:
        flow = descent(X, outputs, start, scale)
        for one in along(X, outputs, flow, fallen):
            yield replace(one, at={"scale": scale, **(one.at or {})})
            if one.thing == LIMIT and inputs == "whitened":
                closed = depth / math.sqrt(d0 - 1 + depth**2)
                yield Measure(LIMIT, CLOSED, abs(one.value / closed - 1), at={"scale": scale})


def of_teachers(X: Array, y: Array, flow: LinearFlow, fallen: Sequence[float]) -> Iterator[Measure]:
    """Alignment along the loss; at 5 % what is gained of it and how like the final kernel the
    kernel is; the end beside its limit.
    """

    def aligned(network: LinearNetwork) -> float:
        return float(nc.alignment(X, y, network.tangent_features(X)).target[0])

    for share in fallen:
        yield Measure(TANGENT, ALIGNMENT, aligned(network_at(flow, share)), at={"fallen": share})
    early, end = network_at(flow, SILENT), flow.at(flow.end)
    first, silent, last = aligned(network_at(flow, 0.0)), aligned(early), aligned(end)
    limit = aligned(LinearNetwork.balanced(flow.best, len(end.weights)))
    yield Measure(END, ALIGNMENT, last)
    yield Measure(LIMIT, ALIGNMENT, limit)
    yield Measure(END, FINAL, last / limit)
    yield Measure(EARLY, GAINED, (silent - first) / (last - first))
    K, other = early.ntk(X), end.ntk(X)
    cosine = np.sum(K * other) / (np.linalg.norm(K) * np.linalg.norm(other))
    yield Measure(EARLY, LIKENESS, float(cosine))


def of_classes(X: Array, y: Array, flow: LinearFlow, fallen: Sequence[float]) -> Iterator[Measure]:
    """NC1 along what the loss has above the least one of a linear map; its share of the way at 5 %;
    alignment both ways.
    """
    difference = 0.0
    for share in fallen:
        features = network_at(flow, share).tangent_features(X)
        result = nc.collapse(features, y, convention="papyan")
        yield Measure(TANGENT, NC1, result.nc1, result.error_bound, {"fallen": share})
        found, one = identity(X, y, features, result)
        yield Measure(TANGENT, ALIGNMENT, found, at={"fallen": share})
        difference = max(difference, one)
    yield Measure(TANGENT, IDENTITY, difference)
    states = (network_at(flow, 0.0), network_at(flow, SILENT), flow.at(flow.end))
    results = nc.collapse_each(((s.tangent_features(X), y) for s in states), convention="papyan")
    first, silent, last = (result.nc1 for result in results)
    yield Measure(END, NC1, last)
    yield Measure(EARLY, OVER_END, silent / last)
    yield Measure(EARLY, COLLAPSED, math.log(silent / first) / math.log(last / first))


def of_machines(X: Array, y: Array, flow: LinearFlow, fallen: Sequence[float]) -> Iterator[Measure]:
    """Fewer rows than features: the network at the end beside regression with its own tangent
    kernels, as the distance of the linear maps relative to that of the machine.
    """
    del fallen
    end = flow.at(flow.end)
    kernels = {START: network_at(flow, 0.0), EARLY: network_at(flow, SILENT), END: end}
    for thing, network in kernels.items():
        M = network.tangent_metric
        machine = M @ X.T @ np.linalg.solve(X @ M @ X.T, y)
        distance = np.linalg.norm(end.matrix[0] - machine) / np.linalg.norm(machine)
        yield Measure(thing, MACHINE, float(distance))


@part("identity", seconds=lambda p: 0.02 + 1e-6 * p.n_samples**2)
def alignment_identity(
    random: np.random.Generator,
    *,
    activation: str = grid("relu", "erf"),
    d0: Count = grid(1, 8, 128),
    n_samples: Even = 128,
) -> Iterator[Measure]:
    """Alignment with balanced labels +-1 beside N Tr Sigma_B/|K|, for NNGP and NTK on D1."""
    X, y = nc.datasets.paper_d1(n_samples, d0, int(random.integers(1 << 32)))
    for kernel in (nc.NNGP(activation), nc.NTK(activation)):
        result = nc.collapse(X, y, kernel, convention="papyan")
        found, difference = identity(X, y, kernel, result)
        yield Measure(kernel.name, ALIGNMENT, found)
        yield Measure(kernel.name, IDENTITY, difference)


@nc1_on_d1(seconds=0.1, libraries=SCIPY)
def constructions_on_d1(
    X: Array, y: NDArray[Any], random: np.random.Generator
) -> Iterator[tuple[str, Any]]:
    """The limit of wide networks, and width 50 from small weights: the loss fallen by 0, 5, 99
    %.
    """
    yield "linear NTK", nc.collapse(X, y, nc.Linear(), convention="papyan")
    d0, targets = X.shape[1], np.where(y == y.max(), 1.0, -1.0)
    start = drawn_network(d0, 2, 50, random)
    flow = descent(X / math.sqrt(d0), targets, start, 0.01, until=0.01)
    for when, network in (
        ("start", network_at(flow, 0.0)),
        ("loss fallen by 5 %", network_at(flow, SILENT)),
        ("loss fallen by 99 %", flow.at(flow.end)),
    ):
        found = nc.collapse(network.tangent_features(X), y, convention="papyan")
        yield f"linear network of width 50, NTK, {when}", found


# What is claimed

gained = measured(GAINED, EARLY)
whitened = gained.at(inputs="whitened")
small, large = (whitened.at(depth=2, scale=scale) for scale in (0.01, 0.1))
normal, graded_rows = (gained.at(depth=2, scale=0.01, inputs=x) for x in ("normal", "graded"))
collapsed = measured(COLLAPSED, EARLY, inputs="whitened")
likeness = measured(LIKENESS, EARLY, scale=0.01)
rebound = measured(OVER_END, EARLY, scale=0.01, inputs=("normal", "graded"))

CLAIMS = (
    claim(
        "SA1. Alignment is N Tr Sigma_B/|K|",
        "For balanced labels -1 and 1, y^T K y/(|K|_F |y|^2) = N Tr Sigma_B/|K|_F with Tr Sigma_B "
        "of the kernel, to 1e-12.",
        exact("relative difference", measured(IDENTITY), high=1e-12, digits=1),
    ),
    claim(
        "SA2. Small weights end at the balanced network",
        "From scale .01, with whitened rows, the final alignment is within 1 % of that of the "
        "balanced network, which is L/sqrt(d0 - 1 + L^2) for L layers, to 1e-12.",
        mean("ratio", measured(FINAL, scale=0.01, inputs="whitened"), 0.99, 1.01, digits=6),
        exact("relative difference from the formula", measured(CLOSED), high=1e-12, digits=1),
    ),
    claim(
        "SA3. Alignment is silent from small weights",
        "Two layers, whitened rows: when the loss has fallen by 5 %, alignment has gone 95 % of "
        "its way or more from scale .01, and less than 60 % from scale .1.",
        mean("share from scale .01", small, low=0.95),
        mean("share from scale .1", large, high=0.6),
    ),
    claim(
        "SA4. The smaller the weights, the more silent",
        "With whitened rows, the share of its way that alignment has gone at 5 % of the loss rises "
        "from each scale to the next smaller one.",
        mean("step to a larger scale", whitened.steps("scale", difference=True), high=0.0),
    ),
    claim(
        "SA5. Deeper networks align earlier",
        "With whitened rows, at each scale, the share of its way that alignment has gone at 5 % of "
        "the loss rises with the depth.",
        mean("step in depth", whitened.steps("depth", difference=True), low=0.0),
    ),
    claim(
        "SA6. Without whitening alignment overshoots",
        "Two layers, scale .01, normal rows as they are drawn, and such whose feature k has the "
        "variance 1/k: when the loss has fallen by 5 %, alignment has gone beyond where it ends.",
        mean("share with normal rows", normal, low=1.0),
        mean("with graded ones", graded_rows, low=1.0),
    ),
    claim(
        "SA7. The overshoot is a fifth of the way",
        "On the same rows, alignment has gone 1.2 times its way or more.",
        mean("share with normal rows", normal, low=1.2),
        mean("with graded ones", graded_rows, low=1.2),
    ),
    claim(
        "SA8. Then the kernel grows in scale alone",
        "From scale .01, the tangent kernel at 5 % of the loss has a cosine of .99 or more with "
        "the final one where rows are whitened, and less where feature k has the variance 1/k.",
        mean("cosine with whitened rows", likeness.at(inputs="whitened"), low=0.99, digits=4),
        mean("with graded ones", likeness.at(inputs="graded"), high=0.99),
    ),
    claim(
        "SA9. The network ends as a kernel machine",
        "From scale .01, with fewer rows than features, the trained network is within 2 % of "
        "regression with its final tangent kernel, and 10 % or more from that with the first one.",
        mean("distance by the final kernel", measured(MACHINE, END, scale=0.01), high=0.02),
        mean("by the first", measured(MACHINE, START, scale=0.01), low=0.1),
    ),
    claim(
        "SA10. Collapse is silent too (ours)",
        "Two classes, whitened rows: when the loss has fallen by 5 %, log NC1 of the tangent "
        "kernel has gone 95 % of its way or more from scale .01, and of two layers less than 60 % "
        "from .1.",
        mean("share from scale .01", collapsed.at(scale=0.01), low=0.95),
        mean("from scale .1", collapsed.at(depth=2, scale=0.1), high=0.6),
    ),
    claim(
        "SA11. Without whitening NC1 rises again (ours)",
        "From scale .01, with rows that are not whitened, NC1 of the tangent kernel at 5 % of the "
        "loss is below that at the end.",
        mean("NC1 over that at the end", rebound, high=1.0),
    ),
)

# What is drawn


def against_loss(name: str, caption: str, quantity: str, y_name: str, of: str) -> Figure:
    """A curve for each scale along the loss; a row of panels for each depth."""
    return Figure(
        name,
        caption,
        x="fallen",
        x_name="share of the loss that is gone",
        y_name=y_name,
        lines=(
            Lines(measured(quantity, TANGENT, part=of), "scale", descending=True),
            Lines(measured(quantity, LIMIT, part=of), look=graded("", 0, 1), theory=True),
        ),
        columns="inputs",
        title="{} rows",
        rows="depth",
        row_title=", {} layers",
        axis="linear",
        height=2.6,
    )


FIGURES = (
    against_loss(
        "alignment",
        "Alignment of the tangent kernel while the loss falls. Linear networks by gradient flow on "
        "a linear teacher, a curve for each scale of the first weights; the pale band is the "
        "alignment of the balanced network.",
        ALIGNMENT,
        ALIGNMENT,
        "teachers",
    ),
    against_loss(
        "collapse",
        "NC1 of the tangent kernel while the loss falls. The same for two classes, the halves of "
        "the rows above and below the median of the teacher; the loss is what is above the least "
        "one of a linear map.",
        NC1,
        "NC1",
        "classes",
    ),
)

STUDY = experiment(
    __doc__,
    title="Silent alignment of the tangent kernel, after arXiv 2111.00034",
    parts=(linear_networks, alignment_identity, constructions_on_d1),
    presets={
        "quick": """
repeats: 3
parts:
  - {part: teachers, depth: [2, 3]}
  - {part: classes}
  - {part: machines}
  - {part: identity}
  - {part: nc1}
""",
        "full": """
repeats: 20
parts:
  - {part: teachers, depth: [2, 3, 4]}
  - {part: classes, depth: [2, 3]}
  - {part: machines, depth: [2, 3]}
  - {part: identity, activation: [relu, erf, gelu], n_samples: 256}
  - {part: nc1}
""",
    },
    claims=CLAIMS,
    figures=FIGURES,
)
