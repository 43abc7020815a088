"""`probe`: the collapse of the layers of a torch module that a file of Python makes, on one data
set.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
import typer

import nc1fast as nc
from nc1fast.cli import options, output
from nc1fast.cli.options import option
from nc1fast.support.arguments import as_count
from nc1fast.support.extras import require
from nc1fast.support.reading import check_regular, readable

RowType: TypeAlias = Literal["float32", "float64", "int64"]
_POOLS = ("flatten", "mean", "max", "cls", "tokens")
_STATES = ("state_dict", "model_state_dict", "model")  # where checkpoints keep the weights
_BRIEF = ("layer", "n_samples", "nc1", "cdnv", "nc2_etf", "ncc_accuracy", "nc4_agreement")


def probe(
    model: Annotated[
        str,
        typer.Argument(
            help="FILE.py:NAME. FILE.py is executed; its NAME is a torch module, or is called "
            "without arguments and returns one."
        ),
    ],
    *,
    data: Annotated[str, typer.Option(help=options.DATA_OR_STDIN_HELP)],
    shape: Annotated[str | None, option("Shape of a row as the module takes it: 1,28,28.")] = None,
    dtype: Annotated[RowType, option("Type of the rows; int64: tokens.")] = "float32",
    layers: Annotated[
        str | None, option("Names of layers joined by commas, or blocks. Default: all leaves.")
    ] = None,
    pool: Annotated[
        str,
        option(
            "From outputs to rows: flatten, mean, max, cls or tokens; of single layers as "
            "stem=max,mean."
        ),
    ] = "flatten",
    classifier: Annotated[
        str | None, option("Name of the linear layer that classifies: NC3 and NC4.")
    ] = None,
    checkpoint: Annotated[
        Path | None,
        option("File of weights, torch.save(model.state_dict()); no code of it runs."),
    ] = None,
    batch_size: Annotated[int, option("Rows of a forward pass.")] = 1024,
    device: Annotated[str, option("cpu, cuda or cuda:INDEX: where it runs.")] = "cpu",
    convention: options.Convention = None,
    seed: Annotated[int, option("Seed of the weights that are drawn.")] = 0,
    reading: options.DataOptions,
    out: Annotated[
        Path | None, option("File of the results: .csv, or .npz with the arrays of each layer.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """NC1 and its relatives of the layers of a torch module.

    nc1fast probe model.py:build --data mnist-folder/ --shape 1,28,28 --scale unit-interval
    nc1fast probe model.py:build --data data.npz --checkpoint weights.pt --layers blocks --pool mean
    nc1fast probe model.py:Net --data digits --shape 1,8,8 --out layers.csv
    """
    options.check_out(out, ".csv", ".npz")
    torch = require("torch", "torch")
    sizes = None if shape is None else options.numbers("--shape", shape, int)
    X, y = reading.load(data)
    rows = torch.from_numpy(_shaped(X, sizes)).to(getattr(torch, dtype))
    if dtype == "int64" and not np.array_equal(rows.numpy(), _shaped(X, sizes)):
        raise ValueError("--dtype int64 needs data that are integers")
    module = _made(model, as_count("--seed", seed, 0), torch)
    if checkpoint is not None:
        _restore(module, checkpoint, torch)
    try:
        module = module.to(device)
        found = nc.networks.probe(
            module,
            rows,
            y,
            layers=_layers(layers),
            pool=_pool(pool),
            classifier=classifier,
            batch_size=batch_size,
            convention=convention,
        )
    except (RuntimeError, AssertionError) as error:  # of torch: shapes, memory, devices
        said = " ".join(str(error).split())
        raise ValueError(
            f"the module failed on rows of shape {tuple(rows.shape[1:])} on {device}: {said}"
        ) from error
    if out is not None:
        arrays = {
            f"{layer}/{name}": value
            for layer, result in found.items()
            for name, value in result.to_dict().items()
            if isinstance(value, np.ndarray)
        }
        output.write(out, found.to_table(), arrays)
    table = [{"layer": name, **output.row_of(result)} for name, result in found.items()]
    if as_json:
        about = {"model": model, "data": data, "scale": reading.scale, "passes": found.passes}
        made = {"layers": [output.known(row) for row in table], "left_out": found.reasons}
        output.show_json(made | about | {"version": nc.__version__})
        return
    output.show_rows(table, as_json=False, brief=_BRIEF)
    for name, reason in found.reasons.items():
        typer.echo(f"nc1fast: left out: {name}: {reason}", err=True)


def _shaped(X: Any, sizes: list[int] | None) -> Any:
    """Rows in the shape that the module takes."""
    if sizes is None:
        return X
    if min(sizes) < 1 or int(np.prod(sizes)) != X.shape[1]:
        raise ValueError(f"--shape must hold the {X.shape[1]} numbers of a row, got {sizes}")
    return X.reshape(-1, *sizes)


def _made(model: str, seed: int, torch: Any) -> Any:
    """The module that FILE.py:NAME describes; the file is executed under a seed, and NAME is called
    under it again.
    """
    path, colon, name = model.rpartition(":")
    if not colon or not name.isidentifier() or not path.endswith(".py"):
        raise ValueError(f"MODEL must be FILE.py:NAME, got {model!r}")
    check_regular(path, "MODEL")
    if not Path(path).exists():
        raise FileNotFoundError(2, "No such file or directory", path)
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec is not None
    assert spec.loader is not None
    source = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(Path(path).resolve().parent))  # for what it imports beside it
    sys.modules.setdefault(spec.name, source)  # where dataclasses look for annotations
    try:
        torch.manual_seed(seed)
        spec.loader.exec_module(source)
        found = getattr(source, name, None)
        if found is None:
            names = ", ".join(n for n, value in vars(source).items() if callable(value))
            raise ValueError(f"{path} has no {name}; it has {names or 'nothing to call'}")
        torch.manual_seed(seed)
        made = found if isinstance(found, torch.nn.Module) or not callable(found) else found()
    except (ValueError, OSError, ImportError):
        raise
    except Exception as error:  # of code that is not ours
        raise ValueError(f"{model} failed: {type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)
    if not isinstance(made, torch.nn.Module):
        raise TypeError(f"{model} must give a torch.nn.Module, got {type(made).__name__}")
    return made


def _restore(module: Any, path: Path, torch: Any) -> None:
    """Load weights, and nothing but tensors, numbers and texts, of a file into the module."""
    check_regular(path, "--checkpoint")
    if not path.exists():
        raise FileNotFoundError(2, "No such file or directory", str(path))
    with readable(path, "file of weights alone, as torch.save(model.state_dict()) writes it"):
        state = torch.load(str(path), map_location="cpu", weights_only=True)
    inside = [state[key] for key in _STATES if isinstance(state, Mapping) and key in state]
    state = inside[0] if inside and isinstance(inside[0], Mapping) else state
    if not isinstance(state, Mapping):
        raise TypeError(f"--checkpoint must hold a state_dict, got {type(state).__name__}")
    if state and all(str(name).startswith("module.") for name in state):  # of DataParallel
        state = {name.removeprefix("module."): value for name, value in state.items()}
    try:
        module.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        said = " ".join(str(error).split())
        raise ValueError(f"--checkpoint {path} does not fit the module: {said}") from error


def _layers(text: str | None) -> Any:
    """Layers as `nc1fast.networks.probe` takes them."""
    if text is None or text == "blocks":
        return text
    return [name.strip() for name in text.split(",")]


def _pool(text: str) -> Any:
    """Pools as `nc1fast.networks.probe` takes them: a name, or a mapping from layers."""
    words = [word.strip().rpartition("=") for word in text.split(",")]
    unknown = [pool for _, _, pool in words if pool not in _POOLS]
    if unknown or len({layer for layer, _, _ in words}) < len(words):
        allowed = ", ".join(_POOLS)
        raise ValueError(f"--pool takes {allowed}, or LAYER=POOL joined by commas, got {text!r}")
    return {layer: pool for layer, _, pool in words}
