"""The study of the dispersion of tangent kernels: its descent against single networks, its claims
on made rows and on a tiny run.
"""

# ruff: noqa: RUF012  (the data of a study, which nothing changes)
from __future__ import annotations

import math

import numpy as np
import pytest
from tests import measure_rows as made
from tests.atlas_studies import StudyChecks, tiny_rows

import nc1fast as nc
from nc1fast.studies.library import tangent_dispersion as parts
from nc1fast.studies.loading import parse

torch = pytest.importorskip("torch")


class TestStudy(StudyChecks):
    name = "tangent-dispersion"
    tiny = """
  - {part: shallow, n: [8], draws: 50}
  - {part: without biases, n: [8], L: [2, 3], draws: 60}
  - {part: depths, n: [8], sw2: [1, 3], L: [2, 3], draws: 20}
  - {part: drifts, n: [8], sw2: [1, 2], L: [2], n_samples: 4, networks: 3, steps: 5}
  - {part: spreads, n: [8], sw2: [1, 2], L: [2, 3], n_samples: 8, networks: 4}
  - {part: nc1, d0: [2], n_samples: 16, repeats: 1}
"""
    # none of depth 16 and width 64
    tiny_words = {"holds": {"TD4"}, "not comparable": {"TD2", "TD3", "TD7", "TD8", "TD10"}}
    things = 8
    figures = ["phases", "nc1", "law"]
    good = {
        "scaled": 3.0,
        "ordered": 0.23,
        "chaotic": 1.1,
        "middle": 0.5,  # of the dispersion at L = 8 over that of the deepest
        "change": 1e-13,
        "law": 0.65,
        "measured": 1.0,
        "still": 0.05,
        "near": 0.06,
        "moved": 0.5,
        "stuck": 0.95,
        "trained": 0.3,
        "over": 1.01,
        "of_ordered": 4.0,
        "of_chaotic": 0.7,
    }
    changes = [
        ("TD1", {"scaled": 3.5}, "fails"),
        ("TD2", {"ordered": 0.4, "chaotic": 0.7}, "fails"),
        ("TD2", {"ordered": 0.4}, "depends on the data"),
        ("TD2", {"chaotic": 0.7}, "depends on the data"),
        ("TD3", {"middle": 0.95}, "depends on the data"),
        ("TD4", {"change": 1e-6}, "fails"),
        ("TD5", {"law": 0.4}, "fails"),
        ("TD5", {"law": 1.2}, "fails"),
        ("TD6", {"measured": 1.2}, "fails"),
        ("TD7", {"still": 0.4, "moved": 0.2, "near": 0.4}, "fails"),
        ("TD7", {"still": 0.4}, "depends on the data"),
        ("TD8", {"stuck": 0.5, "trained": 0.9}, "fails"),
        ("TD9", {"over": 1.3}, "fails"),
        ("TD10", {"of_ordered": 0.8, "of_chaotic": 1.3}, "fails"),
    ]
    exact = {"TD4"}
    alone = True

    def fill(self, add, told, repeat):
        net = parts.NETWORK
        add(net, parts.SCALED, told["scaled"], n=64)
        law = 5 * 7 / 32 * told["law"]
        add(net, parts.RATIO, law, n=32, L=8)
        add(parts.EXACT, parts.RATIO, law / told["measured"], n=32, L=8)
        add(net, parts.CHANGE, told["change"], n=32, L=8, sw2=3)
        for sw2, deep, spread in ((1, "ordered", "of_ordered"), (3, "chaotic", "of_chaotic")):
            at, value = {"n": 64, "sw2": sw2}, told[deep]
            share = 1.0 if sw2 == 1 else told["middle"]
            add(net, parts.DEVIATION, share * value, **at, L=8)
            add(net, parts.DEVIATION, value, **at, L=16)
            add(net, parts.DRIFT, told["near"], **at, L=2)
            add(net, parts.DRIFT, told["still" if sw2 == 1 else "moved"], **at, L=16)
            add(net, parts.LOSS, told["trained"], **at, L=2)
            add(net, parts.LOSS, told["stuck"] if sw2 == 1 else 0.5, **at, L=16)
            add(net, parts.OVER, told["over"], **at, L=2)
            add(net, parts.OVER, 1.5, **at, L=16)
            for L in (2, 16):
                add(parts.LIMIT, parts.NC1, 1.0, **at, L=L)
                add(net, parts.NC1, 1.1, **at, L=L)
                add(net, parts.TRACES, 0.5, **at, L=L)
                add(net, parts.SPREAD, 0.5 * (told[spread] if L == 16 else 1), **at, L=L)

    def test_the_edge_of_chaos_is_not_judged(self):
        at = {"n": 64, "sw2": 2, "L": 16}
        rows = [made.row(0.5, parts.DEVIATION, parts.NETWORK, repeat=k, **at) for k in range(6)]
        assert self.verdicts(rows)["TD2"] == "not comparable"

    def test_networks_that_diverge_have_no_number(self):
        """A row with the reason in place of a value, and no claim counts it."""
        parts_of_it = self.tiny.replace("steps: 5", "steps: 300, rate: 50")
        rows = [row for row in tiny_rows(self.name, parts_of_it) if row["part"] == "drifts"]
        assert {row["status"] for row in rows} == {"failed: 3 of 3 networks diverge"}
        assert self.verdicts(rows)["TD7"] == "not comparable"


def test_the_presets_have_what_the_claims_judge():
    for preset in parts.STUDY.presets():
        study = parse(parts.STUDY.description(preset))
        cells = {(c.entry.part, *dict(c.setting).values()) for c in study.cells()}
        phases = {(p, 64, sw2, 16) for p in ("depths", "drifts", "spreads") for sw2 in (1, 2, 3)}
        assert phases <= cells
        assert {("shallow", n) for n in (16, 64, 256)} <= cells
        assert study.repeats >= 6
        assert sum(c.seconds for c in study.cells()) < {"quick": 45, "full": 600}[preset]


def test_the_descent_is_that_of_single_networks():
    """Against torch's SGD, each network at a rate of its own."""
    one = parts.network(3, 6, 3, 3.0, 0.5)
    ensemble = nc.networks.Ensemble(one, 2, seed=1)
    members = [ensemble.member(k) for k in range(2)]
    X = parts.on_sphere(4, 3, np.random.default_rng(0))
    assert np.linalg.norm(X, axis=1) == pytest.approx(math.sqrt(3))
    rows, y = torch.from_numpy(X), torch.tensor([1.0, -1, 1, -1], dtype=torch.float64)
    rates = torch.tensor([0.05, 0.2], dtype=torch.float64)
    losses = ensemble.descend(rows, y, rates, 5)
    for k, member in enumerate(members):
        optimizer = torch.optim.SGD(member.parameters(), lr=float(rates[k]))
        for _ in range(5):
            optimizer.zero_grad()
            (torch.nn.functional.mse_loss(member(rows)[:, 0], y) / 2).backward()
            optimizer.step()
        with torch.no_grad():
            loss = float(torch.nn.functional.mse_loss(member(rows)[:, 0], y))
        assert losses[k] == pytest.approx(loss, rel=1e-10)
        trained = ensemble.member(k).pre2.weight
        assert torch.allclose(trained, member.pre2.weight, rtol=1e-10, atol=1e-12)
