"""Networks with tied weights, and the study of recurrent kernels."""

from __future__ import annotations

import numpy as np
import pytest
from tests import measure_rows as made
from tests.tied_networks import TiedNetwork

import nc1fast as nc
from nc1fast import studies
from nc1fast.studies import library
from nc1fast.studies.findings import rules
from nc1fast.studies.library import recurrent_kernel as parts

torch = pytest.importorskip("torch")
VARIANCES = {
    "weight_variance": 1.3,
    "input_variance": 0.7,
    "bias_variance": 0.4,
    "readout_variance": 2.1,
}
TINY = """
name: recurrent-kernel
title: Tiny
repeats: 3
parts:
  - {part: one step, n_samples: 8, repeats: 1}
  - {part: tied networks, width: 20, lengths: ["1:3"]}
  - {part: lengths, T: [1, 3], n_samples: 20, repeats: 1}
  - {part: nc1, d0: [2], n_samples: 20, repeats: 1}
"""


def test_the_module_is_the_network_written_out_and_its_gradients_are_back_propagation():
    rng = np.random.default_rng(0)
    module = nc.networks.RecurrentNetwork(3, width=17, seed=5, **VARIANCES)
    told = TiedNetwork(nc.RecurrentNTK(**VARIANCES), 17, 3, rng)
    names = {"recurrent": "W", "weight": "U", "bias": "b", "readout": "v"}
    for ours, theirs in names.items():
        setattr(told, theirs, getattr(module, ours).detach().numpy())
    x, z = rng.normal(size=(4, 3)), rng.normal(size=(6, 3))
    with torch.no_grad():
        states = [module.features(torch.from_numpy(s[None])).numpy()[0] for s in (x, z)]
    for state, sequence in zip(states, (x, z), strict=True):
        assert state == pytest.approx(told.states(sequence)[-1], rel=1e-12)
    nngp, ntk = told.kernels(x, z)
    assert VARIANCES["readout_variance"] / 17 * states[0] @ states[1] == pytest.approx(nngp)
    found = nc.networks.empirical_ntk(module, x[None], z[None])
    assert found[0, 0] == pytest.approx(ntk, rel=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_features": 0}, "n_features must be >= 1"),
        ({"n_features": 2, "width": 0}, "width must be >= 1"),
        ({"n_features": 2, "weight_variance": -1.0}, "weight_variance"),
        ({"n_features": 2, "seed": -1}, "seed must be >= 0"),
        ({"n_features": 2, "dtype": "half"}, "dtype must be"),
    ],
)
def test_mistakes_in_a_recurrent_network(arguments, message):
    with pytest.raises(ValueError, match=message):
        nc.networks.RecurrentNetwork(**arguments)


def test_nc1_of_a_gram_matrix_is_that_of_its_features():
    rng = np.random.default_rng(1)
    H, y = rng.normal(size=(12, 5)), np.repeat([0, 1, 2], 4)
    means = np.array([H[y == c].mean(0) for c in range(3)])
    within = np.mean(((H - means[y]) ** 2).sum(1))
    between = np.mean(((means - means.mean(0)) ** 2).sum(1))
    assert parts.nc1_of(H @ H.T, y) == pytest.approx(within / between)


def test_a_tiny_run(tmp_path):
    result = studies.run(studies.parse(TINY), tmp_path)
    assert result.n_failed == 0
    words = {
        c.letter: c.finding.verdict for c in library.STUDIES["recurrent-kernel"].claims(result.rows)
    }
    assert words["RK1"] == words["RK3"] == rules.HOLDS
    assert words["RK2"] == rules.TOO_FEW


def _row(value, **columns):
    return made.row(value, thing=parts.NTK, error=0.0) | columns


def _networks(mean, n):
    draws = np.random.default_rng(2).normal(size=n)
    draws = mean + 0.1 * (draws - draws.mean()) / draws.std(ddof=1)
    return [
        _row(v, quantity=parts.ENTRY, setting="lengths=4:4", repeat=k) for k, v in enumerate(draws)
    ]


def _lengths(first, last):
    at = "weight_variance=2, T="
    common = {"part": "lengths", "quantity": "nc1"}
    return [_row(first, setting=f"{at}1", **common), _row(last, setting=f"{at}8", **common)]


def _exact(quantity, value):
    return [_row(value, quantity=quantity, setting="")]


@pytest.mark.parametrize(
    ("letter", "rows", "word"),
    [
        ("RK1", _exact(parts.FROM_RELU, 1e-13), rules.HOLDS),
        ("RK1", _exact(parts.FROM_RELU, 1e-11), rules.FAILS),
        ("RK2", _networks(1.02, 160), rules.HOLDS),
        ("RK2", _networks(1.03, 160), rules.FAILS),
        ("RK2", _networks(1.0, 100), rules.TOO_FEW),
        ("RK3", _exact(parts.FROM_STORED, 1e-11), rules.HOLDS),
        ("RK3", _exact(parts.FROM_STORED, 1e-9), rules.FAILS),
        ("RK4", _lengths(1.0, 1.1), rules.HOLDS),
        ("RK4", _lengths(1.0, 0.9), rules.FAILS),
        ("RK4", _lengths(1.0, 1.0), rules.HOLDS),
    ],
)
def test_each_claim_can_hold_and_fail(letter, rows, word):
    told = {c.letter: c.finding.verdict for c in library.STUDIES["recurrent-kernel"].claims(rows)}
    assert told[letter] == word
