"""`predict`, `spectrum` and `align`: a kernel used on one data set, by products with a matrix that
is not stored.
"""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  (typer reads the annotations)
from typing import Annotated, Any, Literal

import numpy as np
import typer

import nc1fast as nc
from nc1fast.cli import options, output
from nc1fast.cli.options import option
from nc1fast.support.arguments import as_number, as_seed
from nc1fast.support.files import replaced
from nc1fast.support.reading import check_regular

_SOLVER = Literal["auto", "cholesky", "cg"]
Ridge = Annotated[float, option("Added to the diagonal of the Gram matrix.")]
Seed = Annotated[int, option("Seed of what is drawn at random.")]


def predict(
    data: options.Data,
    *,
    method: Annotated[
        Literal["ridge", "posterior", "flow"],
        option("posterior: of a Gaussian process; flow: gradient flow up to --time."),
    ] = "ridge",
    ridge: Ridge = 1e-3,
    time: Annotated[float | None, option("Learning rate times steps, of --method flow.")] = None,
    held_out: Annotated[
        float, option("Share of the rows, drawn at random, that is predicted.")
    ] = 0.2,
    kernel: options.Kernel = "ntk",
    layers: options.KernelOptions,
    solver: Annotated[_SOLVER, option("cholesky stores the Gram matrix; cg never does.")] = "auto",
    tolerance: Annotated[float, option("Residual of --solver cg, relative.")] = 1e-6,
    reading: options.DataOptions,
    out: Annotated[
        Path | None, option("An .npz file for the outputs, the rows and the labels.")
    ] = None,
    seed: Seed = 0,
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Learn the labels of some rows with a kernel, one output for each class, and predict those of
    the others.

    nc1fast predict data.npz --kernel ntk --ridge 1e-3 --held-out 0.2
    nc1fast predict data.npz --method flow --time 10 --out predictions.npz
    """
    chosen = layers.kernel_of_rows(kernel)
    if (time is not None) != (method == "flow"):
        raise ValueError("--time must be given for --method flow, and for no other")
    if out is not None:
        check_regular(out, "--out")
    X, y = reading.load(data)
    known, new = _divided(len(X), held_out, seed)
    names, of_row = np.unique(y, return_inverse=True)
    targets = np.eye(len(names))[of_row[known]]
    settings: dict[str, Any] = {"solver": solver, "tolerance": tolerance, "n_threads": threads}
    with options.progress("steps") as progress:
        settings["progress"] = progress
        problem = (chosen, X[known], targets, X[new])
        if time is not None:
            found = nc.prediction.gradient_flow(*problem, time=time, **settings)
        elif method == "posterior":
            found = nc.prediction.gp_posterior(*problem, noise=ridge, seed=seed, **settings)
        else:
            found = nc.prediction.ridge(*problem, ridge=ridge, seed=seed, **settings)
    decided = found.mean.argmax(axis=1)
    if out is not None:
        out = out if out.suffix == ".npz" else out.with_name(f"{out.name}.npz")
        with replaced(out) as file:
            np.savez(file, mean=found.mean, rows=new, predicted=names[decided], labels=names)
    row = {
        "accuracy": float((decided == of_row[new]).mean()),
        "mean_squared_error": float(np.square(found.mean - np.eye(len(names))[of_row[new]]).mean()),
        **output.fields(found, "log_marginal_likelihood", "log_marginal_likelihood_interval"),
        "mean_variance": None if found.variance is None else float(found.variance.mean()),
        **output.fields(found, "residual", "iterations", "converged", "solver", "rank"),
        "n_train": len(known),
        "n_test": len(new),
        "kernel": repr(chosen),
        "method": method,
        **({"ridge": ridge} if time is None else {"time": time}),
        "data": data,
        "version": nc.__version__,
    }
    output.show({name: value for name, value in row.items() if value is not None}, as_json)


def spectrum(
    data: options.Data,
    *,
    k: Annotated[int, typer.Option("-k", "--number", help="Number of eigenvalues.")] = 20,
    which: Annotated[
        Literal["largest", "smallest"],
        option("smallest: of at most 20,000 rows, whose Gram matrix is stored."),
    ] = "largest",
    ridge: Annotated[
        float | None, option("Print the effective dimension under this ridge, too.")
    ] = None,
    kernel: options.Kernel = "nngp",
    layers: options.KernelOptions,
    reading: options.DataOptions,
    seed: Seed = 0,
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Eigenvalues of the Gram matrix of a kernel, with the norms of their residuals.

    nc1fast spectrum data.npz --kernel ntk --number 50 --json
    nc1fast spectrum data.npz --ridge 1e-3
    """
    chosen = layers.kernel_of_rows(kernel)
    X = reading.rows(data)
    found = nc.spectrum(X, chosen, k, which, seed=seed, n_threads=threads)
    row: dict[str, Any] = {
        **output.fields(found, "eigenvalues", "residuals", "trace"),
        "share_of_trace": float(found.eigenvalues.sum()) / found.trace,
        "products": found.products,
        "kernel": repr(chosen),
        "data": data,
        "version": nc.__version__,
    }
    if ridge is not None:
        with options.progress("steps") as progress:
            dimension = nc.prediction.effective_dimension(
                chosen, X, ridge=ridge, seed=seed, n_threads=threads, progress=progress
            )
        row |= {
            "ridge": ridge,
            "effective_dimension": dimension.value,
            "effective_dimension_interval": list(dimension.interval),
        }
    output.show(row, as_json)


def align(
    data: options.Data,
    *,
    kernels: Annotated[
        str, option("Kernels joined by commas; features: the data as they are.")
    ] = "nngp,ntk",
    layers: options.LayerOptions,
    reading: options.DataOptions,
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Alignment of kernels with the labels, and with each other.

    nc1fast align data.npz --kernels nngp,ntk,features
    """
    names = [name.strip() for name in kernels.split(",")]
    known = [*options.KERNELS, "features"]
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"--kernels must be some of {', '.join(known)}, got {unknown[0]!r}")
    chosen = [layers.kernel(name) for name in names]
    X, y = reading.load(data)
    with options.progress("tiles") as progress:
        found = nc.alignment(
            X,
            y,
            [X if one is None else one for one in chosen],
            n_threads=threads,
            progress=progress,
        )
    blocks = [one._asdict() for one in found.blocks]
    row = {
        "kernels": [repr(one) if one is not None else "features" for one in chosen],
        **output.fields(found, "target", "centred_target", "centred", "norms"),
        **{name: [one[name] for one in blocks] for name in blocks[0]},
        "error_bound": found.error_bound,
        "data": data,
        "version": nc.__version__,
    }
    output.show(row, as_json)


def _divided(n: int, held_out: float, seed: int) -> tuple[Any, Any]:
    """Rows that are known and rows that are predicted, each ascending."""
    share = as_number("--held-out", held_out, above=0, below=1)
    order = np.random.default_rng(as_seed(seed)).permutation(n)
    count = min(max(1, round(share * n)), n - 1)
    return np.sort(order[count:]), np.sort(order[:count])
