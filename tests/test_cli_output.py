"""How the command line speaks: examples, completion, tables and pipes, JSON as documented, several
inputs, exit codes.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shlex
import subprocess
import sys
import typing
from types import SimpleNamespace

import numpy as np
import pytest
import typer
from tests.house import ROOT

import nc1fast as nc
from nc1fast.cli import USER_ERROR, app

GUIDE = (ROOT / "docs" / "guide.md").read_text()
COMMANDS: typing.Any = typer.main.get_command(app.app)
COLOURS = "\x1b[3"


def _run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "nc1fast", *arguments],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        check=False,
    )


def test_the_package_runs_as_a_module():
    done = _run("--version")
    assert (done.returncode, done.stdout) == (0, f"nc1fast {nc.__version__}\n")


@pytest.mark.parametrize(
    ("words", "completed"), [("nc1fast col", "collapse"), ("nc1fast theory --conv", "--convention")]
)
def test_a_shell_completes_commands_and_options(words, completed):
    settings = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    done = _run(_NC1FAST_COMPLETE="complete_bash", **settings)
    assert completed in done.stdout.split()


@pytest.mark.parametrize("name", COMMANDS.commands)
def test_every_command_has_examples_that_it_understands(name, call):
    command = COMMANDS.commands[name]
    examples = re.findall(rf"nc1fast {name}\b(.*)", command.help)
    assert examples
    for example in examples:
        context = command.make_context(name, shlex.split(example), obj=[])
        assert context.params
    shown = call(name, "--help")[1]
    assert f"nc1fast {name}{examples[0]}" in " ".join(shown.split())
    assert "\\b" not in shown


def test_several_data_sets_are_a_table_with_a_row_for_each(call, mixture, tmp_path):
    path, X, y = mixture
    np.savez(tmp_path / "other.npz", X=X**3, y=y)
    line = ("collapse", path, tmp_path / "other.npz", "--convention", "class")
    expected = [nc.collapse(Z, y, nc.NNGP("relu"), convention="class").nc1 for Z in (X, X**3)]
    code, out, err = call(*line)
    assert (code, err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(out), delimiter="\t"))
    assert [row["data"] for row in rows] == [str(name) for name in line[1:3]]
    assert [float(row["nc1"]) for row in rows] == pytest.approx(expected, rel=1e-11)
    lines = call(*line, "--json")[1].splitlines()
    assert [json.loads(one)["nc1"] for one in lines] == expected


@pytest.mark.parametrize("form", ["npz", "csv"])
def test_data_come_from_standard_input(answer, refused, mixture, monkeypatch, form):
    path, X, y = mixture
    content = path.read_bytes()
    if form == "csv":
        text = io.StringIO()
        np.savetxt(text, np.column_stack([X, y]), "%.17g", ",")
        content = text.getvalue().encode()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    expected = nc.collapse(X, y, nc.NNGP("relu"), convention="class").nc1
    assert answer("collapse", "-", "--convention", "class")["nc1"] == expected
    err = refused("collapse", "-")  # which has been read
    assert err == "nc1fast: - stands for standard input, which is empty\n"


def test_collapse_takes_methods(answer, mixture):
    path, X, y = mixture
    estimate = ("--method", "features", "--tolerance", "0.2", "--seed", "3")
    row = answer("collapse", path, *estimate, "--convention", "class")
    settings = {"method": "features", "tolerance": 0.2, "seed": 3, "convention": "class"}
    expected = nc.collapse(X, y, nc.NNGP("relu"), **settings)
    assert (row["nc1"], row["interval_low"]) == (expected.nc1, expected.interval[0])
    assert row["method"] == "features"


def test_a_terminal_gets_tables_and_a_pipe_plain_lines(call, mixture, monkeypatch):
    plain = call("collapse", mixture[0])[1]
    assert "\x1b" not in plain
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    drawn = call("collapse", mixture[0])[1]
    assert "\x1b[1m" in drawn
    bare = re.sub(r"\x1b\[[\d;]*m", "", drawn)
    assert [line.split()[:2] for line in bare.splitlines()][:3] == [
        line.split()[:2] for line in plain.splitlines()
    ][:3]
    monkeypatch.setenv("NO_COLOR", "1")
    several = call("collapse", mixture[0], mixture[0])[1]
    assert COLOURS not in several
    header, *rows = re.sub(r"\x1b\[[\d;]*m", "", several).splitlines()
    assert header.split()[:3] == ["data", "n_samples", "n_classes"]
    assert len(rows) == 2


def _documented(command):
    """The fields of a command that the guide lists."""
    section = GUIDE.partition("| command | fields |")[2]
    (line,) = [row for row in section.splitlines() if f"`{command}`" in row.partition(" | ")[0]]
    return set(re.findall(r"`(\w+)`", line)) | {"version"}


JSON = {
    "collapse": ["collapse", "{data}"],
    "collapse --dry-run": ["collapse", "{data}", "--dry-run"],
    "theory": ["theory", "--means=-2,2", "--stds", "0.5", "--features", "8"],
    "shard": ["shard", "{data}", "--index", "0", "--of", "1", "--out", "{folder}/share.npz"],
    "predict": ["predict", "{data}"],
    "spectrum": ["spectrum", "{data}", "--number", "2", "--ridge", "0.1"],
    "align": ["align", "{data}"],
    "merge": ["merge", "{folder}/made.npz"],
    "train": ["train", "{data}", "--epochs", "1", "--width", "4"],
    "adapt": ["adapt", "{data}", "--noise", "0.1", "--multistart", "1"],
}


@pytest.mark.parametrize("command", JSON)
def test_json_has_the_fields_that_the_guide_lists(call, answer, mixture, tmp_path, command):
    if command in ("train", "adapt"):
        pytest.importorskip({"train": "torch", "adapt": "scipy"}[command])
    if command == "merge":
        call("shard", mixture[0], "--index", 0, "--of", 1, "--out", tmp_path / "made.npz")
    row = answer(*(word.format(data=mixture[0], folder=tmp_path) for word in JSON[command]))
    assert row.keys() - _documented(command) == set()
    assert ("version" in row) == (command != "collapse --dry-run")


def test_doctor_speaks_json(answer):
    about = answer("doctor")
    assert about["nc1fast"] == nc.__version__
    assert about["checks"][0].keys() == {"name", "difference", "allowed", "passed"}
    assert all(check["passed"] for check in about["checks"])


def test_the_guide_has_the_exit_codes():
    table = GUIDE.partition("| exit code | meaning |")[2].partition("\n\n")[0]
    codes = [0, 1, USER_ERROR, app.INTERRUPTED]
    assert re.findall(r"^\| (\d+) \|", table, re.MULTILINE) == [str(code) for code in codes]
