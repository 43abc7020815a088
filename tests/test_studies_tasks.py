"""What a study computes beside kernels: each row and series against the library function that it
stands for.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import nc1fast as nc
from nc1fast import studies
from nc1fast.compat.equations import ANNEALING, released_adaptive
from nc1fast.studies.summary import derived, distinct, paired, select
from nc1fast.studies.tasks.rows import block_means

pytest.importorskip("torch")

WHOLE = """
name: whole
title: Every kind of task
repeats: 2
arms:
  - name: balanced
    data:
      - {source: gaussian_mixture, name: D1, means: [-2, 2], stds: 0.5, n_samples: [24, 32],
            n_features: [3]}
    theory: true
    kernels:
      - {kernel: NNGP, activation: [erf, relu]}
      - {kernel: NTK, activation: erf}
    networks:
      - {activation: [erf, relu], width: 30, weight_variance: [1, 3.8809], lr: 1.0e-3,
            weight_decay: 1.0e-6, epochs: 40}
    adaptive:
      - {noise: 1.0e-3}
      - {noise: 1.0e-3, labels: shuffled, repeats: 1, largest: 24}
      - {noise: 1.0e-6, equations: released, repeats: 1}
    illustrate:
      - {dataset: D1, n_samples: [24], show: [training]}
      - {dataset: D1, n_samples: [24], activation: [erf], show: [sigma, annealing, gram, spectrum]}
  - name: unequal
    data: [{source: gaussian_mixture, name: D1, means: [-2, 2], stds: 0.5, sizes: [[8, 16]],
          n_features: [3]}]
    repeats: 1
    conventions: [papyan, probe, class, sample, released]
    networks: [{activation: erf, width: 10, epochs: 5, conventions: [probe, released],
          tangent: false}]
  - name: langevin
    data: [{source: gaussian_mixture, name: D1, means: [-2, 2], stds: 0.5, n_samples: [24],
          n_features: [3]}]
    networks:
      - {activation: erf, width: 20, parametrization: ntk, weight_variance: [1, 0.01],
            train_bias: false, optimizer: langevin, temperature: 0.01, lr: 0.5, epochs: 20,
            tangent: false}
  - name: fields
    data: [{source: gaussian_mixture, name: D1, means: [-2, 2], stds: 0.5, n_samples: [24],
          n_features: [3]}]
    repeats: 1
    conventions: [papyan, class]
    mean_field:
      - {noise: 0.01, activation: [erf, relu], n_samples: 4096}
      - {noise: 0.01, readout_variance: 3.8809, targets: one-hot, n_samples: 4096}
"""
FAILING = """
name: failing
title: A step that is too long, and draws that are too few
arms:
  - name: a
    data: [{source: gaussian_mixture, name: D1, means: [-2, 2], stds: 0.5, n_samples: [24],
          n_features: [3]}]
    networks: [{activation: relu, width: 30, lr: 10, epochs: 200}]
  - name: far
    data: [{source: gaussian_mixture, name: D2, means: [-6, -2, 2, 6], stds: 0.5, n_samples: [32],
          n_features: [2]}]
    mean_field: [{noise: 1.0e-6, width: 20, n_samples: 256}]
