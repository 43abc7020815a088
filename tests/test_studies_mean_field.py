"""The mean field as a model of a study: its rows, its plan, its mistakes."""

from __future__ import annotations

import math

import numpy as np
import pytest

import nc1fast as nc
from nc1fast import studies

STUDY = """
name: fields
title: Mean fields
repeats: 1
arms:
  - name: balanced
    data: [{source: gaussian_mixture, name: D1, means: [-2, 2], stds: 0.5, n_samples: [24],
          n_features: [3]}]
    conventions: [papyan, class]
    mean_field:
      - {noise: 0.01, activation: [erf, relu], n_samples: 4096}
      - {noise: 0.01, readout_variance: 3.8809, targets: one-hot, n_samples: 4096}
  - name: far
    data: [{source: gaussian_mixture, name: D2, means: [-6, -2, 2, 6], stds: 0.5, n_samples: [32],
          n_features: [2]}]
    mean_field: [{noise: 1.0e-6, width: 20, n_samples: 256}]
"""


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    found = studies.run(studies.parse(STUDY), tmp_path_factory.mktemp("fields")).rows
    return [row for row in found if row["model"] == "mean field"]


def _data():
    [cell, *_] = studies.plan(studies.parse(STUDY), ["arm=balanced"])
    return cell.draw()


def test_rows_are_solutions(rows):
    data = _data()
    near = [row for row in rows if row["arm"] == "balanced"]
    assert len(near) == 6
    for row in near:
        readout_variance = float(row["weight_variance"].split(":")[1])
        Y = np.eye(2)[(data.y == data.y.max()) * 1] if readout_variance > 1 else None
        solution = nc.adaptive.mean_field(
            data.X,
            np.where(data.y == data.y.max(), 1, -1) if Y is None else Y,
            noise=row["noise"],
            activation=row["activation"],
            width=row["width"],
            readout_variance=readout_variance,
            n_samples=4096,
            seed=data.seed,
        )
        result = solution.collapse(data.y, convention=row["convention"])
        assert row["status"] == "ok"
        assert row["nc1"] == pytest.approx(result.nc1, rel=1e-9)
        assert row["standard_error"] == pytest.approx(result.standard_error, rel=1e-6)
        assert row["free_energy"] == pytest.approx(solution.free_energy, rel=1e-9)
        assert (row["depth"], row["bias_variance"]) == (2, "0")


def test_a_row_says_that_it_did_not_converge(rows):
    [row] = [row for row in rows if row["arm"] == "far"]
    assert row["status"].startswith("not converged: ")
    assert math.isfinite(row["nc1"])


def test_the_plan_knows_rows_and_time():
    cells = studies.plan(studies.parse(STUDY), ["arm=balanced", "task=mean"])
    assert [cell.n_rows for cell in cells] == [2, 2, 2]
    times = [cell.task.seconds(n, 8) for cell in cells[:1] for n in (64, 256, 1024)]
    assert times == sorted(times)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("{activation: erf}", "noise"),
        ("{noise: 0}", "noise"),
        ("{noise: 0.1, activation: tanh}", "activation"),
        ("{noise: 0.1, draws: 5}", "draws"),
        ("{noise: 0.1, n_samples: 0}", "n_samples"),
    ],
)
def test_mistakes_name_the_key(entry, words):
    text = STUDY.replace("{noise: 1.0e-6, width: 20, n_samples: 256}", entry)
    with pytest.raises(ValueError, match=words):
        studies.parse(text)
