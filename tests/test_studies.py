"""Studies: the description is checked, the plan is complete, killing loses one cell, findings count
cells.
"""

from __future__ import annotations

import contextlib
import json
import math
import sqlite3

import pytest

import nc1fast as nc
from nc1fast import studies
from nc1fast.studies import runner
from nc1fast.studies.figures.curves import levels
from nc1fast.studies.journal import StudyJournal, check_fresh
from nc1fast.studies.summary import derived, select
from nc1fast.studies.table import LAYOUT

SMALL = """
name: small
title: A small study
repeats: 2
arms:
  - name: balanced
    data:
      - {source: gaussian_mixture, name: D1, means: [-2, 2], stds: 0.5, n_samples: [24],
            n_features: [1, 3]}
    kernels: &kernels
      - {kernel: NNGP, activation: [erf, relu]}
      - {kernel: NTK, activation: [erf, relu]}
      - {kernel: compat.released.erf_ntk}
  - name: imbalanced
    data:
      - {source: gaussian_mixture, name: D1, means: [-2, 2], stds: 0.5, sizes: [[12, 12], [8, 16]],
            n_features: [3]}
    kernels: *kernels
    conventions: [papyan, probe, released]
  - name: depth
    data:
      - {source: gaussian_mixture, name: D1, means: [-2, 2], stds: 0.5, n_samples: [24],
            n_features: [3]}
    kernels:
      - {kernel: NNGP, activation: relu, weight_variance: 2, depth: [2, 3, 4]}
  - name: digits
    data:
      - {source: digits, n_samples: 60}
    kernels: *kernels
"""
NEGATIVE = """
name: negative
title: Unequal norms
repeats: 1
arms:
  - name: unequal
    data: [{source: gaussian_mixture, name: U, means: [6, -0.5], stds: 0.5, sizes: [[20, 200]],
          n_features: [2]}]
    kernels: [{kernel: NNGP, activation: relu}]
    conventions: [papyan, released]
"""
FAILING = """
name: failing
title: One kernel has no answer
repeats: 1
arms:
  - name: zeros
    data: [{source: gaussian_mixture, name: Z, means: [0, 1], stds: 0, n_samples: [8],
          n_features: [2]}]
    kernels: [{kernel: NNGP, activation: [relu, sign]}]
"""


@pytest.fixture(scope="module")
def small():
    return studies.parse(SMALL)


@pytest.fixture(scope="module")
def finished(small, tmp_path_factory):
    return studies.run(small, tmp_path_factory.mktemp("study"))


def without_seconds(rows):
    # repr, because NaN differs from itself
    return [repr({k: v for k, v in row.items() if k != "seconds"}) for row in rows]


# --- the plan


@pytest.mark.parametrize("preset", ["quick", "paper"])
def test_built_in_study_covers_the_published_grid(preset):
    plan = studies.plan(studies.load("paper", preset))
    balanced = [c for c in plan if c.arm == "balanced"]
    ns, ds = (
        ((128, 256), (1, 8, 128))
        if preset == "quick"
        else ((128, 256, 512, 1024), (1, 2, 8, 32, 128))
    )
    grid = {(name, n, d) for name in ("D1", "D2") for n in ns for d in ds}
    tasks = {c.task.name.partition(" ")[0] for c in balanced} - {"annealing"}
    assert tasks == {"kernels", "theory", "network", "AdaptiveKernel", "compat.released.adaptive"}
    for task in tasks:
        cells = [c for c in balanced if c.task.name.startswith(task)]
        assert {
            (c.instance.source.name, c.instance.n_samples, c.instance.n_features) for c in cells
        } == grid
    sizes = {c.instance.sizes for c in plan if c.arm == "imbalanced"}
    ratios = {max(n) / min(n) for n in sizes}
    assert ratios == ({1, 5 / 3} if preset == "quick" else {1, 5 / 3, 3, 7})


def test_cells_of_the_paper_are_short():
    """By their own estimates: so much is lost at most when a run is killed.

    Long trainings are the exception.
    """
    plan = studies.plan(studies.load("paper", "paper"))
    assert max(c.seconds for c in plan if c.arm != "long") < 80
    assert max(c.seconds for c in plan) < 120
    quick = studies.plan(studies.load("paper", "quick"))
    assert sum(c.seconds for c in quick) / 2 < 75  # of 90 on two cores, with the figures


