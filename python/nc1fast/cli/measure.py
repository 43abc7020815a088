"""`collapse` and `theory`: NC1 of a kernel, on data and in expectation."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path  # noqa: TC003  (typer reads the annotations)
from typing import Annotated, Any, Literal, TypeAlias

import typer

import nc1fast as nc
from nc1fast.cli import options, output
from nc1fast.metrics.definitions import DEFAULT_CONVENTION
from nc1fast.sums.settings import Settings

Method: TypeAlias = Literal["exact", "shortcut", "features", "pairs", "auto"]


def collapse(
    data: Annotated[list[str], typer.Argument(help=options.DATA_OR_STDIN_HELP)],
    *,
    kernel: options.Kernel = "nngp",
    activation: options.Activation = "relu",
    slope: options.Slope = None,
    depth: options.Depth = 2,
    weight_variance: options.WeightVariance = "1",
    bias_variance: options.BiasVariance = "0",
    parametrization: options.NTKParametrization = "ntk",
    width: options.Width = None,
    convention: options.Convention = None,
    dtype: options.Precision = "float64",
    statistics: options.Sums = "all",
    method: Annotated[
        Method, typer.Option(help="shortcut: for few features. features, pairs: estimates.")
    ] = "exact",
    tolerance: Annotated[
        float | None,
        typer.Option(help="Of an estimate: half the width of its interval, relative to nc1."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of an estimate; default: 0.")] = None,
    labels: options.Labels = None,
    keys: options.Keys = None,
    scale: options.Scale = "none",
    journal: Annotated[
        Path | None, typer.Option(help="File of the finished work: a killed run goes on from it.")
    ] = None,
    resume: Annotated[
        bool, typer.Option(help="Insist that the journal exists, against a mistyped name.")
    ] = False,
    memory_limit: options.MemoryLimit = None,
    dry_run: Annotated[
        bool, typer.Option(help="Print the size and the estimated time, and stop.")
    ] = False,
    device: options.Device = "cpu",
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """NC1 and its relatives under one kernel: of one data set, or of several, a row for each.

    nc1fast collapse data.npz --kernel ntk --activation erf --depth 3
    nc1fast collapse data.csv --labels species --weight-variance 1,3.88
    nc1fast collapse data.npz --method auto --tolerance 0.01
    nc1fast collapse epoch-1.npz epoch-2.npz --kernel features --json
    cat data.csv | nc1fast collapse - --labels species
    """
    chosen = options.KernelOptions(
        kernel, activation, slope, depth, weight_variance, bias_variance, parametrization, width
    ).kernel()
    if resume and (journal is None or not journal.exists()):
        told = "" if journal is None else f": {journal} is not there"
        raise ValueError(f"--resume goes on from the file of --journal{told}")
    if journal is not None and len(data) > 1:
        raise ValueError(f"--journal records one data set, got {len(data)}")
    if dry_run and method != "exact":
        raise ValueError(f"--dry-run describes the pass of --method exact, not of {method}")
    settings = Settings(
        statistics=statistics,
        dtype=dtype,
        device=device,
        n_threads=threads,
        memory_limit=options.memory_bytes(memory_limit),
    )
    rows = []
    for name in data:
        X, y = options.DataOptions(name, labels, keys, scale).source(memory_limit)
        if dry_run:
            rows.append(nc.distributed.plan(X, y, chosen, **asdict(settings)).describe())
            continue
        with options.progress("tiles" if journal is None else "bundles") as progress:
            result = nc.collapse(
                X,
                y,
                chosen,
                convention=convention,
                method=method,
                tolerance=tolerance,
                seed=seed,
                journal=journal,
                progress=progress or False,
                **asdict(settings),
            )
        about = {"data": name, "scale": scale, "dtype": dtype, "device": device}
        rows.append(output.row_of(result) | about | {"version": nc.__version__})
    if len(rows) == 1:
        output.show(rows[0], as_json)
    else:
        output.show_rows(rows, as_json)


def theory(
    *,
    means: Annotated[
        str,
        typer.Option(
            help="Of each class a number m_c, times the ones vector: -2,2. Or vectors: 1,0,0;0,1,0."
        ),
    ],
    stds: Annotated[str, typer.Option(help="One s_c for all classes, or one for each: 0.5,1.")],
    features: Annotated[
        str | None, typer.Option(help="Number of features d0, or inf. Default: that of vectors.")
    ] = None,
    sizes: Annotated[
        str | None, typer.Option(help="Rows of each class: 64,192. Default: the population.")
    ] = None,
    kernel: Annotated[Literal["nngp", "ntk", "conjugate"], typer.Option(help="Kernel.")] = "nngp",
    activation: options.Activation = "relu",
    slope: options.Slope = None,
    depth: options.Depth = 2,
    weight_variance: options.WeightVariance = "1",
    bias_variance: options.BiasVariance = "0",
    convention: Annotated[
        options.ConventionName, typer.Option(help="Class weights of the two covariances.")
    ] = DEFAULT_CONVENTION,
    as_json: options.Json = False,
) -> None:
    """Expected NC1 of Gaussian classes N(mu_c, s_c^2 I), without drawing a data set.

    nc1fast theory --means=-2,2 --stds 0.5 --features 128
    nc1fast theory --means "1,0,0;0,1,0" --stds 0.5,1 --sizes 64,192 --kernel ntk
    """
    chosen = options.KernelOptions(
        kernel, activation, slope, depth, weight_variance, bias_variance, "ntk", None
    ).kernel()
    vectors = [options.numbers("--means", part) for part in means.split(";")]
    result = nc.theory.expected_collapse(
        chosen,
        vectors if len(vectors) > 1 else vectors[0],
        options.one_or_list("--stds", stds),
        n_features=_features(features),
        sizes=None if sizes is None else options.numbers("--sizes", sizes, int),
        convention=convention,
    )
    row: dict[str, Any] = {
        "nc1": result.nc1,
        "standard_error": result.standard_error,
        "trace_within": result.trace_within,
        "trace_between": result.trace_between,
        "within_by_class": result.within_by_class.tolist(),
        "class_gram": result.class_gram.tolist(),
        "kernel": repr(result.kernel),
        "means": list(result.means),
        "stds": list(result.stds or ()),
        "n_features": result.n_features,
        "sizes": "population" if result.sizes is None else list(result.sizes),
        "convention": result.convention,
        "method": result.method,
        "version": nc.__version__,
    }
    output.show(row, as_json)


def _features(text: str | None) -> float | None:
    """The number of features of an option: an integer, inf, or None where it is left out."""
    if text is None or text == "inf":
        return None if text is None else math.inf
    found: list[int] = options.numbers("--features", text, int)
    if len(found) > 1:
        raise ValueError(f"--features must be one integer or inf, got {text!r}")
    return found[0]
