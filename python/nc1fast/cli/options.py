"""Options that several commands share, the objects that group them, and progress."""

from __future__ import annotations

import dataclasses
import sys
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import numpy as np
import typer

import nc1fast as nc
from nc1fast.activations import FAMILIES
from nc1fast.datasets.csv_table import is_table
from nc1fast.datasets.paths import labelled, rows_at_path
from nc1fast.inputs.files import as_source, read_labels
from nc1fast.kernels import registry
from nc1fast.metrics import definitions
from nc1fast.support.arguments import as_number
from nc1fast.support.progress import reporting
from nc1fast.support.reading import check_regular

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

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

DATA_HELP = (
    "a file of data (.npz, .npy, .csv, .tsv, .mat, .h5, .pt, .parquet, .arrow, IDX, a batch of CIFAR), a folder of MNIST, "
    "CIFAR or a Hugging Face data set, FILE::COLUMN,COLUMN or FILE::NAME for a part of a file, or the word digits (scikit-learn's)."
)
DATA_OR_STDIN_HELP = f"{DATA_HELP[0].upper()}{DATA_HELP[1:-1]}; - is standard input (.npz, .npy, .h5, .parquet, .arrow, or text: .csv, .tsv, gzipped or not)."
Data = Annotated[str, typer.Argument(help=DATA_OR_STDIN_HELP)]
Labels = Annotated[
    str | None,
    typer.Option(
        help="Column of a table (name or index), name of an array in the file, or a file of labels: FILE or FILE::NAME; "
        "default: the column or array with a usual name (label, target, class, y), else the last column."
    ),
]
Keys = Annotated[
    str | None, typer.Option(help="Names of the data and the labels in the file: X,y.")
]
Scale = Annotated[nc.datasets.Scale, typer.Option(help="Scaling of the features.")]
Kernel = Annotated[
    KernelName,
    typer.Option(help="features: NC1 of the data as they are. precomputed: X is a Gram matrix."),
]
Activation = Annotated[
    str,
    typer.Option(
        help="relu, erf, ...: one of nc1fast.activations(); NAME:NUMBER for one with a parameter, as shifted_relu:0.5."
    ),
]
Slope = Annotated[float | None, typer.Option(help="Negative slope of --activation leaky_relu.")]
Depth = Annotated[int, typer.Option(help="Number of weight layers; 2 is one hidden layer.")]
WeightVariance = Annotated[
    str,
    typer.Option(
        help="Variance sw2, one for each layer from input to output: 1,3.88, or he, that of He for the ReLU family."
    ),
]
BiasVariance = Annotated[
    str, typer.Option(help="Variance sb2, or one for each layer from input to output.")
]
NTKParametrization = Annotated[
    Parametrization, typer.Option(help="Parametrization of --kernel ntk.")
]
Width = Annotated[
    float | None, typer.Option(help="Hidden units, for --parametrization standard alone.")
]
Precision = Annotated[
    Dtype, typer.Option(help="Precision of the tiles; mixed: float64 within classes.")
]
Sums = Annotated[
    Statistics, typer.Option(help="sums: NC1 and traces alone, in O(C^2) instead of O(N C) memory.")
]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:INDEX or cuda:all.")]
Threads = Annotated[int | None, typer.Option(help="Number of threads; default: all cores.")]
MemoryLimit = Annotated[
    float | None,
    typer.Option(
        help="MiB beside the data, which stay in their file if it is .npy, .npz, .h5, .zarr or .parquet."
    ),
]
Convention = Annotated[
    ConventionName | None,
    typer.Option(help="Class weights of the two covariances; default: papyan."),
]
Json = Annotated[
    bool,
    typer.Option("--json", help="Print JSON, one object in a line; docs/guide.md has its fields."),
]


