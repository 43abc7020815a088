"""The study of a user's own data: fitted to a file, in words that are about these data alone."""

from __future__ import annotations

import gzip
import json
import re
from typing import Any

import numpy as np
import pytest
from tests.file_bytes import idx_bytes

import nc1fast as nc
from nc1fast import studies
from nc1fast.cli import main
from nc1fast.studies import library, report, table

RNG = np.random.default_rng(8)
Y = np.arange(90) % 3
X = RNG.normal(size=(90, 4)) + 3 * np.eye(4)[Y]
NAMES = np.array(["ant", "bee", "cat"])[Y]


def write_csv(path):
    lines = [",".join([*map(repr, row.tolist()), name]) for row, name in zip(X, NAMES, strict=True)]
    path.write_text("a,b,c,d,species\n" + "\n".join(lines))


def write_npz(path):
    np.savez(path, features=X, labels=Y)


def write_hdf5(path):
    with pytest.importorskip("h5py").File(path, "w") as file:
        file["embeddings"], file["targets"] = X, Y


def write_folder(path):
    path.mkdir()
    pixels = np.clip(X * 20 + 100, 0, 255).astype(np.uint8).reshape(90, 2, 2)
    (path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(pixels)))
    (path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(Y.astype(np.uint8))))


WRITERS = {
    "bugs.csv": write_csv,
    "bugs.npz": write_npz,
    "bugs.h5": write_hdf5,
    "bugs": write_folder,
}


def entries(arm) -> list[Any]:
    """Networks and adaptive kernels of an arm."""
    return list(arm.entries)


@pytest.mark.filterwarnings("ignore:.*mean square of the features:UserWarning")  # pixels
@pytest.mark.parametrize("name", WRITERS)
def test_a_study_is_fitted_to_a_file(tmp_path, name):
    WRITERS[name](tmp_path / name)
    study = studies.load_data(tmp_path / name)
    kernels, networks = study.arms
    assert study.name == "data"
    assert study.title == "Neural collapse of bugs"
    assert [arm.data[0].name for arm in study.arms] == ["bugs", "bugs"]
    assert kernels.data[0].n_samples is None
    assert kernels.tolerance is None
    assert networks.data[0].n_samples == 90  # all rows, once for each repeat
    assert {entry.targets for entry in entries(networks)} == {"one-hot"}
    assert [t.activation for t in entries(networks) if hasattr(t, "lr")] == ["erf", "relu"]
    assert studies.plan(study)


def test_two_classes_have_an_order_and_large_data_are_estimated(tmp_path):
    y = np.arange(20_100) % 2
    np.savez(tmp_path / "a.npz", X=RNG.normal(size=(len(y), 3)) + y[:, None], y=y)
    kernels, networks = studies.load_data(tmp_path / "a.npz").arms
    assert kernels.tolerance == 0.005
    assert networks.data[0].n_samples == 400
    assert {entry.targets for entry in entries(networks)} == {"scalar"}
    outcome = studies.runner.compute(
        next(c for c in studies.plan(studies.load_data(tmp_path / "a.npz")) if c.arm == "kernels")
    )
    X, labels = nc.datasets.load(tmp_path / "a.npz")
    exact = nc.collapse(X, labels, [nc.NNGP("erf"), nc.NTK("relu", 5)])
    for result, (model, activation, depth) in zip(
        exact, [("NNGP", "erf", 2), ("NTK", "relu", 5)], strict=True
    ):
        [row] = [
            r
            for r in outcome.rows
            if (r["model"], r["activation"], r["depth"]) == (model, activation, depth)
        ]
        assert row["nc1"] == pytest.approx(result.nc1, abs=row["error_bound"])
        assert 0 < row["error_bound"] < 0.05 * result.nc1


def test_features_that_saturate_are_told(tmp_path):
    np.savez(tmp_path / "a.npz", X=200 * X, y=Y)
    with pytest.warns(UserWarning, match=r"a: the mean square of the features is .*--scale"):
        studies.load_data(tmp_path / "a.npz")
    studies.load_data(tmp_path / "a.npz", scale="standardize")


