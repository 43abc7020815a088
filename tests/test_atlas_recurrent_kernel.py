"""Networks with tied weights, and the study of recurrent kernels."""

# ruff: noqa: RUF012  (the data of a study, which nothing changes)
from __future__ import annotations

import numpy as np
import pytest
from tests.atlas_studies import StudyChecks
from tests.tied_networks import TiedNetwork

import nc1fast as nc
from nc1fast.studies.library import recurrent_kernel as parts

torch = pytest.importorskip("torch")
VARIANCES = {
    "weight_variance": 1.3,
    "input_variance": 0.7,
    "bias_variance": 0.4,
    "readout_variance": 2.1,
}


class TestStudy(StudyChecks):
    name = "recurrent-kernel"
    tiny = """
  - {part: one step, n_samples: 8, repeats: 1}
  - {part: tied networks, width: 20, lengths: ["1:3"]}
  - {part: lengths, T: [1, 3], n_samples: 20, repeats: 1}
  - {part: nc1, d0: [2], n_samples: 20, repeats: 1}
"""
    tiny_words = {"holds": {"RK1", "RK3"}, "depends on the data": {"RK4"}}
    things = 4
    figures = ["along-length"]
    good = {"relu": 1e-13, "entry": 1.02, "stored": 1e-11, "last": 1.1}
    changes = [
        ("RK1", {"relu": 1e-11}, "fails"),
        ("RK2", {"entry": 1.03}, "fails"),
        ("RK3", {"stored": 1e-9}, "fails"),
        ("RK4", {"last": 0.9}, "fails"),
        ("RK4", {"last": 1.0}, "holds"),
    ]
    exact = {"RK1", "RK3", "RK4"}
    alone = True
    noise = 0.0
    enough, few = 160, 100

    def fill(self, add, told, repeat):
        """Entries have a standard deviation of 0.1."""
        add(parts.NTK, parts.FROM_RELU, told["relu"])
        add(parts.NTK, parts.FROM_STORED, told["stored"])
        add(parts.NTK, parts.ENTRY, told["entry"] + 0.1 * (-1) ** repeat, lengths="4:4")
        for T, value in ((1, 1.0), (8, told["last"])):
            add(parts.NTK, "nc1", value, part="lengths", error=0.0, weight_variance=2, T=T)


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
