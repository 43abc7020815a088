"""The commands of `nc1fast`: typer over the functions of the package, no logic of their own.

`measure` (collapse, theory, shard, merge), `learn` (train, adapt), `probe` and `use` (predict,
spectrum, align) work on one data set, `study` (study, report, doctor) on a grid of them;
`options` has what they share, `output` what they print. A new command is a function there and one
line here; a new option is a parameter with a help text.
"""

from __future__ import annotations

import difflib
import re
from typing import Annotated, Any

try:
    import typer
except ModuleNotFoundError as _error:
    raise ImportError(
        "typer is not installed; it comes with the 'cli' extra: pip install 'nc1fast[cli]'"
    ) from _error

import nc1fast as nc
from nc1fast.cli import learn, measure, study, use
from nc1fast.cli.options import expanded
from nc1fast.cli.probe import probe

INTERRUPTED = 130
# The base class of typer's usage errors, which it does not export.
_USAGE_ERROR: Any = typer.BadParameter.__base__

app = typer.Typer(
    pretty_exceptions_enable=False,
    help="Neural Collapse metrics of kernels and features, exact and streamed.",
    epilog="nc1fast COMMAND --help has its options and examples. Exit codes: 0 success; 1 a study, "
    "solver or self-test failed; 2 a mistake in the call or in the data; 130 interrupted.",
)
for _command in (
    measure.collapse,
    measure.theory,
    measure.shard,
    measure.merge,
    learn.train,
    learn.adapt,
    probe,
    use.predict,
    use.spectrum,
    use.align,
    study.study,
    study.report,
    study.doctor,
):
    app.command()(expanded(_command))


def run(arguments: list[str]) -> int:
    """Run a command line; returns its exit code.

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
        raise ValueError(f"{_plain(error.format_message())} (--help says more)") from None
    if code == INTERRUPTED:  # newer versions of typer return the code instead of aborting
        raise KeyboardInterrupt
    return code


def _plain(message: str) -> str:
    """A message about an option, with the nearest of its choices."""
    message = message.replace("Value error, ", "").strip()
    if found := re.search(r"'([^']*)' is not one of (.*)", message):
        near = difflib.get_close_matches(found[1].lower(), re.findall(r"'(.*?)'", found[2]), n=1)
        message += f" Did you mean {near[0]!r}?" if near else ""
    return message


def _version(show: bool) -> None:
    if show:
        typer.echo(f"nc1fast {nc.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Print the version and stop."
        ),
    ] = False,
) -> None:
    pass
