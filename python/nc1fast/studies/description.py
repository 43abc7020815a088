"""What a study is: data x kernels x repeats, checked, as YAML on disk.

A study has arms; an arm is one family of data sets, a list of kernels, repeats and conventions.
The built-in ones are the .yml files of this folder.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, TypeVar

from nc1fast import kernels as _kernels
from nc1fast._extras import require
from nc1fast.activations import Activation, LeakyReLU

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

try:
    from pydantic import (
        BaseModel,
        ConfigDict,
        Field,
        ValidationError,
        field_validator,
        model_validator,
    )
except ModuleNotFoundError as _error:
    raise ImportError(
        "pydantic is not installed; it comes with the 'study' extra: pip install 'nc1fast[study]'"
    ) from _error

T = TypeVar("T")
Count = Annotated[int, Field(strict=True, ge=1)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Variance = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._+-]{0,40}$")]
Scale = Literal["none", "unit-interval", "standardize", "unit-norm"]
Convention = Literal["papyan", "probe", "class", "sample", "released"]
RELEASED_ERF_NTK = "compat.released.erf_ntk"
KernelRow: TypeAlias = dict[str, Any]  # the columns of the table that name a kernel


@dataclass(frozen=True)
class ReleasedErfNTK:
    """Stands for `nc1fast.compat.released.erf_ntk`, which is a Gram matrix and not a kernel."""

    weight_variance: float
    bias_variance: float


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GaussianMixture(_Model):
    """Class c is N(means[c] * ones, stds[c]^2 I); one data set per size and number of features.

    `n_samples` lists totals that are divided equally; `sizes` lists the class sizes one by one.
    """

    source: Literal["gaussian_mixture"]
    name: Name
    means: Annotated[tuple[Number, ...], Field(min_length=2)]
    stds: Variance | tuple[Variance, ...]
    n_features: Annotated[tuple[Count, ...], Field(min_length=1)]
    n_samples: tuple[Count, ...] = ()
    sizes: tuple[tuple[Count, ...], ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> GaussianMixture:
        n_classes = len(self.means)
        if bool(self.n_samples) == bool(self.sizes):
            raise ValueError(
                "give either n_samples (equal classes) or sizes (one list per data set)"
            )
        if isinstance(self.stds, tuple) and len(self.stds) != n_classes:
            raise ValueError(f"stds must be one number or {n_classes}, one per mean")
        for n in self.n_samples:
            if n % n_classes:
                raise ValueError(f"n_samples {n} cannot be divided into {n_classes} equal classes")
        for sizes in self.sizes:
            if len(sizes) != n_classes:
                raise ValueError(
                    f"each entry of sizes must have {n_classes} numbers, got {list(sizes)}"
                )
        return self

    def instances(self) -> Iterator[tuple[tuple[int, ...], int]]:
        """(class sizes, features) of each data set, in order."""
        n_classes = len(self.means)
        equal = ((n // n_classes,) * n_classes for n in self.n_samples)
        return itertools.product((*equal, *self.sizes), self.n_features)


class Digits(_Model):
    """The handwritten digits of scikit-learn: 1797 images of 64 pixels, 10 classes.

    `n_samples`: rows drawn afresh for each repeat, without replacement, classes in proportion; all of
    them, once, if left out.
    """

    source: Literal["digits"]
    name: Name = "digits"
    n_samples: Count | None = None
    scale: Scale = "unit-interval"


class File(_Model):
    """A data file, as `nc1fast.datasets.load` reads it. `path` is relative to the study's file."""

    source: Literal["file"]
    name: Name
    path: str
    keys: tuple[str, str] | None = None
    labels: str | None = None
    n_samples: Count | None = None
    scale: Scale = "none"


class Kernels(_Model):
    """Kernels of one class: one for each activation and depth listed."""

    kernel: Literal["ConjugateKernel", "NNGP", "NTK", "Linear", "compat.released.erf_ntk"]
    activation: str | tuple[str, ...] | None = None
    slope: Number | None = None
    depth: Count | tuple[Count, ...] = 2
    weight_variance: Variance | tuple[Variance, ...] = 1.0
    bias_variance: Variance | tuple[Variance, ...] = 0.0
    parametrization: Literal["ntk", "standard"] | None = None
    width: Count | tuple[Count, ...] | None = None
    train_bias: bool | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Kernels:
        list(self.expand())  # the kernel classes check their own arguments
        return self

    def expand(self) -> Iterator[tuple[KernelRow, Any]]:
        """Pairs of the columns that name a kernel, and the kernel."""
        if self.kernel in ("Linear", RELEASED_ERF_NTK):
            self._allow("weight_variance", "bias_variance")
            weight, bias = self.weight_variance, self.bias_variance
            if isinstance(weight, tuple) or isinstance(bias, tuple):
                raise ValueError(f"{self.kernel} takes one variance, not one per layer")
            if self.kernel == "Linear":
                yield self._row("", 1), _kernels.Linear(weight, bias)
            else:
                yield self._row("erf", 2), ReleasedErfNTK(weight, bias)
            return
        if self.activation is None:
            raise ValueError(f"{self.kernel} needs an activation")
        for name, depth in itertools.product(_tuple(self.activation), _tuple(self.depth)):
            activation: Activation = name
            if name == "leaky_relu":
                activation = LeakyReLU() if self.slope is None else LeakyReLU(self.slope)
            elif self.slope is not None:
                raise ValueError("slope belongs to the activation leaky_relu")
            options: dict[str, Any] = {
                "weight_variance": self.weight_variance,
                "bias_variance": self.bias_variance,
            }
            for option in ("parametrization", "width", "train_bias"):
                if (value := getattr(self, option)) is not None:
                    options[option] = value
            if self.kernel != "NTK":
                self._allow("activation", "slope", "depth", "weight_variance", "bias_variance")
            kernel = getattr(_kernels, self.kernel)(activation, depth, **options)
            yield self._row(str(activation), depth), kernel

    def _allow(self, *names: str) -> None:
        if extra := self.model_fields_set - {"kernel", *names}:
            raise ValueError(f"{self.kernel} has no {', '.join(sorted(extra))}")

    def _row(self, activation: str, depth: int) -> KernelRow:
        parametrization = (self.parametrization or "ntk") if self.kernel == "NTK" else ""
        return {
            "kernel": self.kernel,
            "activation": activation,
            "depth": depth,
            "weight_variance": _joined(self.weight_variance),
            "bias_variance": _joined(self.bias_variance),
            "parametrization": parametrization,
        }


