"""The command line: the same numbers as the package, one-line errors, exit codes."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import typing

import numpy as np
import pytest
import typer

import nc1fast as nc
from nc1fast import datasets, metrics, studies
from nc1fast.cli import app, options

COMMANDS: typing.Any = typer.main.get_command(app.app)
BY_LAYER = ("--weight-variance", "1,3.88", "--bias-variance", "0.1,0")
STANDARD = ("--parametrization", "standard", "--width", "500")
STUDY = """
name: cli
title: A study for the command line
repeats: 1
arms:
  - name: balanced
    data:
      - {source: gaussian_mixture, name: D1, means: [-2, 2], stds: 0.5, n_samples: [16],
         n_features: [1, 3]}
    kernels: [{kernel: NNGP, activation: erf}]
"""


@pytest.fixture
def study_file(tmp_path):
    path = tmp_path / "study.yml"
    path.write_text(STUDY)
    return path


def test_help_and_version(call):
    assert call()[0] == 0
    code, out, _ = call("--help")
    assert code == 0
    assert all(name in out for name in COMMANDS.commands)
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
            nc.ConjugateKernel("relu", 2, 1, 0.5),
        ),
        (["--activation", "leaky_relu", "--slope", "0.2"], nc.NNGP(nc.LeakyReLU(0.2))),
        (["--activation", "leaky_relu:0.2"], nc.NNGP(nc.LeakyReLU(0.2))),
        (["--activation", "shifted_relu:0.5"], nc.NNGP(nc.ShiftedReLU(0.5))),
        (["--kernel", "linear", "--weight-variance", "2"], nc.Linear(2.0)),
        (["--kernel", "ntk", *STANDARD], nc.NTK("relu", parametrization="standard", width=500)),
        (["--kernel", "features"], None),
        (["--kernel", "ntk", "--depth", "3", "--weight-variance", "he"], nc.NTK("relu", 3, 2.0)),
        (
            [*BY_LAYER, "--kernel", "ntk"],
            nc.NTK("relu", weight_variance=(1, 3.88), bias_variance=(0.1, 0)),
        ),
    ],
)
def test_collapse_gives_the_numbers_of_the_package(answer, mixture, options, kernel):
    path, X, y = mixture
    row = answer("collapse", path, "--convention", "class", *options)
    expected = nc.collapse(X, y, kernel, convention="class")
    for name in ("nc1", "error_bound", "nc1_pinv"):
        assert row[name] == getattr(expected, name)
    assert (row["convention"], row["scale"]) == ("class", "none")
    assert kernel is None or row["description"] == repr(kernel)


def test_collapse_of_a_stored_gram_matrix(answer, tmp_path, mixture):
    _, X, y = mixture
    np.savez(tmp_path / "gram.npz", X=X @ X.T, y=y)
    row = answer("collapse", tmp_path / "gram.npz", "--kernel", "precomputed")
    assert row["nc1"] == pytest.approx(nc.collapse(X, y, convention="papyan").nc1, rel=1e-10)


def test_collapse_prints_one_line_per_number(call, mixture):
    code, out, _ = call("collapse", mixture[0], "--statistics", "sums", "--dtype", "float32")
    lines = dict(line.split(None, 1) for line in out.splitlines())
    assert code == 0
    assert float(lines["nc1"]) > 0
    assert lines["dtype"] == "float32"
    assert "nc1_pinv" not in lines


def test_collapse_reads_labels_keys_and_scale(answer, tmp_path, mixture):
    path, X, y = mixture
    scaled = datasets.apply_scale(X, "standardize")
    expected = nc.collapse(scaled, y, nc.NNGP("relu"), convention="papyan").nc1
    options = ("--scale", "standardize")
    assert answer("collapse", path, "--keys", "features,classes", *options)["nc1"] == expected

    table = tmp_path / "data.csv"
    lines = [",".join([str(c), *map(repr, map(float, x))]) for c, x in zip(y, X, strict=True)]
    table.write_text("kind,a,b,c\n" + "\n".join(lines) + "\n")
    for labels in ("kind", "0"):
        found = answer("collapse", table, "--labels", labels, *options)["nc1"]
        assert found == pytest.approx(expected, rel=1e-13)


@pytest.mark.filterwarnings("default")  # as on the command line, where a warning is a line
def test_json_has_no_number_that_json_does_not_know(call, tmp_path):
    np.savez(tmp_path / "same.npz", X=[[1.0], [3.0], [1.0], [3.0]], y=[0, 0, 1, 1])
    code, out, err = call("collapse", tmp_path / "same.npz", "--kernel", "features", "--json")
    told = json.loads(out, parse_constant=pytest.fail)
    assert code == 0
    assert float(told["nc1"]) == math.inf
    assert err.startswith("nc1fast: warning: ")


def test_study_is_planned_run_resumed_and_reported(call, answer, study_file, tmp_path):
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
    report = {"report": str(out / "report.html"), "version": nc.__version__}
    counts = {"rows": 4, "computed": 0, "failed": 0}
    assert answer("study", study_file, "--out", out, "--resume") == counts | report
    assert answer("report", out) == report
    assert studies.read(out)[1]["command"].startswith("nc1fast ")

    (out / "report.html").unlink()
    code, told, _ = call("report", out)
    assert (code, told.strip()) == (0, str(out / "report.html"))
    assert (out / "report.html").exists()


def test_study_with_a_failed_row_ends_with_one(call, tmp_path):
    path = tmp_path / "failing.yml"
    text = STUDY.replace("activation: erf", "activation: [relu, sign]").replace("0.5", "0")
    path.write_text(text.replace("[-2, 2]", "[0, 1]").replace("[1, 3]", "[2]"))
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
        "nc1fast: interrupted; a study goes on with --resume, a training with its --checkpoint, a "
        "collapse with its --journal"
    )


def test_missing_typer_is_named_with_its_extra():
    code = "import sys; sys.modules['typer'] = None\nfrom nc1fast.cli import main; main(['doctor'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("nc1fast: typer is not installed")
    assert "nc1fast[cli]" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_command_argument_and_option_has_help():
    assert len(COMMANDS.commands) >= 9
    for name, sub in COMMANDS.commands.items():
        assert sub.help, name
        without = [p.name for p in sub.params if not (getattr(p, "help", None) or "").strip()]
        assert without == [], name


def test_a_folder_that_holds_a_study_is_not_computed_over(call, refused, study_file, tmp_path):
    out = tmp_path / "out"
    first = ("study", study_file, "--out", out, "--only", "d0=3")
    assert call(*first)[0] == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    err = refused(*first)
    assert all(word in err for word in (str(out), "--resume", "--restart", "--out"))
    assert before == {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}

    assert "cannot be given together" in refused(*first, "--resume", "--restart")
    code, told, _ = call(*first, "--restart")
    assert code == 0
    assert "1 cells computed" in told
    assert (out / "journal-previous.sqlite").read_bytes() == before[out / "journal.sqlite"]


def test_dry_run_says_which_data_file_is_missing(call, refused, tmp_path):
    description = tmp_path / "mine.yml"
    description.write_text(
        "name: m\ntitle: m\narms:\n  - name: a\n    kernels: [{kernel: Linear}]\n"
        "    data: [{source: file, name: d, path: d.npy, labels: y.npy}]\n"
    )
    command = ("study", description, "--out", tmp_path / "out", "--dry-run")
    for name in ("d.npy", "y.npy"):
        assert refused(*command) == f"nc1fast: {tmp_path / name}: No such file or directory\n"
        np.save(tmp_path / name, np.arange(4.0))
    code, out, _ = call(*command)
    assert code == 0
    assert "1 cell, 2 rows" in out