@dataclass(frozen=True)
class DataOptions:
    """The options that name a labelled data set; see `Data`, `Labels`, `Keys` and `Scale`."""

    data: str
    labels: str | None
    keys: str | None
    scale: Any

    def load(self) -> tuple[Any, Any]:
        """X (n_samples, n_features) and y (n_samples,), in memory."""
        if self.data == "digits":
            return nc.datasets.digits(self.scale)
        if self.data == "-":
            return self._load_stdin()
        if Path(self.data.partition("::")[0]).suffix == ".zarr":
            X, y = labelled(*self._paths())
            rows, labels = np.asarray(as_source(X)[:], np.float64), read_labels(y)
            return nc.datasets.apply_scale(rows, self.scale), labels
        return nc.datasets.load(self.data, keys=self.pair, labels=self.part, scale=self.scale)

    def rows(self) -> Any:
        """X alone, of files without labels, too; of a table that has them by default the last
        column is left out.
        """
        file = Path(self.data.partition("::")[0])
        table = is_table(file) or file.suffix in (".parquet", ".pq", ".arrow", ".feather")
        if self.data in ("digits", "-") or table or self.labels or self.keys:
            return self.load()[0]
        return nc.datasets.apply_scale(np.asarray(rows_at_path(self.data)[:]), self.scale)

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
            return dataclasses.replace(self, data=str(path)).load()

    def _paths(self) -> tuple[str, Any]:
        """X and y as `nc1fast.collapse` takes them."""
        if self.pair is None:
            return self.data, self.part
        data, label = self.pair
        return f"{self.data}::{data}", f"{self.data}::{label}"

    @property
    def pair(self) -> tuple[str, str] | None:
        """The names of --keys: of the data, which may be several columns, and of the labels."""
        if self.keys is None:
            return None
        data, comma, label = self.keys.rpartition(",")
        if not comma or not data.strip() or not label.strip():
            raise ValueError(f"--keys takes two names joined by a comma, got {self.keys!r}")
        return data.strip(), label.strip()

    @property
    def part(self) -> str | int | None:
        """The labels as `nc1fast.datasets.load` takes them: text, or the index of a column."""
        text = self.labels or ""
        return int(text) if text.lstrip("-").isdecimal() else self.labels

    def source(self, memory_limit: float | None) -> tuple[Any, Any]:
        """X and y as `nc1fast.collapse` takes them: in memory or, under a memory limit, as paths."""
        if memory_limit is None or self.data in ("digits", "-"):
            return self.load()
        if self.scale != "none":
            raise ValueError(
                "--memory-limit leaves the data in their file, as they are: no --scale"
            )
        return self._paths()


@dataclass(frozen=True)
class KernelOptions:
    """The options that describe a kernel, under the names of `nc1fast`'s kernel classes."""

    name: str
    activation: str
    slope: float | None
    depth: int
    weight_variance: str
    bias_variance: str
    parametrization: str
    width: float | None

    def kernel(self) -> Any:
        """The kernel as `nc1fast.collapse` takes it: None for explicit features, a name for a Gram
        matrix.
        """
        if self.name == "features":
            return None
        if self.name == "precomputed":
            return self.name
        kind = registry.of_option(self.name)
        own = {field.name for field in dataclasses.fields(kind)}
        layered = "depth" in own
        if (
            layered
            and "width" not in own
            and (self.parametrization != "ntk" or self.width is not None)
        ):
            raise ValueError("--parametrization and --width belong to --kernel ntk")
        given = dataclasses.asdict(self) | {
            "activation": activation_of(self.activation, self.slope),
            "weight_variance": self.weight_variance
            if self.weight_variance == "he"
            else one_or_list("--weight-variance", self.weight_variance),
            "bias_variance": one_or_list("--bias-variance", self.bias_variance),
        }
        return kind(**{name: value for name, value in given.items() if name in own})


def _first_line(content: bytes) -> bytes:
    """The first line of a text, gzipped or not; empty for a gzip stream that is damaged."""
    if content.startswith(b"\x1f\x8b"):
        try:
            content = zlib.decompressobj(31).decompress(content, _FIRST_BYTES)
        except zlib.error:
            return b""
    return content[:_FIRST_BYTES].partition(b"\n")[0]


def memory_bytes(limit: float | None) -> int | None:
    """The bytes of --memory-limit, which is in MiB."""
    return None if limit is None else int(as_number("--memory-limit", limit, above=0) * 2**20)


def activation_of(activation: str, slope: float | None) -> Any:
    """An activation as the kernels take it: a name, NAME:NUMBER, or leaky_relu with a slope."""
    name, given, text = activation.partition(":")
    if given:
        found = numbers("--activation", text)
        if name not in FAMILIES or len(found) != 1:
            allowed = ", ".join(FAMILIES)
            raise ValueError(f"one number belongs to --activation {allowed}, got {activation!r}")
        return FAMILIES[name](found[0])
    if slope is None:
        return activation
    if activation != "leaky_relu":
        raise ValueError("--slope belongs to --activation leaky_relu")
    return nc.LeakyReLU(slope)


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


def progress(unit: str) -> AbstractContextManager[Callable[[int, int], object] | None]:
    """A progress bar on a terminal, and nothing otherwise."""
    return reporting(sys.stderr.isatty(), unit, leave=False)
