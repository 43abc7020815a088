"""The commands of `nc1fast`: typer over the functions of the package, no logic of their own."""

from __future__ import annotations

import json
import math
import shlex
import sys
from contextlib import contextmanager
from pathlib import Path  # noqa: TC003  (typer reads the annotations)
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from nc1fast._extras import require

try:
    import typer
except ModuleNotFoundError as _error:
    raise ImportError(
        "typer is not installed; it comes with the 'cli' extra: pip install 'nc1fast[cli]'"
    ) from _error

import nc1fast as nc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Neural Collapse metrics of kernels and features, exact and streamed.",
)


Kernel: TypeAlias = Literal["nngp", "ntk", "conjugate", "linear", "features", "precomputed"]
Convention: TypeAlias = Literal["papyan", "probe", "class", "sample", "released"]
Dtype: TypeAlias = Literal["float64", "float32", "mixed"]
Parametrization: TypeAlias = Literal["ntk", "standard"]
Statistics: TypeAlias = Literal["all", "sums"]
INTERRUPTED = 130
_USAGE_ERROR: Any = typer.BadParameter.__base__  # typer has no other name for it
_KERNELS = {"nngp": nc.NNGP, "ntk": nc.NTK, "conjugate": nc.ConjugateKernel}


def run(arguments: list[str]) -> int:
    """Run a command; returns its exit code.

    Raises
    ------
    ValueError
        For a command line that cannot be understood.
    KeyboardInterrupt
        If interrupted.
    """
    try:
        code = int(app(arguments, prog_name="nc1fast", standalone_mode=False, obj=arguments) or 0)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except _USAGE_ERROR as error:
        raise ValueError(f"{error.format_message()} (--help says more)") from None
    if code == INTERRUPTED:  # newer versions of typer return it instead of aborting
        raise KeyboardInterrupt
    return code


def _version(show: bool) -> None:
    if show:
        typer.echo(f"nc1fast {nc.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Version.")
    ] = False,
) -> None:
    pass