def test_cells_draw_the_published_data(small):
    quick = studies.load("paper", "quick")
    for cell in studies.plan(quick, ["arm=balanced", "N=128", "d0=8", "repeat=1"]):
        draw = {"D1": nc.datasets.paper_d1, "D2": nc.datasets.paper_d2}[cell.instance.source.name]
        assert (draw(128, 8, cell.seed)[0] == cell.draw().X).all()


def test_seeds_belong_to_data_sets_whatever_the_arm_the_task_and_the_selection():
    paper = studies.load("paper", "paper")
    seeds: dict[tuple[str, int], set[int]] = {}
    for cell in studies.plan(paper):
        seeds.setdefault((cell.instance.id, cell.repeat), set()).add(cell.seed)
    assert {len(found) for found in seeds.values()} == {1}
    assert len(set.union(*seeds.values())) == len(seeds)
    long = studies.plan(paper, ["arm=long", "d0=8", "task=network"])
    balanced = studies.plan(paper, ["arm=balanced", "dataset=D1", "N=256", "d0=8", "task=kernels"])
    assert {c.seed for c in long} == {c.seed for c in balanced if c.repeat < 3}
    for cell in long:
        assert seeds[cell.instance.id, cell.repeat] == {cell.seed}


def test_another_study_seed_gives_other_data(small):
    other = small.model_copy(update={"seed": 1})
    assert not {c.seed for c in studies.plan(small)} & {c.seed for c in studies.plan(other)}


@pytest.mark.parametrize("only", ["d0", "d0=", "color=red", "d0=5", "arm=nothing"])
def test_filter_that_cannot_be_used_is_refused(small, only):
    with pytest.raises(ValueError, match="only"):
        studies.plan(small, [only])


def test_filters_all_hold(small):
    cells = studies.plan(small, ["arm=balanced,imbalanced", "d0=3", "repeat=0"])
    assert [(c.arm, c.instance.n_features, c.repeat) for c in cells] == [
        ("balanced", 3, 0),
        ("imbalanced", 3, 0),
        ("imbalanced", 3, 0),
    ]


def test_subset_of_real_data_keeps_class_proportions(small):
    first, second = studies.plan(small, ["arm=digits"])
    X, y, Z = first.draw().X, first.draw().y, second.draw().X
    assert X.shape == (60, 64)
    assert not (X == Z).all()
    assert set(range(10)) == set(y)


# --- the rows


def test_rows_are_those_of_collapse(finished, small):
    [cell] = studies.plan(small, ["arm=imbalanced", "sizes=8:16", "repeat=1"])
    X, y = cell.draw().X, cell.draw().y
    rows = select(derived(finished.rows), arm="imbalanced", sizes="8:16", repeat=1)
    assert len(rows) == 6 * 3
    for row in rows:
        kernel = None
        if row["model"] == "compat.released.erf_ntk":
            continue
        if row["model"] != "data":
            kernel = getattr(nc, row["model"])(row["activation"], row["depth"])
        result = nc.collapse(X, y, kernel, convention=row["convention"], statistics="sums")
        divisor = "probe" if row["convention"] == "released" else row["convention"]
        data = nc.collapse(X, y, convention=divisor).nc1
        assert row["nc1"] == pytest.approx(result.nc1, rel=1e-14)
        assert row["relative_nc1"] == pytest.approx(result.nc1 / data, rel=1e-13)
        assert row["log10_nc1"] == pytest.approx(math.log10(result.nc1), rel=1e-12)
        assert row["nc1"] == row["trace_within"] / row["trace_between"]
        assert row["seed"] == cell.seed


def test_all_kernels_of_a_data_set_share_one_pass(small, monkeypatch):
    calls = []
    collapse = nc.collapse

    def counting(X, y, kernel=None, **options):
        calls.append(kernel)
        return collapse(X, y, kernel, **options)

    monkeypatch.setattr(nc, "collapse", counting)
    [cell] = studies.plan(small, ["arm=balanced", "d0=3", "repeat=0"])
    runner.compute(cell)
    lists = [kernel for kernel in calls if isinstance(kernel, list)]
    assert [len(kernels) for kernels in lists] == [4]
    assert len(calls) == 3  # the data itself, the list, the released code's Gram matrix