@pytest.mark.filterwarnings("ignore:.*mean square of the features:UserWarning")
@pytest.mark.parametrize("activation", ["erf", "relu"])
@pytest.mark.parametrize("scale", [0.1, 1, 40])
def test_learning_rates_suit_the_scale_of_the_data(tmp_path, scale, activation):
    """Gradient descent converges at the rate that is chosen, and not at four times the rate."""
    np.savez(tmp_path / "a.npz", X=scale * X, y=Y)
    [entry] = [
        t
        for t in entries(studies.load_data(tmp_path / "a.npz").arms[1])
        if getattr(t, "lr", 0) and t.activation == activation
    ]
    losses = []
    for times in (1, 8):
        network = nc.networks.ShallowNetwork(
            activation, 4, width=entry.width, n_outputs=3, weight_variance=(1, 3.8809), seed=0
        )
        trace = nc.networks.train(
            network, scale * X, Y, targets="one-hot", lr=times * entry.lr, epochs=60
        )
        losses.append(
            trace.table["loss"][-1] / trace.table["loss"][0]
            if len(trace.table["loss"]) > 1
            else np.inf
        )
    assert losses[0] < 1
    assert not losses[1] < losses[0]


def test_without_networks_and_with_many_features(tmp_path):
    np.savez(tmp_path / "a.npz", X=RNG.normal(size=(30, 300)), y=np.arange(30) % 2)
    assert [type(t).__name__ for t in studies.load_data(tmp_path / "a.npz").arms[1].entries] == [
        "Training",
        "Training",
    ]
    np.savez(tmp_path / "b.npz", X=X, y=Y)
    entries = studies.load_data(tmp_path / "b.npz", networks=False).arms[1].entries
    assert {type(t).__name__ for t in entries} == {"Adaptive"}


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (np.zeros(90), "all rows have the same label"),
        (RNG.normal(size=90), "90 different labels in 90 rows are no classes; --labels names"),
    ],
)
def test_labels_that_are_no_classes(tmp_path, y, words):
    np.savez(tmp_path / "a.npz", X=X, y=y)
    with pytest.raises(ValueError, match=words):
        studies.load_data(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/bugs.csv.gz", "bugs"),
        ("train-images.idx3-ubyte", "train-images.idx3-ubyte"),
        ("_é(1).npz", "1-"),
        ("mnist folder/", "mnist folder"),
        ("é.npz", "data"),
    ],
)  # fmt: skip
def test_the_name_of_a_file_is_that_of_the_data(path, name):
    assert studies.loading.name_of(path) == name


# The command line, and what the report says


