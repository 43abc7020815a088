"""`shard` and `merge`: one pass as many jobs of a batch queue, without a scheduler of our own
between them.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path  # noqa: TC003  (typer reads the annotations)
from typing import Annotated, Any

import typer

import nc1fast as nc
from nc1fast.cli import options, output
from nc1fast.metrics.result import collapse_from_sums
from nc1fast.sums.settings import Settings
from nc1fast.support.reading import check_regular


def shard(
    data: options.Data,
    *,
    index: Annotated[int, typer.Option(help="Number of this share: 0, 1, ...")],
    of: Annotated[int, typer.Option(help="Number of shares, which have nearly equal work.")],
    out: Annotated[Path, typer.Option(help="File for the sums of this share.")],
    kernel: options.Kernel = "nngp",
    activation: options.Activation = "relu",
    slope: options.Slope = None,
    depth: options.Depth = 2,
    weight_variance: options.WeightVariance = "1",
    bias_variance: options.BiasVariance = "0",
    parametrization: options.NTKParametrization = "ntk",
    width: options.Width = None,
    dtype: options.Precision = "float64",
    statistics: options.Sums = "all",
    labels: options.Labels = None,
    keys: options.Keys = None,
    scale: options.Scale = "none",
    memory_limit: options.MemoryLimit = None,
    device: options.Device = "cpu",
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Compute one share of a pass and write its sums to a file for merge.

    nc1fast shard data.npz --index 0 --of 8 --out share-0.npz --kernel ntk
    nc1fast shard X.npy --labels y.npy --memory-limit 512 --index 7 --of 8 --out share-7.npz
    """
    chosen = options.KernelOptions(
        kernel, activation, slope, depth, weight_variance, bias_variance, parametrization, width
    ).kernel()
    if not 0 <= index < of:
        raise ValueError(f"--index must be at least 0 and below --of, got {index} of {of}")
    if chosen is None or isinstance(chosen, str):
        raise ValueError(f"a share needs a kernel of rows, not --kernel {kernel}")
    if not os.access(out.absolute().parent, os.W_OK):
        raise ValueError(f"--out {out}: its folder is not there, or cannot be written")
    check_regular(out, "--out")
    X, y = options.DataOptions(data, labels, keys, scale).source(memory_limit)
    settings = Settings(
        statistics=statistics,
        dtype=dtype,
        device=device,
        n_threads=threads,
        memory_limit=options.memory_bytes(memory_limit),
    )
    with options.progress("tiles") as progress:
        sums: Any = nc.class_sums(
            X, y, chosen, part=(index, of), progress=progress or False, **asdict(settings)
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
    out: Annotated[Path | None, typer.Option(help="File for the complete sums.")] = None,
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