@app.command()
def collapse(
    data: Annotated[str, typer.Argument(help=".npz, .npy, .csv or IDX file; or the word digits.")],
    *,
    kernel: Annotated[Kernel, typer.Option(help="features: no kernel.")] = "nngp",
    activation: Annotated[str, typer.Option(help="See nc1fast.activations().")] = "relu",
    slope: Annotated[float | None, typer.Option(help="Of leaky_relu.")] = None,
    depth: Annotated[int, typer.Option(help="Weight layers; 2 is one hidden layer.")] = 2,
    weight_variance: Annotated[float, typer.Option()] = 1.0,
    bias_variance: Annotated[float, typer.Option()] = 0.0,
    parametrization: Annotated[Parametrization, typer.Option(help="Of the NTK.")] = "ntk",
    width: Annotated[float | None, typer.Option(help="For --parametrization standard.")] = None,
    convention: Annotated[
        Convention | None, typer.Option(help="Class weights; default papyan.")
    ] = None,
    dtype: Annotated[Dtype, typer.Option(help="Precision of the tiles.")] = "float64",
    statistics: Annotated[Statistics, typer.Option(help="sums needs less memory.")] = "all",
    labels: Annotated[
        str | None, typer.Option(help="Column of a .csv (name or index); path for .npy, IDX.")
    ] = None,
    keys: Annotated[str | None, typer.Option(help="X,y: names in an .npz file.")] = None,
    scale: Annotated[nc.datasets.Scale, typer.Option(help="Of the features.")] = "none",
    threads: Annotated[int | None, typer.Option(help="Default: all cores.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
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
    X, y = _data(data, labels, keys, scale)
    with _progress("tiles") as progress:
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
    _show(row, as_json)


def _show(row: dict[str, Any], as_json: bool) -> None:
    """One JSON object, or a line per value; what is empty or NaN is left out, infinities are strings in JSON."""
    known = {
        k: v for k, v in row.items() if v != "" and not (isinstance(v, float) and math.isnan(v))
    }
    if as_json:
        strict = {
            k: str(v) if isinstance(v, float) and math.isinf(v) else v for k, v in known.items()
        }
        typer.echo(json.dumps(strict, allow_nan=False))
        return
    for name, value in known.items():
        typer.echo(
            f"{name:<16} {value:.12g}" if isinstance(value, float) else f"{name:<16} {value}"
        )


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
    if slope is not None and activation != "leaky_relu":
        raise ValueError("--slope belongs to --activation leaky_relu")
    phi = activation if slope is None else nc.LeakyReLU(slope)
    options: dict[str, Any] = {"weight_variance": weight_variance, "bias_variance": bias_variance}
    if name == "ntk":
        options |= {"parametrization": parametrization, "width": width}
    elif parametrization != "ntk" or width is not None:
        raise ValueError("--parametrization and --width belong to --kernel ntk")
    return _KERNELS[name](phi, depth, **options)


def _data(
    data: str, labels: str | None, keys: str | None, scale: nc.datasets.Scale
) -> tuple[Any, Any]:
    if data == "digits":
        return nc.datasets.digits(scale)
    pair = None
    if keys is not None:
        pair = [key.strip() for key in keys.split(",")]
        if len(pair) != 2:
            raise ValueError(f"--keys takes two names joined by a comma, got {keys!r}")
    column: str | int | None = labels
    if labels is not None and data.endswith(".csv") and labels.lstrip("-").isdecimal():
        column = int(labels)
    return nc.datasets.load(data, keys=pair, labels=column, scale=scale)


@app.command()
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
    convention: Annotated[Convention, typer.Option(help="Class weights.")] = "papyan",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Expected NC1 of Gaussian classes N(m_c 1, s_c^2 I), without drawing a sample."""
    chosen = _KERNELS[kernel](activation, weight_variance=weight_variance)
    n_features = [math.inf] if features == "inf" else _numbers("--features", features, int)
    if len(n_features) > 1:
        raise ValueError(f"--features must be one integer or inf, got {features!r}")
    spread = _numbers("--stds", stds)
    result = nc.theory.expected_collapse(
        chosen,
        _numbers("--means", means),
        spread if len(spread) > 1 else spread[0],
        n_features=n_features[0],
        sizes=None if sizes is None else _numbers("--sizes", sizes, int),
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
    _show(row, as_json)


def _numbers(option: str, text: str, kind: type[int | float] = float) -> list[Any]:
    """Numbers joined by commas."""
    try:
        return [kind(word) for word in text.split(",")]
    except ValueError:
        what = "integers" if kind is int else "numbers"
        raise ValueError(f"{option} must be {what} joined by commas, got {text!r}") from None


@app.command()
def study(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of a built-in study (paper), or a .yml file.")],
    *,
    out: Annotated[Path, typer.Option(help="Folder for table, figures and report.")],
    preset: Annotated[
        str | None, typer.Option(help="Of a built-in study: quick (default) or paper.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="key=value[,value]: arm, dataset, N, d0, sizes, repeat. Repeatable."),
    ] = None,
    resume: Annotated[bool, typer.Option(help="Continue a study that was interrupted.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Print the plan and stop.")] = False,
    threads: Annotated[int | None, typer.Option(help="Default: all cores.")] = None,
) -> None:
    """Run a study: one table, figures and a report. Killing it loses at most the running cell."""
    from nc1fast import report, studies

    described = studies.load(name, preset)
    filters = only or []
    if dry_run:
        typer.echo(studies.describe_plan(described, filters))
        return
    command = shlex.join(["nc1fast", *context.obj])
    with _progress("cells") as progress:
        result = studies.run(
            described,
            out,
            only=filters,
            resume=resume,
            n_threads=threads,
            progress=progress,
            provenance={"command": command},
        )
    typer.echo(f"{len(result.rows)} rows, {result.n_computed} cells computed; {report.build(out)}")
    if result.n_failed:
        typer.echo(f"nc1fast: {result.n_failed} rows failed: see the column status", err=True)
        raise typer.Exit(1)


@app.command()
def report(folder: Annotated[Path, typer.Argument(help="Folder of a finished study.")]) -> None:
    """Draw the figures and write the report of a study again, from its table alone."""
    from nc1fast import report as _report

    typer.echo(_report.build(folder))


@app.command()
def doctor() -> None:
    """Instruction set, threads, versions, and a one-second self-test against the NumPy reference."""
    from nc1fast import provenance, selftest

    typer.echo(f"nc1fast          {nc.__version__}")
    for name, value in {**provenance.machine(), **provenance.extras()}.items():
        typer.echo(f"{name:<16} {value}")
    checks = selftest.run()
    failed = [check for check in checks if not check.passed]
    for check in failed:
        typer.echo(
            f"FAILED           {check.name}: off by {check.difference:.2g}, {check.allowed:.2g} allowed"
        )
    typer.echo(f"self-test        {len(checks) - len(failed)} of {len(checks)} checks passed")
    if failed:
        raise typer.Exit(1)


@contextmanager
def _progress(unit: str) -> Iterator[Callable[[int, int], None] | None]:
    """Show a progress bar on a terminal, nothing otherwise."""
    if not sys.stderr.isatty():
        yield None
        return
    with require("tqdm", "cli").tqdm(unit=f" {unit}", leave=False) as bar:

        def update(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield update