def call(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(list(map(str, arguments)))
    return ended.value.code


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A study of a CSV file with few epochs."""
    base = tmp_path_factory.mktemp("study")
    write_csv(base / "bugs.csv")
    study = studies.load_data(base / "bugs.csv", labels="species")
    shortened = [_short(arm) for arm in study.arms]
    studies.run(study.model_copy(update={"arms": tuple(shortened)}), base / "out", jobs=1)
    return base / "out"


def _short(arm):
    extra = dict(arm.model_extra)
    if "networks" in extra:
        extra["networks"] = tuple(
            t.model_copy(update={"epochs": 5, "width": 30}) for t in extra["networks"]
        )
    return arm.model_copy(update=extra)


def test_the_report_speaks_of_these_data_alone(folder):
    html = report.build(folder).read_text()
    text = re.sub(r"<[^>]+>", " ", html)
    assert "Neural collapse of bugs" in text
    assert "overview" in html  # the figure of the first screen
    for word in ("abstract", "D1", "D2", "published data"):
        assert word not in re.sub(r"data:[^\"]*", "", text)


def test_the_answer_is_that_of_the_rows(folder):
    rows, _ = table.read(folder)
    answer = library.STUDIES["data"].answer(rows)
    plain = [r for r in rows if r["arm"] == "kernels" and r["model"] != "data"]
    low, high = (pick(plain, key=lambda r: r["nc1"]) for pick in (min, max))
    assert (
        f"the {low['model']} of {low['activation'].replace('relu', 'ReLU')} at depth "
        f"{low['depth']} is most" in answer.sentences[0]
    )
    assert answer.sentences[0].startswith(f"Of {len(plain)} kernels")
    assert f"with NC1 {low['nc1']:.3g}" in answer.sentences[0]
    assert f"with {high['nc1']:.3g}" in answer.sentences[0]
    [made] = answer.tables
    assert [row.label for row in made.rows] == ["erf, depth 2", "ReLU, depth 2"]
    logs = {}
    for model, state, noise in (
        ("network", "end", None),
        ("NNGP", "", None),
        ("AdaptiveKernel", "", 0.01),
    ):
        some = [
            r
            for r in rows
            if (r["arm"], r["model"], r["state"], r["activation"], r["depth"])
            == ("networks", model, state, "erf", 2)
            and (noise is None or r["noise"] == noise)
        ]
        logs[model] = np.log([r["nc1"] for r in sorted(some, key=lambda r: r["repeat"])])
        assert len(some) == 6
    cells = dict(zip(made.columns, made.rows[0].cells, strict=True))
    assert cells["network at the end"].nc1 == pytest.approx(np.exp(logs["network"].mean()))
    for column, model in (("NNGP", "NNGP"), ("adaptive (matched prior)", "AdaptiveKernel")):
        off = np.abs(logs[model] - logs["network"]).mean()
        assert cells[column].distance == pytest.approx(off)
    nearest = min(
        (
            c.distance
            for name, c in cells.items()
            if name not in made.columns[:2] and c.distance == c.distance
        )
    )
    assert all(c.nearest for c in cells.values() if c.distance == nearest)


def test_findings_keep_every_depth(folder):
    rows, _ = table.read(folder)
    told = {f.key: f for _, found in library.STUDIES["data"].sections(rows) for f in found}
    depths = {cell.cell["depth"] for cell in told["ntk-nngp"].cells}
    assert depths == {2, 3, 5}
    assert {"erf-relu", "adaptive", "labels", "training", "start", "scope", "unusual"} <= set(told)
    assert "released-ntk" not in told  # there are no such rows
    assert any("N = 90" in sentence for sentence in told["scope"].sentences)
    assert any("no expected curves" in sentence for sentence in told["scope"].sentences)


DESCRIPTION = """name: mine
title: Mine
repeats: 2
arms:
  - name: a
    data:
      - {source: gaussian_mixture, name: close, means: [-1, 1], stds: 0.5, n_samples: [40],
            n_features: [2, 4]}
    theory: true
    kernels:
      - {kernel: NNGP, activation: [erf, relu], depth: [2, 3]}
      - {kernel: NTK, activation: [erf, relu], depth: [2, 3]}
      - {kernel: compat.released.erf_ntk}
"""


def test_a_study_of_the_users_own_keeps_its_comparisons_at_every_depth(tmp_path):
    studies.run(studies.parse(DESCRIPTION), tmp_path, jobs=1)
    rows, provenance = table.read(tmp_path)
    study = library.told_as(provenance["study"])
    assert study.claims(rows) == []
    told = {f.key: f for _, found in study.sections(rows) for f in found}
    assert {(c.cell["depth"], c.cell["d0"]) for c in told["ntk-nngp"].cells} == {
        (2, 2),
        (2, 4),
        (3, 2),
        (3, 4),
    }
    assert {"theory", "released-ntk", "depth"} <= set(told)
    assert not any("no expected curves" in s for s in told["scope"].sentences)
    assert len(study.answer(rows).sentences) == 2  # one for each d0; no networks
    assert report.build(tmp_path).is_file()


def test_the_command_plans_a_study_of_a_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "bugs.csv")
    assert call("study", "data", "bugs.csv", "--labels", "species", "--dry-run") == 0
    told = capsys.readouterr().out
    assert "Neural collapse of bugs (data, quick)" in told
    assert call("study", "data", "bugs.csv", "--no-networks", "--preset", "full", "--dry-run") == 0
    assert "(data, full)" in capsys.readouterr().out
    assert call("study", "data", "bugs.csv", "--only", "arm=kernels", "--jobs", 1) == 0
    assert (tmp_path / "bugs-study" / "report.html").is_file()
    _, provenance = table.read(tmp_path / "bugs-study")
    assert provenance["description"]["arms"][0]["data"][0]["path"] == "bugs.csv"
    json.dumps(provenance)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["data"], "FILE must be given for the study data: nc1fast study data FILE"),
        (["data", "none.csv"], "none.csv: no such file"),
        (["data", "a.xyz"], "unknown kind of file '.xyz'"),
        (["paper", "a.csv", "--out", "o"], "belong to the study data"),
        (["paper", "--no-networks", "--out", "o"], "belong to the study data"),
        (["paper"], "--out must be the folder"),
        (["data", "digits", "--preset", "huge"], "has no preset 'huge'; choose from full, quick"),
    ],
)
def test_mistakes_of_the_call(tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.xyz").write_text("1")
    assert call("study", *arguments, "--dry-run") == 2
    assert words in capsys.readouterr().err
