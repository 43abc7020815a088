"""Claim: training costs what a plain torch loop costs, probes little more; tangent kernels need no
Jacobian.
"""

from __future__ import annotations

import math
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import nc1fast as nc
from bench import plain_torch
from bench._session import Claim, Result
from bench._timing import interleave

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench._session import Session
    from bench._timing import Samples

TRAIN_TARGET = 1.05
PROBED_TARGET = 1.10
TANGENT_TARGETS = {8: 2.0, 128: 20.0}  # by the number of features
EPOCHS, RATE, DECAY, WIDTH = 1000, 1e-3, 1e-6, 500
# samples, features, dtype, networks one after the other (fewer where one takes long)
TRAININGS = (
    *((128, 8, "float64", 10), (512, 8, "float64", 4), (512, 128, "float64", 3)),
    *((1024, 8, "float64", 2), (1024, 128, "float32", 3)),
)
AGREEMENT = {"float64": 1e-9, "float32": 1e-3}  # losses after all epochs, relative


def run(session: Session) -> Result:
    """Measure training with and without probes, NC1 at initialisation and the empirical NTK."""
    result = Result("networks")
    threads = torch.get_num_threads()
    torch.set_num_threads(session.n_threads)
    try:
        for case in TRAININGS[:1] if session.quick else TRAININGS:
            _training(result, session, *case)
        _at_start(result, session)
        _tangent(result, session)
    finally:
        torch.set_num_threads(threads)
    result.remarks.append(
        "the plain loop watches its loss; probes give NC1 and its relatives of three layers at 26 "
        "epochs"
    )
    return result


def _problem(n_samples: int, n_features: int, dtype: str, width: int) -> tuple[Any, Any, Any]:
    """The published data D1, and a network of the published study."""
    X, y = nc.datasets.paper_d1(n_samples, n_features, seed=0)
    network = nc.networks.ShallowNetwork(
        "erf", n_features, width=width, weight_variance=(1.0, 1.97**2), seed=0, dtype=dtype
    )
    return X, y, network


def _training(
    result: Result, session: Session, n_samples: int, n_features: int, dtype: str, repeats: int
) -> None:
    X, y, network = _problem(n_samples, n_features, dtype, WIDTH)
    epochs, repeats = (20, 1) if session.quick else (EPOCHS, repeats)
    rows = torch.from_numpy(X).to(getattr(torch, dtype))
    targets = torch.from_numpy(np.where(y > y.min(), 1.0, -1.0)).to(rows)[:, None]

    def ours(probe: Any) -> float:
        trace = nc.networks.train(
            network,
            X,
            y,
            lr=RATE,
            weight_decay=DECAY,
            epochs=epochs,
            repeats=repeats,
            probe=probe,
        )
        return float(trace.at(epochs)["loss"][0])  # of the first: the others start elsewhere

    def theirs() -> float:
        models = [plain_torch.Plain(network) for _ in range(repeats)]
        losses = [plain_torch.train(m, rows, targets, epochs, RATE, DECAY) for m in models]
        return losses[0]

    runs: dict[str, Callable[[], float]] = {
        "plain torch loop": theirs,
        "train": lambda: ours([]),
        "train, probes": lambda: ours("log"),
    }
    _agree({name: program() for name, program in runs.items()}, AGREEMENT[dtype])
    samples = interleave(
        {name: _timer(program) for name, program in runs.items()}, session.rounds(4)
    )
    case = {"N": n_samples, "d": n_features, "dtype": dtype}
    ratios = _rows(result, samples, "plain torch loop", case)
    for name, target in (("train", TRAIN_TARGET), ("train, probes", PROBED_TARGET)):
        text = f"{name} / plain torch loop, N = {n_samples}, d = {n_features}, {dtype}"
        result.claims.append(Claim(text, ratios[name], "<=", target))


def _at_start(result: Result, session: Session) -> None:
    """NC1 of a wide network that was just drawn."""
    X, y, network = _problem(session.size(1024), 32, "float64", 4096)
    model, rows, labels = plain_torch.Plain(network), torch.from_numpy(X), torch.from_numpy(y)

    def forward() -> None:
        with torch.no_grad():
            model.features(rows)

    def probed(layers: list[str] | None) -> float:
        return nc.networks.probe(network, X, y, layers, batch_size=len(X))["post1"].nc1

    runs: dict[str, Callable[[], Any]] = {
        "forward pass": forward,
        "NC1 by hand": lambda: plain_torch.nc1(model, rows, labels),
        "probe, one layer": lambda: probed(["post1"]),
        "probe, all layers": lambda: probed(None),
    }
    _agree({name: run() for name, run in runs.items() if run is not forward}, 1e-10)
    samples = interleave(
        {name: _timer(program) for name, program in runs.items()}, session.rounds(6)
    )
    _rows(result, samples, "forward pass", {"N": len(X), "d": 32, "dtype": "float64"})


def _tangent(result: Result, session: Session) -> None:
    n_samples = session.size(512)
    for n_features, target in TANGENT_TARGETS.items():
        X, _, network = _problem(n_samples, n_features, "float64", WIDTH)
        programs: dict[str, Callable[[], Any]] = {
            "empirical_ntk": partial(nc.networks.empirical_ntk, network, X),
            "torch.func Jacobians": partial(
                plain_torch.tangent_kernel, plain_torch.Plain(network), torch.from_numpy(X)
            ),
        }
        norms = {name: float(np.linalg.norm(np.asarray(f()))) for name, f in programs.items()}
        _agree(norms, 1e-10)
        samples = interleave({name: _timer(f) for name, f in programs.items()}, session.rounds(6))
        case = {"N": n_samples, "d": n_features, "dtype": "float64"}
        ratios = _rows(result, samples, "empirical_ntk", case)
        text = f"torch.func Jacobians / empirical_ntk, N = {n_samples}, d = {n_features}"
        result.claims.append(Claim(text, ratios["torch.func Jacobians"], ">=", target))


def _timer(program: Callable[[], Any]) -> Callable[[], float]:
    """A function that runs a program once and returns its seconds."""

    def timed() -> float:
        start = time.perf_counter()
        program()
        return time.perf_counter() - start

    return timed


def _agree(answers: dict[str, float], tolerance: float) -> None:
    (first, value), *others = answers.items()
    for name, other in others:
        if not math.isclose(value, other, rel_tol=tolerance):
            raise AssertionError(f"{first} gives {value!r}, {name} {other!r}")


def _rows(
    result: Result, samples: dict[str, Samples], base: str, case: dict[str, Any]
) -> dict[str, float]:
    """A row per program; returns the ratios over the base."""
    ratios = {name: s.ratio_to(samples[base]) for name, s in samples.items()}
    for name, s in samples.items():
        low, high = min(ratios[name].values), max(ratios[name].values)
        row = {"what": name, "seconds": s.median, "over": "-" if name == base else base}
        row |= {"ratio": ratios[name].median, "range": f"{low:.3g}..{high:.3g}"}
        result.rows.append(case | row)
        result.details[f"{name}, {case}"] = s.as_dict()
    return {name: ratio.median for name, ratio in ratios.items()}
