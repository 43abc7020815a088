"""`collapse` and `theory`: NC1 of a kernel, on data and in expectation."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, TypeAlias

import typer

import nc1fast as nc
from nc1fast.commands import options

Kernel: TypeAlias = Literal["nngp", "ntk", "conjugate", "linear", "features", "precomputed"]
Dtype: TypeAlias = Literal["float64", "float32", "mixed"]
Statistics: TypeAlias = Literal["all", "sums"]
_KERNELS = {"nngp": nc.NNGP, "ntk": nc.NTK, "conjugate": nc.ConjugateKernel}


def collapse(
    data: options.Data,
    *,
    kernel: Annotated[Kernel, typer.Option(help="features: no kernel.")] = "nngp",
    activation: options.Activation = "relu",
    slope: options.Slope = None,
    depth: options.Depth = 2,
    weight_variance: Annotated[float, typer.Option()] = 1.0,
    bias_variance: Annotated[float, typer.Option()] = 0.0,
    parametrization: Annotated[options.Parametrization, typer.Option(help="Of the NTK.")] = "ntk",
    width: Annotated[float | None, typer.Option(help="For --parametrization standard.")] = None,
    convention: options.Convention = None,
    dtype: Annotated[Dtype, typer.Option(help="Precision of the tiles.")] = "float64",
    statistics: Annotated[Statistics, typer.Option(help="sums needs less memory.")] = "all",
    labels: options.Labels = None,
    keys: options.Keys = None,
    scale: options.Scale = "none",
    threads: Annotated[int | None, typer.Option(help="Default: all cores.")] = None,
    as_json: options.Json = False,
) -> None:
    """NC1 and its relatives of one data set under one kernel."""
    chosen = _kernel(
        kernel,
        activation=activation,
        slope=slope,
        depth=depth,
        weight_variance=weight_variance,
        bias_variance=bias_variance,
        parametrization=parametrization,
        width=width,
    )
    X, y = options.data_of(data, labels, keys, scale)
    with options.progress("tiles") as progress:
        result = nc.collapse(
            X,
            y,
            chosen,
            convention=convention,
            statistics=statistics,
            dtype=dtype,
            n_threads=threads,
            progress=progress or False,
        )
    row = {name: values[0].item() for name, values in nc.to_table(result).items()}
    row |= {"data": data, "scale": scale, "dtype": dtype, "version": nc.__version__}
    options.show(row, as_json)


def _kernel(
    name: str,
    *,
    activation: str,
    slope: float | None,
    depth: int,
    weight_variance: float,
    bias_variance: float,
    parametrization: str,
    width: float | None,
) -> Any:
    if name == "features":
        return None
    if name == "precomputed":
        return name
    if name == "linear":
        return nc.Linear(weight_variance, bias_variance)
    phi = options.activation_of(activation, slope)
    settings: dict[str, Any] = {"weight_variance": weight_variance, "bias_variance": bias_variance}
    if name == "ntk":
        settings |= {"parametrization": parametrization, "width": width}
    elif parametrization != "ntk" or width is not None:
        raise ValueError("--parametrization and --width belong to --kernel ntk")
    return _KERNELS[name](phi, depth, **settings)


def theory(
    *,
    means: Annotated[str, typer.Option(help="m_c, times the all-ones vector: -2,2.")],
    stds: Annotated[str, typer.Option(help="One for all classes, or one each: 0.5,1.")],
    features: Annotated[str, typer.Option(help="Number of features d0, or inf.")],
    sizes: Annotated[
        str | None, typer.Option(help="Rows per class: 64,192. Default: the population.")
    ] = None,
    kernel: Annotated[Literal["nngp", "ntk", "conjugate"], typer.Option()] = "nngp",
    activation: Annotated[str, typer.Option(help="relu or erf.")] = "relu",
    weight_variance: Annotated[float, typer.Option()] = 1.0,
    convention: Annotated[options.ConventionName, typer.Option(help="Class weights.")] = "papyan",
    as_json: options.Json = False,
) -> None:
    """Expected NC1 of Gaussian classes N(m_c 1, s_c^2 I), without drawing a sample."""
    chosen = _KERNELS[kernel](activation, weight_variance=weight_variance)
    n_features = [math.inf] if features == "inf" else options.numbers("--features", features, int)
    if len(n_features) > 1:
        raise ValueError(f"--features must be one integer or inf, got {features!r}")
    result = nc.theory.expected_collapse(
        chosen,
        options.numbers("--means", means),
        options.one_or_list("--stds", stds),
        n_features=n_features[0],
        sizes=None if sizes is None else options.numbers("--sizes", sizes, int),
        convention=convention,
    )
    row: dict[str, Any] = {
        "nc1": result.nc1,
        "trace_within": result.trace_within,
        "trace_between": result.trace_between,
        "within_by_class": result.within_by_class.tolist(),
        "class_gram": result.class_gram.tolist(),
        "kernel": repr(result.kernel),
        "means": list(result.means),
        "stds": list(result.stds),
        "n_features": result.n_features,
        "sizes": "population" if result.sizes is None else list(result.sizes),
        "convention": result.convention,
        "version": nc.__version__,
    }
    options.show(row, as_json)
