"""The study of finite and infinite networks: its gradients against differences, its networks
against their NTK, its claims on made rows.
"""

# ruff: noqa: RUF012  (the data of a study, which nothing changes)
from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from tests.atlas_studies import StudyChecks

import nc1fast as nc
from nc1fast.networks.twins import FullBatch, ReLUTwins
from nc1fast.studies.library import finite_infinite as parts


class TestStudy(StudyChecks):
    name = "finite-infinite"
    tiny = """
  - {part: widths, d0: [3], width: [16, 64], n_samples: 8, steps: 40, ensemble: 2}
  - {part: broken, d0: [3], width: [16], n_samples: 8, steps: 40, networks: 2}
  - {part: stopping, task: [linear, classes], d0: [3], n_samples: 24, ridges: [0.01, 0.1, 1]}
  - {part: precision, d0: [3], s: [0.1, 1.0e-6], n_samples: 24}
  - {part: nc1, d0: [8], n_samples: 32, repeats: 1}
"""
    tiny_words = {"holds": {"FI7", "FI8"}}
    things = 4
    figures = ["widths", "ways", "stopping"]
    good = {
        "power": -0.5,
        "ensemble": 0.6,
        "plain": 3.0,
        "decay": 4.0,
        "large": 4.0,
        "stopped": 1.01,
        "nngp": 0.9,
        "stored": 10.0,
        "over": 0.1,
    }
    changes = [
        ("FI1", {"power": -0.2}, "fails"),
        ("FI2", {"ensemble": 1.1}, "fails"),
        ("FI3", {"plain": 0.9}, "fails"),
        ("FI4", {"decay": 1.5, "large": 1.5}, "fails"),
        ("FI4", {"decay": 1.5}, "depends on the data"),
        ("FI5", {"stopped": 1.2}, "fails"),
        ("FI6", {"nngp": 1.1}, "fails"),
        ("FI7", {"stored": 0.5}, "fails"),
        ("FI8", {"over": 2.0}, "fails"),
    ]
    exact = {"FI7", "FI8"}

    def fill(self, add, told, repeat):
        for width in (64, 256, 1024):
            at, single = {"d0": 10, "width": width}, (width / 64) ** told["power"]
            for thing, factor in (
                (parts.CENTRED, 1.0),
                (parts.CENTRED_4, told["ensemble"]),
                (parts.PLAIN, told["plain"]),
                (parts.PLAIN_4, told["ensemble"] * told["plain"]),
                (parts.SMALL, 1.0),
                (parts.DECAY, told["decay"]),
                (parts.LARGE, told["large"]),
            ):
                add(thing, parts.DEVIATION, factor * single, **at)
        for kernel, factor in (("NTK", 1.0), ("NNGP", told["nngp"])):
            where = {"task": "linear", "d0": 8, "kernel": kernel}
            add(parts.RIDGE, parts.LEAST, factor, **where)
            add(parts.STOPPED, parts.LEAST, factor * told["stopped"], **where)
            add(parts.BOTH, parts.DISTANCE, 0.1, **where, ridge=0.1)
            add(parts.RIDGE, parts.ERROR, factor, **where, ridge=0.1)
            add(kernel, parts.NC1, 1e-11, d0=8, s=1e-5)
            collapsed: dict[str, Any] = {"d0": 8, "s": 1e-5, "kernel": kernel}
            add(parts.STORED, parts.OFF, told["stored"], **collapsed)
            add(parts.STREAMED, parts.OFF, 1e-6, **collapsed)
            add(parts.STREAMED, parts.OVER_BOUND, told["over"], **collapsed)


