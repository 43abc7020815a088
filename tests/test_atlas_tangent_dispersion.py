"""The study of the dispersion of tangent kernels: its descent against single networks, its claims
on made rows and on a tiny run.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests import measure_rows as made

import nc1fast as nc
from nc1fast.studies.library import tangent_dispersion as parts
from nc1fast.studies.loading import parse

torch = pytest.importorskip("torch")

TINY = """
name: tangent-dispersion
title: tiny
repeats: 2
parts:
  - {part: shallow, n: [8], draws: 50}
  - {part: without biases, n: [8], L: [2, 3], draws: 60}
  - {part: depths, n: [8], sw2: [1, 3], L: [2, 3], draws: 20}
  - {part: drifts, n: [8], sw2: [1, 2], L: [2], n_samples: 4, networks: 3, steps: 5}
  - {part: spreads, n: [8], sw2: [1, 2], L: [2, 3], n_samples: 8, networks: 4}
  - {part: nc1, d0: [2], n_samples: 16, repeats: 1}
"""

GOOD = {
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
LETTERS = [f"TD{k}" for k in range(1, 11)]


def _rows(n_repeats=6, **changed):
    """Rows of a study in which every claim holds, but for what is changed."""
    told, random, rows = GOOD | changed, np.random.default_rng(0), []

    def add(quantity, value, repeat, thing=parts.NETWORK, **setting):
        noisy = value * (1 + 1e-3 * random.standard_normal())
        rows.append(made.row(noisy, quantity, thing, part="spreads", repeat=repeat, **setting))

    for repeat in range(n_repeats):
        add(parts.SCALED, told["scaled"], repeat, n=64)
        law = 5 * 7 / 32 * told["law"]
        add(parts.RATIO, law, repeat, n=32, L=8)
        add(parts.RATIO, law / told["measured"], repeat, parts.EXACT, n=32, L=8)
        add(parts.CHANGE, told["change"], repeat, n=32, L=8, sw2=3)
        for sw2, deep, spread in ((1, "ordered", "of_ordered"), (3, "chaotic", "of_chaotic")):
            at, value = {"n": 64, "sw2": sw2}, told[deep]
            share = 1.0 if sw2 == 1 else told["middle"]
            add(parts.DEVIATION, share * value, repeat, **at, L=8)
            add(parts.DEVIATION, value, repeat, **at, L=16)
            add(parts.DRIFT, told["near"], repeat, **at, L=2)
            add(parts.DRIFT, told["still" if sw2 == 1 else "moved"], repeat, **at, L=16)
            add(parts.LOSS, told["trained"], repeat, **at, L=2)
            add(parts.LOSS, told["stuck"] if sw2 == 1 else 0.5, repeat, **at, L=16)
            add(parts.OVER, told["over"], repeat, **at, L=2)
            add(parts.OVER, 1.5, repeat, **at, L=16)
            for L in (2, 16):
                add(parts.NC1, 1.0, repeat, parts.LIMIT, **at, L=L)
                add(parts.NC1, 1.1, repeat, **at, L=L)
                add(parts.TRACES, 0.5, repeat, **at, L=L)
                add(parts.SPREAD, 0.5 * (told[spread] if L == 16 else 1), repeat, **at, L=L)
    return rows


def _verdicts(rows):
    return {claim.letter: claim.finding.verdict for claim in parts.STUDY.claims(rows)}


@pytest.mark.parametrize(
    ("letter", "changed", "verdict"),
    [
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
    ],
)
def test_claims_hold_and_fail(letter, changed, verdict):
    assert set(_verdicts(_rows()).values()) == {"holds"}
    found = _verdicts(_rows(**changed))
    assert found.pop(letter) == verdict
    assert set(found.values()) == {"holds"}
    assert _verdicts(_rows(5))[letter] == ("holds" if letter == "TD4" else "too few")


def test_nothing_is_not_comparable():
    verdicts = _verdicts([])
    assert list(verdicts) == LETTERS
    assert set(verdicts.values()) == {"not comparable"}


def test_the_edge_of_chaos_is_not_judged():
    rows = [
        made.row(0.5, parts.DEVIATION, parts.NETWORK, repeat=k, n=64, sw2=2, L=16) for k in range(6)
    ]
    assert _verdicts(rows)["TD2"] == "not comparable"


def test_tiny():
    """Every trial succeeds with finite numbers, every claim that has its depths has words, and all
    figures are drawn.
    """
    rows = [row for trial in parse(TINY).cells() for row in trial.compute().rows]
    assert {row["status"] for row in rows} == {"ok"}
    assert all(math.isfinite(row["value"]) for row in rows)
    verdicts = _verdicts(rows)
    assert {verdicts[k] for k in ("TD1", "TD5", "TD6")} == {"too few"}
    assert verdicts["TD4"] == "holds"
    assert verdicts["TD2"] == "not comparable"  # no network of depth 16 and width 64
    assert len({row["thing"] for row in rows if row["part"] == "nc1"}) == 8
    assert {d.name for d in parts.STUDY.draw(rows, [])} == {"phases", "nc1", "law"}


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


def test_networks_that_diverge_have_no_number():
    """A row with the reason in place of a value, and no claim counts it."""
    text = TINY.replace("steps: 5", "steps: 300, rate: 50")
    cells = [c for c in parse(text).cells() if c.entry.part == "drifts"]
    rows = [row for c in cells for row in c.compute().rows]
    assert {row["status"] for row in rows} == {"failed: 3 of 3 networks diverge"}
    assert _verdicts(rows)["TD7"] == "not comparable"
