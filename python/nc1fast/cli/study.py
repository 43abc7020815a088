"""`study`, `report` and `doctor`: a grid of data sets and models, its report, and a check of this installation."""

from __future__ import annotations

import shlex
from pathlib import Path  # noqa: TC003  (typer reads the annotations)
from typing import Annotated

import typer

import nc1fast as nc
from nc1fast.cli import options


def study(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of a built-in study (paper), or a .yml file.")],
    *,
    out: Annotated[Path, typer.Option(help="Folder for table, figures and report.")],
    preset: Annotated[
        str | None, typer.Option(help="Variant of a built-in study: quick (default) or paper.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="Cells to compute, key=value[,value]; keys: arm, dataset, N, d0, sizes, repeat, task. Repeatable."
        ),
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on with the study in --out.")] = False,
    restart: Annotated[
        bool, typer.Option(help="Start again in a folder that holds a study.")
    ] = False,
    dry_run: Annotated[bool, typer.Option(help="Print the plan and stop.")] = False,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes side by side; default: one for each core.")
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(help="Threads of a kernel pass; default: 1, or all cores with --jobs 1."),
    ] = None,
) -> None:
    """Run a study into one table, figures and a report. A run that is killed loses at most the cells being computed."""
    from nc1fast import studies
    from nc1fast.core import machine
    from nc1fast.studies import report
    from nc1fast.studies.journal import check_fresh

    described = studies.load(name, preset)
    filters = only or []
    jobs = machine.cores() if jobs is None else jobs
    if dry_run:
        typer.echo(studies.describe_plan(described, filters, jobs))
        return
    if resume and restart:
        raise ValueError("--resume goes on with a study, --restart starts it again: give one")
    if not (resume or restart):
        check_fresh(out)
    command = shlex.join(["nc1fast", *context.obj])
    with options.progress("cells") as progress:
        result = studies.run(
            described,
            out,
            only=filters,
            resume=resume,
            n_threads=threads,
            jobs=jobs,
            progress=progress,
            provenance={"command": command},
        )
    typer.echo(f"{len(result.rows)} rows, {result.n_computed} cells computed; {report.build(out)}")
    if result.n_failed:
        typer.echo(f"nc1fast: {result.n_failed} rows failed: see the column status", err=True)
        raise typer.Exit(1)


def report(folder: Annotated[Path, typer.Argument(help="Folder of a finished study.")]) -> None:
    """Draw the figures and write the report of a study again, from its tables alone."""
    from nc1fast.studies import report as _report

    typer.echo(_report.build(folder))


def doctor() -> None:
    """Instruction set, threads, devices and versions, and a one-second self-test against the NumPy reference."""
    from nc1fast.cli import selftest
    from nc1fast.core import machine

    typer.echo(f"nc1fast          {nc.__version__}")
    devices, described = machine.devices()
    for name, value in {**machine.describe(), **described, **machine.extras()}.items():
        typer.echo(f"{name:<16} {value}")
    checks = [check for device in ("cpu", *devices) for check in selftest.run(device)]
    failed = [check for check in checks if not check.passed]
    for check in failed:
        typer.echo(
            f"FAILED           {check.name}: off by {check.difference:.2g}, {check.allowed:.2g} allowed"
        )
    typer.echo(f"self-test        {len(checks) - len(failed)} of {len(checks)} checks passed")
    if failed:
        raise typer.Exit(1)
