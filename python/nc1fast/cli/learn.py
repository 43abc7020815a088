"""`train` and `adapt`: the collapse of networks that learn the labels of one data set, of finite
width and wide.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  (typer reads the annotations)
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import numpy as np
import typer

import nc1fast as nc
from nc1fast.cli import options, output
from nc1fast.cli.options import option
from nc1fast.inputs.labels import as_labels
from nc1fast.inputs.targets import encode
from nc1fast.support.files import replaced

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nc1fast.adaptive import AdaptiveSolution
    from nc1fast.networks import Trace

Optimizer: TypeAlias = Literal["sgd", "adam", "langevin"]
Loss: TypeAlias = Literal["mse", "cross-entropy", "none"]
TargetName: TypeAlias = Literal["scalar", "one-hot"]
Precision: TypeAlias = Literal["float64", "float32"]
AdaptiveActivation: TypeAlias = Literal["erf", "relu"]

Targets = Annotated[
    TargetName | None,
    option(
        "scalar: -1, 1, or -3, -1, 1, 3, of one output; one-hot: an output for each class. "
        "Default: scalar for two classes, one-hot for more."
    ),
]


@dataclass(frozen=True)
class TrainingOptions:
    """How a network is trained, under the names of `nc1fast.networks.train`."""

    loss: Annotated[Loss, option("none, for langevin: no data, the prior alone.")] = "mse"
    optimizer: Annotated[
        Optimizer, option("langevin: gradient descent with noise, decay by the prior.")
    ] = "sgd"
    lr: Annotated[float, option("Learning rate.")] = 1e-3
    momentum: Annotated[float, option("Momentum of sgd.")] = 0.0
    weight_decay: Annotated[float, option("Decay of all parameters; 0 for langevin.")] = 0.0
    temperature: Annotated[
        float | None, option("For langevin: the variance of the noise on the targets.")
    ] = None
    epochs: Annotated[int, option("Passes over the data.")] = 1000
    batch_size: Annotated[int | None, option("Rows of a step; default: all.")] = None
    repeats: Annotated[int, option("Number of networks, drawn one by one.")] = 1


@dataclass(frozen=True)
class SolverOptions:
    """Settings of the equations and their solver, under the names of `nc1fast.adaptive.solve`."""

    noise: Annotated[float, option("Variance of the noise on the targets: it decides the answer.")]
    activation: Annotated[AdaptiveActivation, option("Activation of the hidden layer.")] = "erf"
    width: Annotated[float, option("Number of hidden units.")] = 500
    weight_variance: Annotated[float, option("Prior variance of the hidden weights.")] = 1.0
    readout_variance: Annotated[float, option("Prior variance of the readout weights.")] = 1 / 128
    multistart: Annotated[
        int, option("Number of starts at each width; the lowest free energy is kept.")
    ] = 2
    max_iter: Annotated[int, option("Evaluations for each start and width.")] = 2000
    seed: Annotated[int, option("Seed of random starts and of the permutation.")] = 0


def train(
    data: options.Data,
    *,
    layers: options.LayerOptions,
    width: Annotated[str, option("Hidden units, or one number for each layer.")] = "500",
    train_bias: Annotated[
        bool | None, option("Default: yes; with --parametrization ntk, only if sb2 > 0.")
    ] = None,
    parametrization: Annotated[
        options.Parametrization, option("Scaling of weights and learning rates.")
    ] = "standard",
    targets: Targets = None,
    training: TrainingOptions,
    until: Annotated[
        str | None, option("Stop early: zero-error, loss=VALUE or slope=VALUE (log NC1 a decade).")
    ] = None,
    probe: Annotated[
        str, option("Epochs to measure at: log (8 a decade), or a list: 0,10,100.")
    ] = "log",
    convention: options.Convention = None,
    dtype: Annotated[Precision, option("Precision of the network.")] = "float64",
    seed: Annotated[int, option("Seed of networks, batches and noise.")] = 0,
    checkpoint: Annotated[
        Path | None, option("File to go on from, written at every probe.")
    ] = None,
    reading: options.DataOptions,
    out: Annotated[
        Path | None, option("File for every probe: .csv, or .npz with weight covariances.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Train shallow networks on one data set and follow NC1 of every layer.

    nc1fast train data.npz --width 500 --epochs 2000 --lr 0.01 --repeats 4 --out probes.csv
    nc1fast train data.csv --labels species --scale standardize --optimizer adam --until zero-error
    """
    options.check_out(out, ".csv", ".npz")
    X, y = reading.load(data)
    code, values = _encoded(y, targets)
    network = nc.networks.ShallowNetwork(
        layers.function,
        X.shape[1],
        depth=layers.depth,
        width=options.one_or_list("--width", width, int),
        n_outputs=values.shape[1],
        weight_variance=options.one_or_list("--weight-variance", layers.weight_variance),
        bias_variance=options.one_or_list("--bias-variance", layers.bias_variance),
        parametrization=parametrization,
        train_bias=train_bias,
        seed=seed,
        dtype=dtype,
    )
    with options.progress("epochs") as progress:
        trace = nc.networks.train(
            network,
            X,
            y,
            targets=code,
            **vars(training),
            until=_rule(until),
            probe=probe if probe == "log" else options.numbers("--probe", probe, int),
            convention=convention,
            seed=seed,
            progress=progress,
            checkpoint=checkpoint,
        )
    if out is not None:
        output.write(out, trace.table, _covariances(trace))
    if as_json:
        table = {name: column.tolist() for name, column in trace.table.items()}
        about = {"targets": code, "data": data, "version": nc.__version__}
        ends = {"endings": trace.endings, "epochs": trace.epochs}
        output.show_json(ends | {"table": table} | about)
        return
    outputs = f"{values.shape[1]} output{'s' * (values.shape[1] > 1)}"
    typer.echo("\n".join([*_summary(trace), f"{'targets':<17}{code} ({outputs})"]))


