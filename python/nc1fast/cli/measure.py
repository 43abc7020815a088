"""`collapse` and `theory`: NC1 of a kernel, on data and in expectation; `shard` and `merge`: one
pass as many jobs of a batch queue.
"""

from __future__ import annotations

import math
import os
from pathlib import Path  # noqa: TC003  (typer reads the annotations)
from typing import Annotated, Any, Literal, TypeAlias

import typer

import nc1fast as nc
from nc1fast.cli import options, output
from nc1fast.cli.options import option
from nc1fast.metrics.definitions import DEFAULT_CONVENTION
from nc1fast.metrics.result import collapse_from_sums
from nc1fast.support.reading import check_regular

Method: TypeAlias = Literal["exact", "shortcut", "features", "pairs", "auto"]


def collapse(
    data: Annotated[list[str], typer.Argument(help=options.DATA_OR_STDIN_HELP)],
    *,
    kernel: options.Kernel = "nngp",
    layers: options.KernelOptions,
    convention: options.Convention = None,
    running: options.PassOptions,
    method: Annotated[
        Method, option("shortcut: for few features. features, pairs: estimates.")
    ] = "exact",
    tolerance: Annotated[
        float | None, option("Of an estimate: half the width of its interval, relative to nc1.")
    ] = None,
    seed: Annotated[int | None, option("Seed of an estimate; default: 0.")] = None,
    reading: options.DataOptions,
    journal: Annotated[
        Path | None, option("File of the finished work: a killed run goes on from it.")
    ] = None,
    resume: Annotated[
        bool, option("Insist that the journal exists, against a mistyped name.")
    ] = False,
    dry_run: Annotated[bool, option("Print the size and the estimated time, and stop.")] = False,
    as_json: options.Json = False,
) -> None:
    """NC1 and its relatives under one kernel: of one data set, or of several, a row for each.

    nc1fast collapse data.npz --kernel ntk --activation erf --depth 3
    nc1fast collapse data.csv --labels species --weight-variance 1,3.88
    nc1fast collapse data.npz --method auto --tolerance 0.01
    nc1fast collapse epoch-1.npz epoch-2.npz --kernel features --json
    cat data.csv | nc1fast collapse - --labels species
    """
    chosen = layers.kernel(kernel)
    if resume and (journal is None or not journal.exists()):
        given = "none" if journal is None else f"{journal}, which does not exist"
        raise ValueError(f"--resume needs the file of an earlier --journal, got {given}")
    if journal is not None and len(data) > 1:
        raise ValueError(f"--journal takes one data set, got {len(data)}")
    if dry_run and method != "exact":
        raise ValueError(f"--dry-run needs --method exact, got {method}")
    rows = []
    for name in data:
        X, y = reading.source(name, running.memory_bytes)
        if dry_run:
            rows.append(nc.distributed.plan(X, y, chosen, **running.settings).describe())
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
                progress=progress,
                **running.settings,
            )
        about = {
            "data": name,
            "scale": reading.scale,
            "dtype": running.dtype,
            "device": running.device,
        }
        rows.append(output.row_of(result) | about | {"version": nc.__version__})
    if len(rows) == 1:
        output.show(rows[0], as_json)
    else:
        output.show_rows(rows, as_json)