@pytest.mark.parametrize("centred", [True, False])
def test_a_step_is_along_the_gradient(centred):
    """Against central differences of |f - y|^2/(2 n) + decay |theta|^2/2."""
    random = np.random.default_rng(1)
    X, y, decay = random.standard_normal((5, 3)), random.standard_normal(5), 0.3
    network = ReLUTwins(4, 3, random, centred=centred)
    network.train(X, y, FullBatch(0.1, 3))  # so that twins differ

    def energy():
        weights = sum(np.sum(b.W**2) + np.sum(b.a**2) for b in network.branches)
        return np.sum((network(X) - y) ** 2) / 10 + decay * weights / 2

    slopes, before = [], [(b.W.copy(), b.a.copy()) for b in network.branches]
    for branch in network.branches:
        for array in (branch.W, branch.a):
            for place in np.ndindex(array.shape):
                kept, ends = array[place], []
                for step in (1e-5, -1e-5):
                    array[place] = kept + step
                    ends.append(energy())
                array[place] = kept
                slopes.append((ends[0] - ends[1]) / 2e-5)
    network.train(X, y, FullBatch(0.01, 1, decay))
    moved = [
        (new - old).ravel()
        for b, olds in zip(network.branches, before, strict=True)
        for new, old in zip((b.W, b.a), olds, strict=True)
    ]
    np.testing.assert_allclose(np.concatenate(moved) / -0.01, slopes, rtol=0, atol=1e-8)


def test_centred_networks_start_at_zero_and_move_by_the_ntk():
    """df = rate K(Z, X) y/n after one small step; width 40,000 leaves some 1/sqrt(width)."""
    random = np.random.default_rng(2)
    task = parts.SineTask.drawn(6, 4, random)
    network = ReLUTwins(40_000, 4, random, centred=True)
    assert np.all(network(task.Z) == 0)
    assert np.linalg.norm(task.X, axis=1) == pytest.approx(2.0)
    moved = network.train(task.X, task.y, FullBatch(1e-4, 1))(task.Z) / 1e-4
    expected = nc.NTK("relu")(task.Z, task.X) @ task.y / 6
    assert np.linalg.norm(moved - expected) < 0.03 * np.linalg.norm(expected)
    plain = np.std([ReLUTwins(200, 4, random, centred=False)(task.Z[:1])[0] for _ in range(400)])
    assert plain == pytest.approx(math.sqrt(nc.NNGP("relu")(task.Z[:1])[0, 0]), rel=0.15)


def test_wide_networks_reach_the_infinite_one():
    """400 steps of width 2,000, against exp(-K t/n) by eigenvectors of our own."""
    random = np.random.default_rng(3)
    task = parts.SineTask.drawn(10, 6, random)
    descent = task.descent(400)
    K = nc.NTK("relu")(task.X)
    values, U = np.linalg.eigh(K)
    time = descent.rate * descent.steps
    dual = U @ (-np.expm1(-values * time / 10) / values * (U.T @ task.y))
    infinite = nc.NTK("relu")(task.Z, task.X) @ dual
    np.testing.assert_allclose(task.infinite(time), infinite, rtol=0, atol=1e-10)
    networks = [ReLUTwins(2000, 6, random, centred=True) for _ in range(2)]
    outputs = task.outputs(networks, descent)
    assert outputs.shape == (2, 64)
    assert parts.deviation(outputs, infinite) < 0.15
    assert parts.deviation(infinite, infinite) == 0
    assert parts.deviation(np.stack([infinite, 3 * infinite]), infinite) == pytest.approx(1)


def test_flow_is_never_far_from_ridge():
    """On the rows themselves |f_t - f_ridge| <= max_x |e^-x - 1/(1 + x)| |y| = .2036 |y| at t =
    n/ridge.
    """
    random = np.random.default_rng(4)
    X, y = random.standard_normal((40, 3)), random.standard_normal(40)
    for kernel in (nc.NTK("relu"), nc.NNGP("relu")):
        for ridge in (0.01, 1.0):
            flow = nc.prediction.gradient_flow(kernel, X, y, time=40 / ridge).mean
            apart = np.linalg.norm(flow - nc.prediction.ridge(kernel, X, y, X, ridge=ridge).mean)
            assert 0 < apart < 0.2037 * np.linalg.norm(y)


def test_teachers_are_standardised():
    random = np.random.default_rng(5)
    X = random.standard_normal((300, 5))
    found = {t: parts.teacher(t, X, random) for t in ("linear", "ReLU teacher", "classes")}
    for values in found.values():
        assert values.mean() == pytest.approx(0, abs=1e-12)
        assert values.std() == pytest.approx(1)
    assert len(np.unique(found["classes"].round(9))) == 2
    residual = np.linalg.lstsq(np.column_stack([X, np.ones(300)]), found["linear"], rcond=None)[1]
    assert residual[0] < 1e-20