def adapt(
    data: options.Data,
    *,
    solver: SolverOptions,
    widths: Annotated[str | None, option("Widths to pass through on the way: 1e5,1e4,1e3.")] = None,
    targets: Targets = None,
    shuffled: Annotated[
        bool, typer.Option("--shuffled", help="Solve for permuted labels too, as a control.")
    ] = False,
    convention: options.Convention = None,
    reading: options.DataOptions,
    threads: options.Threads = None,
    out: Annotated[
        Path | None, option("File (.npz) for Sigma, the predictions and the history of the solver.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Solve for the adaptive kernel, that of a wide trained network, and measure its NC1.

    nc1fast adapt data.npz --noise 0.01 --readout-variance 3.88
    nc1fast adapt data.npz --noise 0.01 --width 1000 --shuffled --out solution.npz
    """
    options.check_out(out, ".npz")
    X, y = reading.load(data)
    code, values = _encoded(y, targets)
    settings = vars(solver) | {"n_threads": threads}
    settings["widths"] = None if widths is None else options.numbers("--widths", widths)
    with options.progress("evaluations") as progress:
        settings["progress"] = progress
        if shuffled:
            control = nc.adaptive.shuffled_control(
                X, y, targets=code, convention=convention, **settings
            )
            solutions = {"": control.solution, "_shuffled": control.shuffled}
            nc1 = [control.collapse.nc1, control.nngp.nc1, control.shuffled_collapse.nc1]
        else:
            solutions = {"": nc.adaptive.solve(X, values, **settings)}
            before = nc.ConjugateKernel(solver.activation, weight_variance=solver.weight_variance)
            kernels = [solutions[""].kernel, before]
            results = nc.collapse(X, y, kernels, convention=convention, n_threads=threads)
            nc1 = [result.nc1 for result in results]
    if out is not None:
        with replaced(out) as file:
            np.savez(file, **_arrays(solutions))
    found = solutions[""]
    row: dict[str, Any] = dict(zip(("nc1", "nc1_nngp", "nc1_shuffled"), nc1, strict=False))
    row |= {
        "training_error": float(np.square(found.predictions - values).mean()),
        "trace_sigma": float(np.trace(found.sigma)),
        **output.fields(found, "smallest_eigenvalue", "free_energy", "start"),
        **_branches(found, X, y, as_json=as_json, convention=convention, n_threads=threads),
        "residual": found.residual,
        "converged": all(solution.converged for solution in solutions.values()),
        "reason": found.reason,
        **output.fields(solver, "noise", "width", "readout_variance"),
        "targets": code,
        "data": data,
        "version": nc.__version__,
    }
    output.show(row, as_json)
    failed = [s.reason for s in solutions.values() if not s.converged]
    if failed:
        typer.echo(f"nc1fast: not converged: {failed[0]}", err=True)
        raise typer.Exit(1)


def _encoded(y: Any, requested: str | None) -> tuple[str, NDArray[np.float64]]:
    """The code of the labels that a network is to output, and the targets (n_samples, n_outputs);
    by default scalar for two classes and one-hot for more, which have no order.
    """
    classes, names = as_labels(y, len(y))
    code = requested or ("scalar" if len(names) <= 2 else "one-hot")
    return code, encode(code, classes, len(names)).values


def _branches(
    found: AdaptiveSolution, X: Any, y: Any, *, as_json: bool, **settings: Any
) -> dict[str, Any]:
    """The minima of F as a list for JSON, or one line for each."""
    results = nc.collapse(X, y, [branch.kernel for branch in found.branches], **settings)
    minima: list[dict[str, Any]] = [
        {"free_energy": branch.free_energy, "nc1": result.nc1, "starts": list(branch.starts)}
        for branch, result in zip(found.branches, results, strict=True)
    ]
    if as_json:
        return {"branches": minima}
    return {
        f"branch {k}": f"F {one['free_energy']:.12g}, nc1 {one['nc1']:.6g}, "
        f"from {', '.join(one['starts'])}"
        for k, one in enumerate(minima, 1)
    }


def _arrays(solutions: dict[str, AdaptiveSolution]) -> dict[str, Any]:
    """Arrays for --out; the keys of `solutions` are suffixes of their names."""
    arrays: dict[str, Any] = {}
    for suffix, solution in solutions.items():
        arrays |= {f"sigma{suffix}": solution.sigma, f"predictions{suffix}": solution.predictions}
        arrays |= {f"history{suffix}_{name}": c for name, c in solution.history.items()}
    return arrays


def _rule(until: str | None) -> Any:
    """The argument `until` of `nc1fast.networks.train` from the text name=value."""
    if until is None or "=" not in until:
        return until
    name, _, value = until.partition("=")
    return name, options.one_or_list("--until", value)


def _covariances(trace: Trace) -> dict[str, Any]:
    """Weight covariances (n_repeats, d, d) of each layer at start and end, and the endings."""
    found: dict[str, Any] = {
        f"covariance_{layer}_{when}": np.stack([c[layer][when] for c in trace.weight_covariances])
        for layer, pair in trace.weight_covariances[0].items()
        for when in pair
    }
    return found | {"ending_of_repeat": trace.endings, "epochs_of_repeat": trace.epochs}


def _summary(trace: Trace) -> list[str]:
    """Lines with NC1 of every layer, loss and accuracy at start and end, then with the reasons of
    the endings.
    """
    start, end, n = trace.at(0), trace.at(), len(trace.networks)
    lines = [f"{'mean +- sd' if n > 1 else '':<17}{'start':<24}end"]
    layers = dict.fromkeys(start["layer"].tolist())
    last = next(reversed(layers))
    rows = [(f"nc1 of {layer}", "nc1", layer) for layer in layers]
    for name, column, layer in [*rows, ("loss", "loss", last), ("accuracy", "accuracy", last)]:
        first, then = (_cell(rows[column][rows["layer"] == layer]) for rows in (start, end))
        lines.append(f"{name:<17}{first:<24}{then}")
    for note in dict.fromkeys(note for note in end["note"].tolist() if note):
        without = dict.fromkeys(end["layer"][end["note"] == note].tolist())
        lines.append(f"{'not defined':<17}{', '.join(without)}: {note}")
    for (ending, epochs), count in Counter(zip(trace.endings, trace.epochs, strict=True)).items():
        times = f", {count} of {n} networks" if n > 1 else ""
        lines.append(f"{'ended':<17}{ending} ({epochs} epochs{times})")
    return lines


def _cell(values: NDArray[np.float64]) -> str:
    """Mean and standard deviation of the values that are no NaN, as text."""
    known = values[~np.isnan(values)]
    if not len(known):
        return "-"
    return f"{known.mean():.6g}" + (f" +- {known.std(ddof=1):.2g}" if len(known) > 1 else "")