def shard(
    data: options.Data,
    *,
    index: Annotated[int, option("Number of this share: 0, 1, ...")],
    of: Annotated[int, option("Number of shares, which have nearly equal work.")],
    out: Annotated[Path, option("File for the sums of this share.")],
    kernel: options.Kernel = "nngp",
    layers: options.KernelOptions,
    running: options.PassOptions,
    reading: options.DataOptions,
    as_json: options.Json = False,
) -> None:
    """Compute one share of a pass and write its sums to a file for merge.

    nc1fast shard data.npz --index 0 --of 8 --out share-0.npz --kernel ntk
    nc1fast shard X.npy --labels y.npy --memory-limit 512 --index 7 --of 8 --out share-7.npz
    """
    chosen = layers.kernel(kernel)
    if not 0 <= index < of:
        raise ValueError(f"--index must be in [0, --of), got {index} of {of}")
    if chosen is None or isinstance(chosen, str):
        raise ValueError(f"--kernel must be a kernel of rows for a share, got {kernel}")
    if not os.access(out.absolute().parent, os.W_OK):
        raise ValueError(f"--out must be a file in a folder that can be written, got {str(out)!r}")
    check_regular(out, "--out")
    X, y = reading.source(data, running.memory_bytes)
    with options.progress("tiles") as progress:
        sums: Any = nc.class_sums(
            X, y, chosen, part=(index, of), progress=progress, **running.settings
        )
    sums.save(out)
    if as_json:
        output.show_json({"index": index, "of": of, "out": str(out), "version": nc.__version__})
    else:
        typer.echo(f"share {index} of {of}: {out}")


def merge(
    files: Annotated[
        list[Path], typer.Argument(help="The files of all shares of one pass, in any order.")
    ],
    *,
    convention: options.Convention = None,
    out: Annotated[Path | None, option("File for the complete sums.")] = None,
    as_json: options.Json = False,
) -> None:
    """NC1 and its relatives from the files of all shares, with the bits of one pass.

    nc1fast merge share-*.npz --json
    nc1fast merge share-0.npz share-1.npz --convention sample --out sums.npz
    """
    sums = nc.distributed.merge(files)
    if out is not None:
        sums.save(out)
    row = output.row_of(collapse_from_sums(sums, convention))
    output.show(row | {"shares": len(files), "version": nc.__version__}, as_json)


def theory(
    *,
    means: Annotated[
        str,
        option("Of each class a number m_c, times the ones vector: -2,2. Or vectors: 1,0,0;0,1,0."),
    ],
    stds: Annotated[str, option("One s_c for all classes, or one for each: 0.5,1.")],
    features: Annotated[
        str | None, option("Number of features d0, or inf. Default: that of vectors.")
    ] = None,
    sizes: Annotated[
        str | None, option("Rows of each class: 64,192. Default: the population.")
    ] = None,
    kernel: Annotated[Literal["nngp", "ntk", "conjugate"], option("Kernel.")] = "nngp",
    layers: options.LayerOptions,
    convention: Annotated[
        options.ConventionName, option("Class weights of the two covariances.")
    ] = DEFAULT_CONVENTION,
    as_json: options.Json = False,
) -> None:
    """Expected NC1 of Gaussian classes N(mu_c, s_c^2 I), without drawing a data set.

    nc1fast theory --means=-2,2 --stds 0.5 --features 128
    nc1fast theory --means "1,0,0;0,1,0" --stds 0.5,1 --sizes 64,192 --kernel ntk
    """
    chosen = layers.kernel(kernel)
    vectors = [options.numbers("--means", part) for part in means.split(";")]
    result = nc.theory.expected_collapse(
        chosen,
        vectors if len(vectors) > 1 else vectors[0],
        options.one_or_list("--stds", stds),
        n_features=_features(features),
        sizes=None if sizes is None else options.numbers("--sizes", sizes, int),
        convention=convention,
    )
    sums = ("trace_within", "trace_between", "within_by_class", "class_gram")
    about = ("kernel", "means", "stds", "n_features", "sizes", "convention", "method")
    row = output.fields(result, "nc1", "standard_error", *sums, *about)
    row |= {"stds": row["stds"] or [], "sizes": row["sizes"] or "population"}
    output.show(row | {"version": nc.__version__}, as_json)


def _features(text: str | None) -> float | None:
    """The number of features of an option: an integer, inf, or None where it is left out."""
    if text is None or text == "inf":
        return None if text is None else math.inf
    found: list[int] = options.numbers("--features", text, int)
    if len(found) > 1:
        raise ValueError(f"--features must be one integer or inf, got {text!r}")
    return found[0]
