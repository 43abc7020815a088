"""`study`, `report` and `doctor`: a grid of data sets and models, its report, and a check of this
installation.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import nc1fast as nc
from nc1fast.cli import options, output
from nc1fast.cli.options import option
from nc1fast.support import plugins

if TYPE_CHECKING:
    from collections.abc import Callable

    from nc1fast.studies import Study
    from nc1fast.studies.runner import AnyStudy


def study(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            help="Name of a built-in study, or a .yml file; list shows the studies, all runs them "
            "into one site."
        ),
    ],
    data: Annotated[
        str | None,
        typer.Argument(help=f"For the study data: {options.DATA_HELP}", metavar="[FILE]"),
    ] = None,
    *,
    out: Annotated[
        Path | None,
        option(
            "Folder for table, figures and report. Default for the study data: the file's name, "
            "-study."
        ),
    ] = None,
    preset: Annotated[
        str | None, option("Variant of a built-in study: quick (default), paper or full.")
    ] = None,
    reading: options.DataOptions,
    networks: Annotated[bool, option("For the study data: train networks, too.")] = True,
    only: Annotated[
        list[str] | None,
        option(
            "Cells to compute, key=value[,value]; keys: arm, dataset, N, d0, sizes, repeat, task. "
            "Repeatable."
        ),
    ] = None,
    resume: Annotated[bool, option("Go on with the study in --out.")] = False,
    restart: Annotated[bool, option("Start again in a folder that holds a study.")] = False,
    dry_run: Annotated[bool, option("Print the plan and stop.")] = False,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes side by side; default: one for each core.")
    ] = None,
    threads: Annotated[
        int | None, option("Threads of a kernel pass; default: 1, or all cores with --jobs 1.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Run a study into one table, figures and a report. A run that is killed loses at most the
    cells being computed.

    nc1fast study list
    nc1fast study paper --preset quick --out out/paper
    nc1fast study all --out out/atlas
    nc1fast study data features.npz
    nc1fast study data iris.csv --labels species --scale standardize
    nc1fast study data mnist-folder/ --scale unit-interval --no-networks
    nc1fast study mine.yml --out out/mine
    """
    from nc1fast import studies
    from nc1fast.core import machine
    from nc1fast.studies import report
    from nc1fast.studies.journal import check_fresh

    described: AnyStudy
    if name == "list":
        _show_list(as_json=as_json)
        return
    if name == "all":
        _check_without_data(data, reading, networks=networks)
        settings: dict[str, Any] = {"preset": preset, "resume": resume, "restart": restart}
        settings |= {"reading": reading, "dry_run": dry_run, "jobs": jobs}
        run = functools.partial(study, context, **settings)
        _atlas(run, out, dry_run=dry_run)
        return
    if name == "data":
        described = of_data = _study_of(data, reading, preset, networks=networks)
        out = out or Path(f"{of_data.arms[0].data[0].name}-study")
    else:
        _check_without_data(data, reading, networks=networks)
        described = studies.load(name, preset)
    if out is None:
        raise ValueError("--out must be the folder for table, figures and report")
    filters = only or []
    jobs = machine.cores() if jobs is None else jobs
    if dry_run:
        typer.echo(studies.describe_plan(described, filters, jobs))
        return
    if resume and restart:
        raise ValueError("--resume and --restart cannot be given together")
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
    written = report.build(out)
    if as_json:
        counts = {"rows": len(result.rows), "computed": result.n_computed}
        about = {"failed": result.n_failed, "report": str(written), "version": nc.__version__}
        output.show_json(counts | about)
    else:
        typer.echo(f"{len(result.rows)} rows, {result.n_computed} cells computed; {written}")
    if result.n_failed:
        typer.echo(f"nc1fast: {result.n_failed} rows failed: see the column status", err=True)
        raise typer.Exit(1)


def _show_list(*, as_json: bool) -> None:
    """The built-in studies, with the minutes that each preset takes on two cores."""
    from nc1fast.studies import atlas

    rows = []
    for one in atlas.listed():
        minutes = ", ".join(f"{preset} {m:g}" for preset, m in one.minutes.items())
        rows.append({**dataclasses.asdict(one), "minutes": one.minutes if as_json else minutes})
    output.show_rows(rows, as_json)


def _atlas(run: Callable[..., None], out: Path | None, *, dry_run: bool) -> None:
    """Every study with data of its own, in a folder each, and the index over them."""
    from nc1fast.studies import atlas

    if out is None:
        raise ValueError("--out must be the folder for the studies and their index")
    failed = False
    for name in atlas.in_atlas():
        typer.echo(name)
        try:
            run(name, out=out / name)
        except typer.Exit:  # some of its rows failed, which it said
            failed = True
    if not dry_run:
        typer.echo(atlas.build(out))
    if failed:
        raise typer.Exit(1)


def _study_of(
    data: str | None, reading: options.DataOptions, preset: str | None, *, networks: bool
) -> Study:
    """The study of a user's own data."""
    from nc1fast import studies

    if not data:
        raise ValueError("FILE must be given for the study data: nc1fast study data FILE")
    return studies.load_data(
        data,
        keys=reading.pair,
        labels=reading.part,
        scale=reading.scale,
        preset=preset,
        networks=networks,
    )


def _check_without_data(data: str | None, reading: options.DataOptions, *, networks: bool) -> None:
    """Refuse what belongs to the study of a user's own data."""
    if data or reading != options.DataOptions() or not networks:
        raise ValueError(
            "FILE, --labels, --keys, --scale and --no-networks belong to the study data: "
            "nc1fast study data FILE"
        )


def report(
    folder: Annotated[Path, typer.Argument(help="Folder of a finished study.")],
    *,
    as_json: options.Json = False,
) -> None:
    """Draw the figures and write the report of a study again, from its tables alone.

    nc1fast report out/paper
    """
    from nc1fast.studies import report as _report

    written = _report.build(folder)
    if as_json:
        output.show_json({"report": str(written), "version": nc.__version__})
    else:
        typer.echo(written)


def doctor(*, as_json: options.Json = False) -> None:
    """Instruction set, threads, devices and versions, and a one-second self-test against the NumPy
    reference.

    nc1fast doctor
    nc1fast doctor --json
    """
    from nc1fast.cli import selftest
    from nc1fast.core import machine

    with contextlib.suppress(ImportError):  # without the extra, studies are no kind of plug-in
        importlib.import_module("nc1fast.studies")
    devices, described = machine.devices()
    about = {"nc1fast": nc.__version__, **machine.describe(), **described, **machine.extras()}
    about["plug-ins"] = plugins.listed()
    if not as_json:
        for name, value in about.items():
            typer.echo(f"{name:<16} {value}")
    checks = [check for device in ("cpu", *devices) for check in selftest.run(device)]
    failed = [check for check in checks if not check.passed]
    if as_json:
        judged = [dataclasses.asdict(check) | {"passed": check.passed} for check in checks]
        output.show_json({name: str(value) for name, value in about.items()} | {"checks": judged})
    else:
        for check in failed:
            typer.echo(
                f"FAILED           {check.name}: error {check.difference:.2g}, at most "
                f"{check.allowed:.2g} allowed"
            )
        typer.echo(f"self-test        {len(checks) - len(failed)} of {len(checks)} checks passed")
    if failed:
        raise typer.Exit(1)
