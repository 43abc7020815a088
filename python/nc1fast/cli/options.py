"""Options that several commands share, and groups of them.

A group is a dataclass whose fields are options, with what they make: a command that takes a group
as one parameter has all of its options (`expanded`).
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
import tempfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, get_type_hints

import numpy as np
import typer

import nc1fast as nc
from nc1fast.core.activations import FAMILIES
from nc1fast.datasets.paths import labelled, rows_at_path
from nc1fast.datasets.tables import is_text_table
from nc1fast.inputs.files import as_source, read_labels
from nc1fast.kernels import registry
from nc1fast.metrics import definitions
from nc1fast.support.arguments import as_number
from nc1fast.support.progress import reporting
from nc1fast.support.reading import check_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Names of the kernels, and all that --kernel takes.
KERNELS = tuple(registry.options())
if TYPE_CHECKING:
    KernelName: TypeAlias = str
else:
    _CHOICES = (*KERNELS, "features", "precomputed")
    KernelName = Literal[_CHOICES]

_MAGIC = {
    b"PK": ".npz",
    b"\x93NUMPY": ".npy",
    b"\x1f\x8b": ".csv.gz",
    b"PAR1": ".parquet",
    b"ARROW1": ".arrow",
    b"\x89HDF": ".h5",
}
_FIRST_BYTES = 1 << 16  # of gzipped text, in which the separator is looked for
Dtype: TypeAlias = Literal["float64", "float32", "mixed"]
Statistics: TypeAlias = Literal["all", "sums"]
Parametrization: TypeAlias = Literal["ntk", "standard"]
ConventionName: TypeAlias = definitions.Convention


def option(text: str, *names: str, **settings: Any) -> Any:
    """An option of typer with this help text."""
    return typer.Option(*names, help=text, **settings)


DATA_HELP = (
    "a file of data (.npz, .npy, .csv, .tsv, .mat, .h5, .pt, .parquet, .arrow, IDX, a batch of "
    "CIFAR), a folder of MNIST, CIFAR or a Hugging Face data set, FILE::COLUMN,COLUMN or "
    "FILE::NAME for a part of a file, or the word digits (scikit-learn's)."
)
DATA_OR_STDIN_HELP = (
    f"{DATA_HELP[0].upper()}{DATA_HELP[1:-1]}; - is standard input (.npz, .npy, .h5, .parquet, "
    ".arrow, or text: .csv, .tsv, gzipped or not)."
)
Data = Annotated[str, typer.Argument(help=DATA_OR_STDIN_HELP)]
Kernel = Annotated[
    KernelName,
    option("features: NC1 of the data as they are. precomputed: X is a Gram matrix."),
]
WeightVariance = Annotated[
    str,
    option(
        "Variance sw2, one for each layer from input to output: 1,3.88, or he, that of He for the "
        "ReLU family."
    ),
]
Threads = Annotated[int | None, option("Number of threads; default: all cores.")]
Convention = Annotated[
    ConventionName | None,
    option("Class weights of the two covariances; default: papyan."),
]
Json = Annotated[
    bool, option("Print JSON, one object in a line; docs/guide.md has its fields.", "--json")
]


def expanded(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command as typer reads it: each group among its parameters replaced by its options."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {
        name: kind for name, kind in hints.items() if dataclasses.is_dataclass(kind)
    }
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        if (group := groups.get(parameter.name)) is None:
            parameters.append(parameter.replace(annotation=hints[parameter.name]))
            continue
        of_group = get_type_hints(group, include_extras=True)
        parameters += [
            parameter.replace(
                name=one.name,
                default=parameter.empty if one.default is dataclasses.MISSING else one.default,
                annotation=of_group[one.name],
            )
            for one in dataclasses.fields(group)
        ]

    def run(**given: Any) -> Any:
        for name, group in groups.items():
            own = {one.name: given.pop(one.name) for one in dataclasses.fields(group)}
            given[name] = group(**own)
        return command(**given)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run


@dataclass(frozen=True)
class DataOptions:
    """How a labelled data set is read."""

    labels: Annotated[
        str | None,
        option(
            "Column of a table (name or index), name of an array in the file, or a file of labels: "
            "FILE or FILE::NAME; default: the column or array with a usual name (label, target, "
            "class, y), else the last column."
        ),
    ] = None
    keys: Annotated[str | None, option("Names of the data and the labels in the file: X,y.")] = None
    scale: Annotated[nc.datasets.Scale, option("Scaling of the features.")] = "none"

    def load(self, data: str) -> tuple[Any, Any]:
        """X (n_samples, n_features) and y (n_samples,), in memory."""
        if data == "digits":
            return nc.datasets.digits(self.scale)
        if data == "-":
            return self._load_stdin()
        if Path(data.partition("::")[0]).suffix == ".zarr":
            X, y = labelled(*self._paths(data))
            rows, labels = np.asarray(as_source(X)[:], np.float64), read_labels(y)
            return nc.datasets.apply_scale(rows, self.scale), labels
        return nc.datasets.load(data, keys=self.pair, labels=self.part, scale=self.scale)

    def rows(self, data: str) -> Any:
        """X alone, of files without labels, too; of a table that has them by default the last
        column is left out.
        """
        file = Path(data.partition("::")[0])
        table = is_text_table(file) or file.suffix in (".parquet", ".pq", ".arrow", ".feather")
        if data in ("digits", "-") or table or self.labels or self.keys:
            return self.load(data)[0]
        return nc.datasets.apply_scale(np.asarray(rows_at_path(data)[:]), self.scale)

    def source(self, data: str, memory_limit: int | None) -> tuple[Any, Any]:
        """X and y as `nc1fast.collapse` takes them: in memory, or as paths under a memory limit."""
        if memory_limit is None or data in ("digits", "-"):
            return self.load(data)
        if self.scale != "none":
            raise ValueError(
                f"--scale must be none with --memory-limit, which leaves the data in their file, "
                f"got {self.scale}"
            )
        return self._paths(data)

    def _load_stdin(self) -> tuple[Any, Any]:
        """X and y from standard input, whose first bytes tell its kind."""
        content = sys.stdin.buffer.read()
        if not content:
            raise ValueError("- stands for standard input, which is empty")
        kind = next((end for magic, end in _MAGIC.items() if content.startswith(magic)), ".csv")
        if kind.startswith(".csv") and b"\t" in _first_line(content):
            kind = kind.replace("c", "t", 1)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"stdin{kind}"
            path.write_bytes(content)
            return self.load(str(path))

    def _paths(self, data: str) -> tuple[str, Any]:
        """X and y as `nc1fast.collapse` takes them."""
        if self.pair is None:
            return data, self.part
        rows, label = self.pair
        return f"{data}::{rows}", f"{data}::{label}"

    @property
    def pair(self) -> tuple[str, str] | None:
        """The names of --keys: of the data, which may be several columns, and of the labels."""
        if self.keys is None:
            return None
        data, comma, label = self.keys.rpartition(",")
        if not comma or not data.strip() or not label.strip():
            raise ValueError(f"--keys must be two names joined by a comma, got {self.keys!r}")
        return data.strip(), label.strip()

    @property
    def part(self) -> str | int | None:
        """The labels as `nc1fast.datasets.load` takes them: text, or the index of a column."""
        text = self.labels or ""
        return int(text) if text.lstrip("-").isdecimal() else self.labels


@dataclass(frozen=True)
class LayerOptions:
    """The layers of a network whose kernel is meant."""

    activation: Annotated[
        str,
        option(
            "relu, erf, ...: one of nc1fast.activations(); NAME:NUMBER for one with a parameter, "
            "as shifted_relu:0.5."
        ),
    ] = "relu"
    slope: Annotated[float | None, option("Negative slope of --activation leaky_relu.")] = None
    depth: Annotated[int, option("Number of weight layers; 2 is one hidden layer.")] = 2
    weight_variance: WeightVariance = "1"
    bias_variance: Annotated[
        str, option("Variance sb2, or one for each layer from input to output.")
    ] = "0"

    def kernel(self, name: str) -> Any:
        """The kernel as `nc1fast.collapse` takes it: None for explicit features, a name for a Gram
        matrix.
        """
        if name in ("features", "precomputed"):
            return None if name == "features" else name
        kind = registry.of_option(name)
        own = {field.name for field in dataclasses.fields(kind)}
        given = dataclasses.asdict(self) | {
            "activation": self.function,
            "weight_variance": self.weight_variance
            if self.weight_variance == "he"
            else one_or_list("--weight-variance", self.weight_variance),
            "bias_variance": one_or_list("--bias-variance", self.bias_variance),
        }
        return kind(**{name: value for name, value in given.items() if name in own})

    @property
    def function(self) -> Any:
        """The activation as the kernels take it, of a name, NAME:NUMBER, or leaky_relu's slope."""
        name, given, text = self.activation.partition(":")
        if given:
            found = numbers("--activation", text)
            if name not in FAMILIES or len(found) != 1:
                allowed = ", ".join(FAMILIES)
                raise ValueError(
                    f"one number belongs to --activation {allowed}, got {self.activation!r}"
                )
            return FAMILIES[name](found[0])
        if self.slope is None:
            return self.activation
        if self.activation != "leaky_relu":
            raise ValueError("--slope belongs to --activation leaky_relu")
        return nc.LeakyReLU(self.slope)


