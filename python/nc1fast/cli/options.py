"""What the commands share: options of the data, lists of numbers, output, progress."""

from __future__ import annotations

import json
import math
import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import typer

import nc1fast as nc
from nc1fast.support.arguments import as_number
from nc1fast.support.progress import reporting

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

KernelName: TypeAlias = Literal["nngp", "ntk", "conjugate", "linear", "features", "precomputed"]
Dtype: TypeAlias = Literal["float64", "float32", "mixed"]
Statistics: TypeAlias = Literal["all", "sums"]
Parametrization: TypeAlias = Literal["ntk", "standard"]
ConventionName: TypeAlias = Literal["papyan", "probe", "class", "sample", "released"]

Data = Annotated[str, typer.Argument(help=".npz, .npy, .csv or IDX file; or the word digits.")]
Labels = Annotated[
    str | None, typer.Option(help="Column of a .csv (name or index); path for .npy, IDX.")
]
Keys = Annotated[str | None, typer.Option(help="X,y: names in an .npz file.")]
Scale = Annotated[nc.datasets.Scale, typer.Option(help="Of the features.")]
Activation = Annotated[str, typer.Option(help="See nc1fast.activations().")]
Slope = Annotated[float | None, typer.Option(help="Of leaky_relu.")]
Depth = Annotated[int, typer.Option(help="Weight layers; 2 is one hidden layer.")]
Variance = Annotated[float, typer.Option()]
NTKParametrization = Annotated[Parametrization, typer.Option(help="Of the NTK.")]
Width = Annotated[float | None, typer.Option(help="For --parametrization standard.")]
Precision = Annotated[Dtype, typer.Option(help="Precision of the tiles.")]
Sums = Annotated[Statistics, typer.Option(help="sums needs less memory.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:INDEX or cuda:all.")]
Threads = Annotated[int | None, typer.Option(help="Default: all cores.")]
MemoryLimit = Annotated[
    float | None,
    typer.Option(
        help="MiB beside the data, which then stay in their file: .npy with --labels, .npz with --keys, "
        "FILE.h5::NAME, FILE.zarr::NAME, FILE.parquet::COLUMN,COLUMN with --labels FILE::NAME."
    ),
]
Convention = Annotated[ConventionName | None, typer.Option(help="Class weights; default papyan.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object.")]

KERNELS = {"nngp": nc.NNGP, "ntk": nc.NTK, "conjugate": nc.ConjugateKernel}


def data_of(data: str, labels: str | None, keys: str | None, scale: Any) -> tuple[Any, Any]:
    """X and y that the options of the data name."""
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


def source_of(
    data: str, labels: str | None, keys: str | None, scale: Any, memory_limit: float | None
) -> tuple[Any, Any, int | None]:
    """X and y, in memory or, where there is a limit, as paths; and the limit in bytes."""
    if memory_limit is None:
        return *data_of(data, labels, keys, scale), None
    if scale != "none":
        raise ValueError("--memory-limit leaves the data in their file, as they are: no --scale")
    if keys is not None and keys.count(",") == 1:
        data, labels = (f"{data}::{key.strip()}" for key in keys.split(","))
    if labels is None:
        raise ValueError(
            "--memory-limit leaves the data in their file: give --labels, the path of an .npy file or FILE::NAME, "
            "or --keys X,y of an .npz file"
        )
    return data, labels, int(as_number("--memory-limit", memory_limit, above=0) * 2**20)


def activation_of(activation: str, slope: float | None) -> Any:
    """An activation that the kernels know; only leaky_relu has a slope."""
    if slope is None:
        return activation
    if activation != "leaky_relu":
        raise ValueError("--slope belongs to --activation leaky_relu")
    return nc.LeakyReLU(slope)


def kernel_of(
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
    """The kernel that the options describe; None for explicit features."""
    if name == "features":
        return None
    if name == "precomputed":
        return name
    if name == "linear":
        return nc.Linear(weight_variance, bias_variance)
    phi = activation_of(activation, slope)
    settings: dict[str, Any] = {"weight_variance": weight_variance, "bias_variance": bias_variance}
    if name == "ntk":
        settings |= {"parametrization": parametrization, "width": width}
    elif parametrization != "ntk" or width is not None:
        raise ValueError("--parametrization and --width belong to --kernel ntk")
    return KERNELS[name](phi, depth, **settings)


def numbers(option: str, text: str, kind: type[int | float] = float) -> list[Any]:
    """Numbers joined by commas."""
    try:
        return [kind(word) for word in text.split(",")]
    except ValueError:
        what = "integers" if kind is int else "numbers"
        raise ValueError(f"{option} must be {what} joined by commas, got {text!r}") from None


def one_or_list(option: str, text: str, kind: type[int | float] = float) -> Any:
    """A number, or a list of them where there is a comma."""
    found = numbers(option, text, kind)
    return found if len(found) > 1 else found[0]


def show(row: dict[str, Any], as_json: bool) -> None:
    """One JSON object, or a line per value; what is empty or NaN is left out."""
    known = {
        k: v for k, v in row.items() if v != "" and not (isinstance(v, float) and math.isnan(v))
    }
    if as_json:
        show_json(known)
        return
    column = max(16, *map(len, known))
    for name, value in known.items():
        shown = f"{value:.12g}" if isinstance(value, float) else value
        typer.echo(f"{name:<{column}} {shown}")


def show_json(value: Any) -> None:
    """One line of strict JSON: NaN is null, infinities are strings."""
    typer.echo(json.dumps(_strict(value), allow_nan=False))


def _strict(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _strict(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_strict(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def progress(unit: str) -> AbstractContextManager[Callable[[int, int], object] | None]:
    """Show a progress bar on a terminal, nothing otherwise."""
    return reporting(sys.stderr.isatty(), unit, leave=False)