class Arm(_Model):
    """One family of data sets, its kernels and its repeats (default: the study's)."""

    name: Name
    data: Annotated[
        tuple[Annotated[GaussianMixture | Digits | File, Field(discriminator="source")], ...],
        Field(min_length=1),
    ]
    kernels: Annotated[tuple[Kernels, ...], Field(min_length=1)]
    conventions: Annotated[tuple[Convention, ...], Field(min_length=1)] = ("papyan",)
    repeats: Count | None = None

    @model_validator(mode="after")
    def _distinct(self) -> Arm:
        _reject_duplicates("data", (data.name for data in self.data))
        _reject_duplicates("conventions", self.conventions)
        rows = [tuple(row.values()) for entry in self.kernels for row, _ in entry.expand()]
        _reject_duplicates(
            "kernels", (" ".join(str(value) for value in row if value) for row in rows)
        )
        return self


class Study(_Model):
    """A whole study.

    Parameters
    ----------
    name, title : str
    preset : str, default ""
        Which variant of a built-in study this is.
    provisional : bool, default False
        Put a banner on the report: too few repeats or cells for lasting verdicts.
    seed : int, default 0
        With the identity of a cell it gives the cell's own seed.
    repeats : int, default 10
    dtype : {"float64", "float32", "mixed"}, default "float64"
    arms : list of Arm
    """

    name: Name
    title: str
    preset: str = ""
    provisional: bool = False
    seed: Annotated[int, Field(strict=True, ge=0)] = 0
    repeats: Count = 10
    dtype: Literal["float64", "float32", "mixed"] = "float64"
    arms: Annotated[tuple[Arm, ...], Field(min_length=1)]

    @field_validator("arms")
    @classmethod
    def _distinct(cls, arms: tuple[Arm, ...]) -> tuple[Arm, ...]:
        _reject_duplicates("arms", (arm.name for arm in arms))
        return arms


def built_in() -> dict[str, list[str]]:
    """Names of the built-in studies and their presets."""
    names: dict[str, list[str]] = {}
    for entry in sorted(resources.files(__package__).iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".yml"):
            study, _, preset = entry.name.removesuffix(".yml").partition("-")
            names.setdefault(study, []).append(preset)
    return names


def load(name_or_path: str | Path, preset: str | None = None) -> Study:
    """Read and check a study.

    Parameters
    ----------
    name_or_path : str or Path
        Name of a built-in study, or a YAML file (anything with a suffix or a slash).
    preset : str, optional
        Of a built-in study; default `"quick"`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the name or preset is unknown, the YAML cannot be read, or the study is not valid: one
        line that says where and what.
    """
    text = str(name_or_path)
    if not text.endswith((".yml", ".yaml")) and "/" not in text:
        known = built_in()
        if text not in known:
            raise ValueError(
                f"unknown study {text!r}; built in: {', '.join(known)}; or give a .yml file"
            )
        preset = preset or "quick"
        if preset not in known[text]:
            raise ValueError(
                f"study {text!r} has no preset {preset!r}; choose from {', '.join(known[text])}"
            )
        source = resources.files(__package__) / f"{text}-{preset}.yml"
        return parse(source.read_text(), f"{text}-{preset}")
    if preset is not None:
        raise ValueError("preset belongs to a built-in study, not to a file")
    path = Path(text)
    try:
        content = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a text file: {error}") from None
    return _resolve(parse(content, str(path)), path.parent)


def parse(text: str, where: str = "study") -> Study:
    """Read a study from YAML text; `where` begins the error messages."""
    yaml = require("yaml", "study")
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"{where}: not valid YAML: {' '.join(str(error).split())}") from None
    try:
        return Study.model_validate(content, from_attributes=False)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        told = [
            f"{'.'.join(map(str, e['loc'])) or 'study'}: {_message(e['msg'])}" for e in problems
        ]
        more = f" (and {len(told) - 3} more)" if len(told) > 3 else ""
        raise ValueError(f"{where}: {'; '.join(told[:3])}{more}") from None


def _message(text: str) -> str:
    text = text.removeprefix("Value error, ")
    return text[:1].lower() + text[1:]


def _resolve(study: Study, folder: Path) -> Study:
    """Make the paths of data files relative to the study's own file."""
    arms = []
    for arm in study.arms:
        data = tuple(
            d.model_copy(update={"path": str(folder / d.path)}) if isinstance(d, File) else d
            for d in arm.data
        )
        arms.append(arm.model_copy(update={"data": data}))
    return study.model_copy(update={"arms": tuple(arms)})


def _tuple(value: T | tuple[T, ...]) -> tuple[T, ...]:
    return value if isinstance(value, tuple) else (value,)


def _joined(value: float | tuple[float, ...]) -> str:
    return ":".join(f"{v:.12g}" for v in _tuple(value))


def _reject_duplicates(what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{what} must differ, {name!r} is there twice")
        seen.add(name)