@dataclass(frozen=True)
class KernelOptions(LayerOptions):
    """The same, with what tangent kernels have of their own."""

    parametrization: Annotated[Parametrization, option("Parametrization of --kernel ntk.")] = "ntk"
    width: Annotated[
        float | None, option("Hidden units, for --parametrization standard alone.")
    ] = None

    def kernel(self, name: str) -> Any:
        """As `LayerOptions.kernel`; refuses these two options for other kernels of networks."""
        of_tangents = self.parametrization != "ntk" or self.width is not None
        if of_tangents and name not in ("features", "precomputed"):
            own = {field.name for field in dataclasses.fields(registry.of_option(name))}
            if "depth" in own and "width" not in own:
                raise ValueError("--parametrization and --width belong to --kernel ntk")
        return super().kernel(name)

    def kernel_of_rows(self, name: str) -> Any:
        """A kernel object; explicit features count as a linear kernel."""
        if name == "precomputed":
            raise ValueError("--kernel must be a kernel of rows for this command, got precomputed")
        return self.kernel("linear" if name == "features" else name)


@dataclass(frozen=True)
class PassOptions:
    """How a pass over all pairs of rows runs."""

    dtype: Annotated[Dtype, option("Precision of the tiles; mixed: float64 within classes.")] = (
        "float64"
    )
    statistics: Annotated[
        Statistics, option("sums: NC1 and traces alone, in O(C^2) instead of O(N C) memory.")
    ] = "all"
    memory_limit: Annotated[
        float | None,
        option(
            "MiB beside the data, which stay in their file if it is .npy, .npz, .h5, .zarr or "
            ".parquet."
        ),
    ] = None
    device: Annotated[str, option("cpu, cuda, cuda:INDEX or cuda:all.")] = "cpu"
    threads: Threads = None

    @property
    def memory_bytes(self) -> int | None:
        """The bytes of --memory-limit, which is in MiB."""
        limit = self.memory_limit
        return None if limit is None else int(as_number("--memory-limit", limit, above=0) * 2**20)

    @property
    def settings(self) -> dict[str, Any]:
        """Keyword arguments of `nc1fast.collapse` and others."""
        return {
            "statistics": self.statistics,
            "dtype": self.dtype,
            "device": self.device,
            "n_threads": self.threads,
            "memory_limit": self.memory_bytes,
        }