repeats: 1
"""


@pytest.fixture(scope="module")
def study():
    return studies.parse(WHOLE)


@pytest.fixture(scope="module")
def whole(study, tmp_path_factory):
    return studies.run(study, tmp_path_factory.mktemp("whole"))


def data(study, *only):
    [cell] = studies.plan(study, [*only, "task=kernels", "repeat=0"])
    drawn = cell.draw()
    return drawn.X, drawn.y


def nc1(rows, **values):
    [row] = select(rows, **values)
    assert row["status"] == "ok"
    return row["nc1"]


def test_every_row_is_good_and_the_plan_knows_their_number(study, whole):
    assert {row["status"] for row in whole.rows} == {"ok"}
    assert len(whole.rows) == sum(cell.n_rows for cell in studies.plan(study))


def test_ntk_row_is_that_of_the_network_as_it_trains(study, whole):
    """Standard parametrization with the width and the readout variance of the network, biases that
    train.
    """
    X, y = data(study, "arm=balanced", "N=32")
    kernel = nc.NTK("erf", weight_variance=(1, 3.8809), parametrization="standard", width=30)
    rows = select(whole.rows, arm="balanced", N=32, repeat=0, activation="erf")
    own = nc1(rows, model="NTK", parametrization="standard")
    assert own == pytest.approx(nc.collapse(X, y, kernel).nc1, rel=1e-12)
    limit = nc1(rows, model="NTK", parametrization="ntk", state="")
    assert abs(math.log(own / limit)) > 0.1  # another kernel
    for state in ("start", "end"):
        assert 0.5 < nc1(rows, model="empirical NTK", state=state) / own < 2  # of width 30


def test_network_rows_agree_with_the_probes_of_the_training(whole):
    for activation in ("erf", "relu"):
        for repeat in (0, 1):
            series = select(
                whole.series, quantity="nc1", layer="post1", activation=activation, repeat=repeat
            )
            assert [p["x"] for p in series][:4] == [0, 1, 2, 3]
            assert series[-1]["x"] == 40
            rows = select(whole.rows, arm="balanced", N=24, activation=activation, repeat=repeat)
            for state, point in (("start", series[0]), ("end", series[-1])):
                row = nc1(rows, model="network", state=state)
                assert row == pytest.approx(point["value"], rel=1e-12)
    losses = select(whole.series, quantity="loss", activation="erf", repeat=0)
    assert losses[-1]["value"] < losses[0]["value"] / 2
    starts = select(whole.rows, arm="balanced", N=24, model="network", state="start")
    assert len({row["nc1"] for row in starts}) == len(starts) == 4  # repeats are other networks


def test_weight_covariances_start_at_the_prior(whole):
    found = select(whole.series, model="network", state="start", quantity="sigma")
    sigma = np.zeros((3, 3))
    for p in found:
        sigma[int(p["x"]), int(p["y"])] = p["value"]
    np.testing.assert_allclose(sigma, sigma.T, rtol=1e-12)
    np.testing.assert_allclose(sigma, np.eye(3) / 3, atol=4 * math.sqrt(2 / 30) / 3)
    eigenvalues = select(whole.series, model="network", state="start", quantity="sigma spectrum")
    values = [p["value"] for p in eigenvalues]
    assert values == sorted(values, reverse=True)
    assert sum(values) == pytest.approx(np.trace(sigma), rel=1e-12)


def test_divergence_is_a_row_that_says_so(tmp_path):
    result = studies.run(studies.parse(FAILING), tmp_path)
    start, end = select(result.rows, model="network")
    assert (start["state"], start["status"]) == ("start", "ok")
    assert end["state"] == "end"
    assert end["status"].startswith("failed: diverged ")
    assert math.isnan(end["nc1"])
    assert result.n_failed == 2  # the empirical NTK at the end has none either
    [own] = select(result.rows, model="NTK")
    assert own["status"] == "ok"
    [field] = select(result.rows, model="mean field")
    assert field["status"].startswith("not converged: ")
    assert math.isfinite(field["nc1"])
    assert len(studies.read(tmp_path)[0]) == len(result.rows) == 6 + 2


def test_theory_rows_are_expectations_at_the_size_of_the_data(whole):
    rows = select(whole.rows, state="theory")
    assert {(r["arm"], r["repeat"], r["seed"]) for r in rows} == {("balanced", 0, 0)}
    assert len(rows) == 2 * 3
    for row in rows:
        kernel = getattr(nc, row["model"])(row["activation"])
        sizes = [int(n) for n in row["sizes"].split(":")]
        expected = nc.theory.expected_collapse(kernel, (-2, 2), 0.5, n_features=3, sizes=sizes)
        assert row["nc1"] == expected.nc1
    assert all(math.isnan(r["relative_nc1"]) for r in derived(rows))


def test_adaptive_rows_are_solutions(study, whole):
    X, y = data(study, "arm=balanced", "N=24")
    Y = np.where(y == y.max(), 1.0, -1.0)
    rows = select(whole.rows, arm="balanced", N=24, repeat=0)
    solved = nc.adaptive.solve(X, Y, noise=1e-3)
    labels = nc1(rows, model="AdaptiveKernel", state="")
    assert labels == pytest.approx(nc.collapse(X, y, solved.kernel).nc1, rel=1e-6)
    assert nc1(rows, model="AdaptiveKernel", state="shuffled") > labels
    released = nc.collapse(X, y, released_adaptive(X, Y, noise=1e-6).kernel).nc1
    assert nc1(rows, model="compat.released.adaptive") == pytest.approx(released, rel=1e-6)
    assert {r["N"] for r in select(whole.rows, state="shuffled")} == {24}
    [row] = select(rows, model="AdaptiveKernel", state="")
    assert (row["noise"], row["width"], row["weight_variance"]) == (1e-3, 500, "1:0.0078125")


def test_annealing_ends_where_the_direct_solution_is(whole):
    rows = select(whole.rows, arm="balanced", N=24, repeat=0)
    for state, model in (("", "AdaptiveKernel"), ("released", "compat.released.adaptive")):
        found = select(whole.series, model="AdaptiveKernel", state=state, quantity="nc1")
        assert [p["x"] for p in found] == list(ANNEALING)
        assert found[-1]["value"] == pytest.approx(nc1(rows, model=model, state=""), rel=1e-4)
    quantities = distinct(
        select(whole.series, model="AdaptiveKernel", state="released"), "quantity"
    )
    assert quantities == ["nc1", "nc1 of predictions", "trace sigma", "training error"]
    errors = select(whole.series, quantity="training error", state="released")
    assert all(0 <= p["value"] < 1 for p in errors)


def test_gram_series_are_block_means_and_spectra_have_the_trace(study, whole):
    X, y = data(study, "arm=balanced", "N=24")
    order = np.argsort(y, kind="stable")
    K = nc.NNGP("erf")(X)
    gram = select(whole.series, model="NNGP", activation="erf", quantity="gram")
    assert len(gram) == 24 * 24  # fewer rows than blocks
    for p in gram[::7]:
        assert p["value"] == K[order[int(p["x"])], order[int(p["y"])]]
    spectrum = select(whole.series, model="NNGP", activation="erf", quantity="kernel spectrum")
    assert sum(p["value"] for p in spectrum) == pytest.approx(np.trace(K), rel=1e-12)
    assert not select(whole.series, activation="relu", quantity="gram")
    assert distinct(select(whole.series, quantity="gram"), "model") == [
        "NNGP",
        "NTK",
        "AdaptiveKernel",
    ]


def test_block_means_of_blocks_that_differ_in_size():
    rng = np.random.default_rng(0)
    K, y = rng.standard_normal((11, 11)), np.array([1, 0] * 5 + [1])
    sorted_K = K[np.ix_(np.argsort(y, kind="stable"), np.argsort(y, kind="stable"))]
    edges = [0, 2, 5, 8, 11]  # floor(11 i/4)
    blocks = [slice(a, b) for a, b in itertools.pairwise(edges)]
    expected = [[sorted_K[rows, columns].mean() for columns in blocks] for rows in blocks]
    np.testing.assert_allclose(block_means(K, y, 4), expected, rtol=1e-13)


def test_sections_may_have_conventions_of_their_own(whole):
    rows = select(whole.rows, arm="unequal")
    assert {r["convention"] for r in select(rows, model="network")} == {"probe", "released"}
    assert len(select(rows, model="data")) == 5
    for state in ("start", "end"):
        probe, released = select(rows, model="network", state=state)
        assert probe["nc1"] != released["nc1"]


def test_langevin_rows_carry_their_temperature(whole):
    rows = select(whole.rows, arm="langevin", model="network")
    assert {(r["noise"], r["parametrization"], r["state"]) for r in rows} == {
        (0.01, "ntk", "start"),
        (0.01, "ntk", "end"),
    }


def test_pairs_share_their_data(whole):
    rows = select(whole.rows, arm="balanced", activation="erf")
    columns = ("arm", "dataset", "N", "d0", "sizes", "convention")
    network = select(rows, model="network", state="end")
    nngp = select(rows, model="NNGP", state="")
    cells = paired(network, nngp, columns)
    assert [(cell["N"], len(pairs)) for cell, pairs in cells] == [(24, 2), (32, 2)]
    for _, pairs in cells:
        assert all(a["seed"] == b["seed"] and a["repeat"] == b["repeat"] for a, b in pairs)


def test_series_are_read_as_they_were_computed(whole):
    assert [repr(r) for r in studies.read_series(whole.folder)] == [repr(r) for r in whole.series]


def test_rows_of_the_mean_field_are_solutions(study, whole):
    cells = studies.plan(study, ["arm=fields", "task=mean"])
    assert [cell.n_rows for cell in cells] == [2, 2, 2]
    times = [cells[0].task.seconds(n, 8) for n in (64, 256, 1024)]
    assert times == sorted(times)
    drawn = cells[0].draw()
    second = drawn.y == drawn.y.max()
    rows = select(whole.rows, arm="fields", model="mean field")
    assert len(rows) == 6
    for row in rows:
        readout_variance = float(row["weight_variance"].split(":")[1])
        solution = nc.adaptive.mean_field(
            drawn.X,
            np.eye(2)[second * 1] if readout_variance > 1 else np.where(second, 1, -1),
            noise=row["noise"],
            activation=row["activation"],
            width=row["width"],
            readout_variance=readout_variance,
            n_samples=4096,
            seed=drawn.seed,
        )
        result = solution.collapse(drawn.y, convention=row["convention"])
        assert row["nc1"] == pytest.approx(result.nc1, rel=1e-9)
        assert row["standard_error"] == pytest.approx(result.standard_error, rel=1e-6)
        assert row["free_energy"] == pytest.approx(solution.free_energy, rel=1e-9)
        assert (row["depth"], row["bias_variance"]) == (2, "0")
