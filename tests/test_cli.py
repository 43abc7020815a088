"""The command line: the same numbers as the package, one-line errors, exit codes."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import typing

import numpy as np
import pytest
import typer

import nc1fast as nc
from nc1fast import datasets, metrics, studies
from nc1fast.cli import app, options

STUDY = """
name: cli
title: A study for the command line
repeats: 1
arms:
  - name: balanced
    data:
      - {source: gaussian_mixture, name: D1, means: [-2, 2], stds: 0.5, n_samples: [16], n_features: [1, 3]}
    kernels: [{kernel: NNGP, activation: erf}]
"""


@pytest.fixture
def data(tmp_path):
    X, y = nc.datasets.gaussian_mixture(
        means=(-2, 2), stds=0.5, sizes=(13, 13), n_features=3, seed=0
    )
    path = tmp_path / "data.npz"
    np.savez(path, X=X, y=y, features=X, classes=y)
    return path, X, y


@pytest.fixture
def study_file(tmp_path):
    path = tmp_path / "study.yml"
    path.write_text(STUDY)
    return path


def test_help_and_version(call):
    assert call()[0] == 0
    code, out, _ = call("--help")
    assert code == 0
    assert all(
        name in out
        for name in ("collapse", "theory", "train", "adapt", "study", "report", "doctor")
    )
    assert call("--version") == (0, f"nc1fast {nc.__version__}\n", "")


def test_choices_are_those_of_the_package():
    assert typing.get_args(options.ConventionName) == tuple(metrics.CONVENTIONS)
    assert typing.get_args(datasets.Scale) == tuple(datasets.SCALES)


@pytest.mark.parametrize(
    ("options", "kernel"),
    [
        ([], nc.NNGP("relu")),
        (["--kernel", "ntk", "--activation", "erf", "--depth", "3"], nc.NTK("erf", 3)),
        (
            ["--kernel", "conjugate", "--bias-variance", "0.5"],
            nc.ConjugateKernel("relu", bias_variance=0.5),
        ),
        (["--activation", "leaky_relu", "--slope", "0.2"], nc.NNGP(nc.LeakyReLU(0.2))),
        (["--activation", "leaky_relu:0.2"], nc.NNGP(nc.LeakyReLU(0.2))),
        (["--activation", "shifted_relu:0.5"], nc.NNGP(nc.ShiftedReLU(0.5))),
        (["--kernel", "linear", "--weight-variance", "2"], nc.Linear(2.0)),
        (
            ["--kernel", "ntk", "--parametrization", "standard", "--width", "500"],
            nc.NTK("relu", parametrization="standard", width=500),
        ),
        (["--kernel", "features"], None),
    ],
)
def test_collapse_gives_the_numbers_of_the_package(call, data, options, kernel):
    path, X, y = data
    code, out, err = call("collapse", path, "--convention", "class", "--json", *options)
    assert (code, err) == (0, "")
    told = json.loads(out)
    expected = nc.collapse(X, y, kernel, convention="class")
    assert told["nc1"] == expected.nc1
    assert told["error_bound"] == expected.error_bound
    assert told["nc1_pinv"] == expected.nc1_pinv
    assert told["convention"] == "class"
    assert told["scale"] == "none"


def test_collapse_of_a_stored_gram_matrix(call, tmp_path, data):
    _, X, y = data
    np.savez(tmp_path / "gram.npz", X=X @ X.T, y=y)
    code, out, _ = call("collapse", tmp_path / "gram.npz", "--kernel", "precomputed", "--json")
    assert code == 0
    assert json.loads(out)["nc1"] == pytest.approx(
        nc.collapse(X, y, convention="papyan").nc1, rel=1e-10
    )


def test_collapse_prints_one_line_per_number(call, data):
    code, out, _ = call("collapse", data[0], "--statistics", "sums", "--dtype", "float32")
    lines = dict(line.split(None, 1) for line in out.splitlines())
    assert code == 0
    assert float(lines["nc1"]) > 0
    assert lines["dtype"] == "float32"
    assert "nc1_pinv" not in lines


def test_collapse_reads_labels_keys_and_scale(call, tmp_path, data):
    path, X, y = data
    expected = nc.collapse(
        datasets.apply_scale(X, "standardize"), y, nc.NNGP("relu"), convention="papyan"
    ).nc1
    options = ("--scale", "standardize", "--json")
    code, out, _ = call("collapse", path, "--keys", "features,classes", *options)
    assert (code, json.loads(out)["nc1"]) == (0, expected)

    table = tmp_path / "data.csv"
    lines = [",".join([str(c), *map(repr, map(float, x))]) for c, x in zip(y, X, strict=True)]
    table.write_text("kind,a,b,c\n" + "\n".join(lines) + "\n")
    for labels in ("kind", "0"):
        code, out, _ = call("collapse", table, "--labels", labels, *options)
        assert code == 0
        assert json.loads(out)["nc1"] == pytest.approx(expected, rel=1e-13)


@pytest.mark.filterwarnings("default")  # as on the command line, where a warning is a line
def test_json_has_no_number_that_json_does_not_know(call, tmp_path):
    np.savez(tmp_path / "same.npz", X=[[1.0], [3.0], [1.0], [3.0]], y=[0, 0, 1, 1])
    code, out, err = call("collapse", tmp_path / "same.npz", "--kernel", "features", "--json")
    told = json.loads(out, parse_constant=pytest.fail)
    assert code == 0
    assert float(told["nc1"]) == math.inf
    assert err.startswith("nc1fast: warning: ")


MISTAKES = {
    "unknown command": (["collaps"], "collaps"),
    "no data": (["collapse"], "data"),
    "no such file": (["collapse", "none.npz"], "none.npz"),
    "unknown kind of file": (["collapse", "README.doc"], "README.doc"),
    "a folder": (["collapse", "."], ""),
    "unknown kernel": (["collapse", "{data}", "--kernel", "rbf"], "--kernel"),
    "unknown activation": (["collapse", "{data}", "--activation", "mish"], "mish"),
    "unknown convention": (["collapse", "{data}", "--convention", "fair"], "--convention"),
    "unknown scale": (["collapse", "{data}", "--scale", "big"], "--scale"),
    "unknown precision": (["collapse", "{data}", "--dtype", "float16"], "--dtype"),
    "unknown option": (["collapse", "{data}", "--colour", "red"], "--colour"),
    "text for a number": (["collapse", "{data}", "--depth", "deep"], "--depth"),
    "depth one": (["collapse", "{data}", "--depth", "1"], "depth"),
    "negative variance": (["collapse", "{data}", "--weight-variance", "-1"], "weight_variance"),
    "no finite NTK": (["collapse", "{data}", "--kernel", "ntk", "--activation", "step"], "NTK"),
    "parameter of relu": (["collapse", "{data}", "--activation", "relu:0.5"], "shifted_relu"),
    "slope of relu": (["collapse", "{data}", "--slope", "0.1"], "--slope"),
    "width of an NNGP": (["collapse", "{data}", "--width", "10"], "--width"),
    "standard without width": (
        ["collapse", "{data}", "--kernel", "ntk", "--parametrization", "standard"],
        "width",
    ),
    "one key": (["collapse", "{data}", "--keys", "X"], "--keys"),
    "missing key": (["collapse", "{data}", "--keys", "X,z"], "'z'"),
    "no threads": (["collapse", "{data}", "--threads", "0"], "n_threads"),
    "unknown study": (["study", "papers", "--out", "{out}"], "papers"),
    "unknown preset": (["study", "paper", "--preset", "full", "--out", "{out}"], "full"),
    "no such description": (["study", "none.yml", "--out", "{out}"], "none.yml"),
    "study without a folder": (["study", "paper"], "--out"),
    "a filter without a value": (["study", "paper", "--out", "{out}", "--only", "d0"], "only"),
    "an unknown filter": (["study", "paper", "--out", "{out}", "--only", "color=red"], "color"),
    "nothing left": (["study", "paper", "--out", "{out}", "--only", "N=7"], "N=7"),
    "a report of nothing": (["report", "{out}"], "table.parquet"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_is_one_line_and_exit_code_two(call, data, tmp_path, monkeypatch, name):
    arguments, message = MISTAKES[name]
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    code, out, err = call(*(a.format(data=data[0], out=tmp_path / "out") for a in arguments))
    assert code == 2
    assert out == ""
    assert err.startswith("nc1fast: ")
    assert err.count("\n") == 1
    assert message in err
    assert sorted(tmp_path.iterdir()) == before


def test_study_is_planned_run_resumed_and_reported(call, study_file, tmp_path):
    out = tmp_path / "out"
    code, told, _ = call("study", study_file, "--out", out, "--dry-run")
    assert code == 0
    assert "2 cells, 4 rows" in told
    assert not out.exists()

    code, told, err = call("study", study_file, "--out", out, "--only", "d0=3")
    assert (code, err) == (0, "")  # quiet where there is no terminal
    assert "2 rows, 1 cells computed" in told
    code, told, _ = call("study", study_file, "--out", out, "--resume")
    assert "4 rows, 1 cells computed" in told
    told = json.loads(call("study", study_file, "--out", out, "--resume", "--json")[1])
    report = {"report": str(out / "report.html"), "version": nc.__version__}
    assert told == {"rows": 4, "computed": 0, "failed": 0} | report
    assert json.loads(call("report", out, "--json")[1]) == report
    assert studies.read(out)[1]["command"].startswith("nc1fast ")

    (out / "report.html").unlink()
    code, told, _ = call("report", out)
    assert (code, told.strip()) == (0, str(out / "report.html"))
    assert (out / "report.html").exists()


def test_study_with_a_failed_row_ends_with_one(call, tmp_path):
    path = tmp_path / "failing.yml"
    mixture = "{source: gaussian_mixture, name: Z, means: [0, 1], stds: 0, n_samples: [8], n_features: [2]}"
    path.write_text(
        "name: f\ntitle: f\nrepeats: 1\narms:\n"
        f"  - {{name: z, data: [{mixture}], kernels: [{{kernel: NNGP, activation: [relu, sign]}}]}}\n"
    )
    code, _, err = call("study", path, "--out", tmp_path / "out", "--jobs", 1)
    assert code == 1
    assert err == "nc1fast: 1 rows failed: see the column status\n"


def test_doctor_is_well(call):
    code, out, _ = call("doctor")
    assert code == 0
    assert f"nc1fast          {nc.__version__}" in out
    for name in ("processor", "cores", "numpy", "core"):
        assert f"\n{name} " in out
    assert "25 of 25 checks passed" in out


def test_doctor_reports_a_wrong_core(call, monkeypatch):
    collapse = nc.collapse

    class Wrong:
        def __init__(self, result):
            self.nc1, self.error_bound = result.nc1 * (1 + 1e-6), result.error_bound

    def wrong_in_one_kernel(X, y, kernel, **options):
        result = collapse(X, y, kernel, **options)
        bad = options.get("dtype") == "float64" and kernel.activation == "gelu"
        return Wrong(result) if bad else result

    monkeypatch.setattr(nc, "collapse", wrong_in_one_kernel)
    code, out, _ = call("doctor")
    assert code == 1
    assert "FAILED           NTK('gelu', depth=4) in float64" in out
    assert "21 of 25 checks passed" in out


def test_interrupt_says_how_to_go_on(call, study_file, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(studies.runner, "compute", interrupted)
    code, _, err = call("study", study_file, "--out", tmp_path / "out", "--jobs", 1)
    assert code == 130
    assert err.strip().endswith(
        "nc1fast: interrupted; a study goes on with --resume, a training with its --checkpoint, a collapse with its --journal"
    )


def test_missing_typer_is_named_with_its_extra():
    code = "import sys; sys.modules['typer'] = None\nfrom nc1fast.cli import main; main(['doctor'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ.copy(),
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("nc1fast: typer is not installed")
    assert "nc1fast[cli]" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_command_argument_and_option_has_help():
    command: typing.Any = typer.main.get_command(app.app)
    assert len(command.commands) >= 9
    for name, sub in command.commands.items():
        assert sub.help, name
        without = [p.name for p in sub.params if not (getattr(p, "help", None) or "").strip()]
        assert without == [], name


def test_a_folder_that_holds_a_study_is_not_computed_over(call, study_file, tmp_path):
    out = tmp_path / "out"
    first = ("study", study_file, "--out", out, "--only", "d0=3")
    assert call(*first)[0] == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    code, told, err = call(*first)
    assert (code, told) == (2, "")
    assert all(word in err for word in (str(out), "--resume", "--restart", "--out"))
    assert before == {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}

    code, _, err = call(*first, "--resume", "--restart")
    assert code == 2
    assert "cannot be given together" in err
    code, told, _ = call(*first, "--restart")
    assert code == 0
    assert "1 cells computed" in told
    assert (out / "journal-previous.sqlite").read_bytes() == before[out / "journal.sqlite"]


def test_dry_run_says_which_data_file_is_missing(call, tmp_path):
    description = tmp_path / "mine.yml"
    description.write_text(
        "name: m\ntitle: m\narms:\n  - name: a\n    data: [{source: file, name: d, path: d.npy, labels: y.npy}]\n"
        "    kernels: [{kernel: Linear}]\n"
    )
    command = ("study", description, "--out", tmp_path / "out", "--dry-run")
    for name in ("d.npy", "y.npy"):
        code, out, err = call(*command)
        assert (code, out) == (2, "")
        assert err == f"nc1fast: {tmp_path / name}: No such file or directory\n"
        np.save(tmp_path / name, np.arange(4.0))
    code, out, _ = call(*command)
    assert code == 0
    assert "1 cell, 2 rows" in out