def _first_line(content: bytes) -> bytes:
    """The first line of a text, gzipped or not; empty for a gzip stream that is damaged."""
    if content.startswith(b"\x1f\x8b"):
        try:
            content = zlib.decompressobj(31).decompress(content, _FIRST_BYTES)
        except zlib.error:
            return b""
    return content[:_FIRST_BYTES].partition(b"\n")[0]


def numbers(option: str, text: str, kind: type[int | float] = float) -> list[Any]:
    """The numbers of a text that joins them by commas; `option` is named where it does not."""
    try:
        return [kind(word) for word in text.split(",")]
    except ValueError:
        what = "integers" if kind is int else "numbers"
        raise ValueError(f"{option} must be {what} joined by commas, got {text!r}") from None


def one_or_list(option: str, text: str, kind: type[int | float] = float) -> Any:
    """A number, or a list of numbers where there is a comma."""
    found = numbers(option, text, kind)
    return found if len(found) > 1 else found[0]


def check_out(out: Path | None, *endings: str) -> None:
    """Refuse, before the work begins, an --out that could not be written at its end."""
    if out is None:
        return
    if out.suffix not in endings:
        raise ValueError(f"--out must end in {' or '.join(endings)}, got {str(out)!r}")
    if not out.parent.is_dir():
        raise ValueError(f"--out must be a file in a folder that exists, got {str(out)!r}")
    check_regular(out, "--out")


@contextmanager
def progress(unit: str) -> Iterator[Callable[[int, int], object] | Literal[False]]:
    """A progress bar on a terminal, else False: as `progress=` takes it."""
    with reporting(sys.stderr.isatty(), unit, leave=False) as report:
        yield report or False