def test_negative_values_are_kept_and_named(tmp_path):
    rows = derived(studies.run(studies.parse(NEGATIVE), tmp_path).rows)
    [papyan, released] = select(rows, model="NNGP")
    assert papyan["status"] == "ok"
    assert papyan["nc1"] > 0
    assert released["nc1"] < 0
    assert released["nc1"] == released["trace_within"] / released["trace_between"]
    assert math.isnan(released["log10_nc1"])
    assert released["status"] == "nc1 negative"
    assert {r["convention"] for r in select(rows, model="data")} == {"papyan", "released", "probe"}
    [known, unknown] = levels([papyan, released], "convention")
    assert known.value == pytest.approx(papyan["nc1"])
    assert math.isnan(unknown.value)
    assert (known.undefined, unknown.undefined) == (0, 1)


def test_kernel_without_an_answer_does_not_take_the_others_along(tmp_path):
    result = studies.run(studies.parse(FAILING), tmp_path)
    data, relu, sign = result.rows
    assert (data["model"], data["status"]) == ("data", "nc1 zero")
    assert relu["status"] == "nc1 zero"
    assert relu["nc1"] == 0
    assert sign["status"].startswith("failed: ")
    assert math.isnan(sign["nc1"])
    assert result.n_failed == 1
    assert len(studies.read(tmp_path)[0]) == 3


# --- the files


def test_parquet_is_exact_and_csv_has_the_digits_of_its_columns(finished):
    from_parquet, provenance = studies.read(finished.folder)
    assert [repr(r) for r in from_parquet] == [repr(r) for r in finished.rows]
    assert provenance["title"] == "A small study"
    assert provenance["cells"] == "12 of 12"
    copy = finished.folder / "csv-alone"
    copy.mkdir()
    (copy / "table.csv").write_bytes((finished.folder / "table.csv").read_bytes())
    from_csv, nothing = studies.read(copy)
    assert nothing == {}
    assert studies.read_series(copy) == []
    digits = {column.name: column.digits for column in LAYOUT.columns}
    for read, exact in zip(from_csv, from_parquet, strict=True):
        for name, value in exact.items():
            if digits[name] is None or math.isnan(value):
                assert repr(read[name]) == repr(value)
            else:
                assert read[name] == pytest.approx(value, rel=0.5 * 10 ** (1 - digits[name]))


@pytest.mark.parametrize("name", ["table.csv", "table.parquet"])
@pytest.mark.parametrize("content", [b"", b"arm,dataset\n1,2\n", b"PAR1\0\0"])
def test_damaged_table_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=name):
        studies.read(tmp_path)


def test_csv_line_that_cannot_be_read_is_named(tmp_path, finished):
    lines = LAYOUT.to_csv(finished.rows).splitlines()
    lines[2] = lines[2].replace("24", "many", 1)
    (tmp_path / "table.csv").write_text("\n".join(lines))
    with pytest.raises(ValueError, match="line 3"):
        studies.read(tmp_path)


def test_missing_table_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"table\.parquet"):
        studies.read(tmp_path)


# --- killing and resuming


def stop_after(n, monkeypatch):
    compute = runner.compute
    calls: list[object] = []

    def stopping(*args):
        if len(calls) == n:
            raise KeyboardInterrupt
        calls.append(args)
        return compute(*args)

    monkeypatch.setattr(runner, "compute", stopping)


def test_interrupted_study_resumes_to_the_same_table(small, finished, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(3, patch)
        with pytest.raises(KeyboardInterrupt):
            studies.run(small, tmp_path)
    assert not (tmp_path / "table.csv").exists()
    result = studies.run(small, tmp_path, resume=True)
    assert result.n_computed == 12 - 3
    assert without_seconds(result.rows) == without_seconds(finished.rows)


def test_selection_is_completed_by_resume(small, finished, tmp_path):
    part = studies.run(small, tmp_path, only=["arm=depth"])
    assert {row["arm"] for row in part.rows} == {"depth"}
    assert studies.read(tmp_path)[1]["cells"] == "2 of 12"
    whole = studies.run(small, tmp_path, resume=True)
    assert whole.n_computed == 10
    assert without_seconds(whole.rows) == without_seconds(finished.rows)


def test_fresh_start_sets_the_old_journal_aside(small, tmp_path):
    only = ["arm=depth", "repeat=0"]
    assert studies.run(small, tmp_path, only=only).n_computed == 1
    assert studies.run(small, tmp_path, only=only).n_computed == 1
    assert studies.run(small, tmp_path, only=only, resume=True).n_computed == 0
    assert (tmp_path / "journal-previous.sqlite").exists()


def test_journal_of_another_study_is_not_continued(small, tmp_path):
    studies.run(small, tmp_path, only=["arm=depth", "repeat=0"])
    other = small.model_copy(update={"seed": 1})
    with pytest.raises(ValueError, match="another study"):
        studies.run(other, tmp_path, resume=True)


def test_damage_inside_the_journal_is_computed_again(small, tmp_path):
    only = ["arm=depth"]
    first = studies.run(small, tmp_path, only=only)
    path = tmp_path / "journal.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        change = "replace(CAST(payload AS TEXT), '\"nc1\": 0.', '\"nc1\": 0.7')"  # another number
        db.execute(f"UPDATE finished SET payload = CAST({change} AS BLOB) WHERE rowid = 1")
    with pytest.warns(UserWarning, match=r"journal\.sqlite: 1 damaged records"):
        again = studies.run(small, tmp_path, only=only, resume=True)
    assert again.n_computed == 1
    assert without_seconds(again.rows) == without_seconds(first.rows)
    assert studies.run(small, tmp_path, only=only, resume=True).n_computed == 0  # no warning


def test_journal_of_an_earlier_version_is_not_continued(small, tmp_path):
    (tmp_path / "journal.jsonl").write_text('{"format": 2}\n')
    with pytest.raises(ValueError, match=r"journal\.jsonl is of an earlier version.*--restart"):
        studies.run(small, tmp_path, resume=True)
    with pytest.raises(ValueError, match="was run before"):
        check_fresh(tmp_path)
    studies.run(small, tmp_path, only=["arm=depth", "repeat=0"])
    assert (tmp_path / "journal-previous.jsonl").exists()


def test_two_runs_do_not_share_a_folder(tmp_path):
    first = StudyJournal(tmp_path, "f", LAYOUT, resume=True)
    with pytest.raises(ValueError, match="another run"):
        StudyJournal(tmp_path, "f", LAYOUT, resume=True)
    first.close()
    StudyJournal(tmp_path, "f", LAYOUT, resume=True).close()


def test_changed_data_file_changes_the_fingerprint(tmp_path):
    data, description = tmp_path / "d.csv", tmp_path / "s.yml"
    data.write_text("1,2,a\n2,1,a\n8,9,b\n9,8,b\n")
    description.write_text(
        "name: f\ntitle: f\narms:\n  - name: a\n    data: [{source: file, name: d, path: d.csv}]\n"
        "    kernels: [{kernel: Linear}]\n"
    )
    study = studies.load(description)
    before = runner.fingerprint(study)
    _, row = derived(studies.run(study, tmp_path / "out").rows)
    assert (row["N"], row["d0"], row["sizes"], row["model"]) == (4, 2, "2:2", "Linear")
    assert row["relative_nc1"] == pytest.approx(1, rel=1e-12)
    data.write_text("1,2,a\n2,1,a\n8,9,b\n9,9,b\n")
    assert runner.fingerprint(study) != before


def test_every_section_of_an_arm_enters_the_fingerprint_and_the_provenance(small):
    text = SMALL.replace("name: depth", "name: depth\n    adaptive: [{noise: NOISE}]")
    one, other = (studies.parse(text.replace("NOISE", noise)) for noise in ("0.1", "0.2"))
    assert len({runner.fingerprint(study) for study in (small, one, other)}) == 3
    described = runner.describe(one)["description"]
    assert described["arms"][2]["adaptive"] == [{"noise": 0.1}]
    assert studies.Study.model_validate(described) == one


def test_journal_is_one_record_per_cell(finished):
    path = finished.folder / "journal.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as db:
        payloads = db.execute("SELECT payload FROM finished").fetchall()
    assert len(payloads) == 12
    assert all(isinstance(json.loads(one), dict) for (one,) in payloads)
