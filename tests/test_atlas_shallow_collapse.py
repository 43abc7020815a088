"""The study of shallow collapse: its trainings against Adam by hand, its data against their
moments, its claims on made rows.
"""

# ruff: noqa: RUF012  (the data of a study, which nothing changes)
from __future__ import annotations

import numpy as np
import pytest
from tests.atlas_studies import StudyChecks, tiny_rows

from nc1fast.studies.library import shallow_collapse as parts


class TestStudy(StudyChecks):
    name = "shallow-collapse"
    tiny = """
  - {part: nets, d: [3, 24], sigma: [1, 3], rows: [4], two: [8, 16], three: [8], steps: 40,
     rate: 0.01}
  - {part: rows, d: [6], sigma: [1], rows: [3, 6], two: [8], steps: 20}
  - {part: first, d: [3], sigma: [1], rows: [4], three: [2, 8], second: 4, steps: 20}
  - {part: noise, d: [24], sigma: [8], rows: [4], three: [8], steps: 20}
  - {part: nc1, d0: [8], n_samples: 32, repeats: 1}
"""
    tiny_words = {"not comparable": {"SC6"}}
    things = 5
    figures = ["collapse", "error"]
    good = {
        "wide": 1e-4,
        "narrow": 0.8,
        "wider": 1.1,
        "more": 2.0,
        "louder": 2.0,
        "three": 5e-3,
        "first": 0.3,
        "error": 2.0,
        "low": 1e-3,
        "accuracy": 0.5,
    }
    changes = [
        ("SC1", {"wide": 0.02, "narrow": 0.1}, "fails"),
        ("SC1", {"wide": 0.02}, "depends on the data"),
        ("SC2", {"more": 0.9, "louder": 0.9}, "fails"),
        ("SC3", {"wider": 1.5}, "fails"),
        # dimensions in which every network collapses count, too
        ("SC4", {"three": 0.2}, "depends on the data"),
        ("SC5", {"first": 1.1}, "fails"),
        ("SC6", {"error": 0.9}, "fails"),
        ("SC6", {"wide": 0.02, "error": 0.9}, "fails"),  # of three layers
        ("SC7", {"low": 0.1, "accuracy": 0.9}, "fails"),
        ("SC7", {"low": 0.1}, "depends on the data"),
    ]

    def fill(self, add, told, repeat):
        for i, sigma in enumerate((1, 3)):
            error = 0.01 * told["error"] ** i
            for d, base in ((10, told["narrow"] * told["louder"] ** i), (120, told["wide"])):
                at = {"part": "nets", "d": d, "sigma": sigma, "rows": 20}
                add(parts.DATA, parts.NC1, sigma**2, **at)
                for width, factor in ((64, 1.0), (256, told["wider"])):
                    add(parts.TWO, parts.NC1, base * factor, **at, width=width)
                    add(parts.TWO, parts.ERROR, error, **at, width=width)
                three = told["three"] if d == 10 else 1e-5
                add(parts.THREE, parts.NC1, three, **at, width=256)
                add(parts.THREE, parts.ERROR, error, **at, width=256)
                add(parts.THREE, parts.ACCURACY, 0.9, **at, width=256)
        for i, n in enumerate((5, 20, 80)):
            at = {"part": "rows", "d": 30, "sigma": 1, "rows": n, "width": 64}
            add(parts.TWO, parts.NC1, 0.01 * told["more"] ** i, **at)
        for i, width in enumerate((4, 16, 64)):
            at = {"part": "first", "d": 10, "sigma": 1, "rows": 20, "width": width}
            add(parts.THREE, parts.NC1, 0.4 * told["first"] ** i, **at)
        at = {"part": "noise", "d": 120, "sigma": 8, "rows": 20, "width": 256}
        add(parts.THREE, parts.NC1, told["low"], **at)
        add(parts.THREE, parts.ACCURACY, told["accuracy"], **at)

    def test_errors_count_only_where_every_network_collapses(self):
        rows = [r for r in self.rows(wide=0.02, error=0.9) if r["thing"] != parts.THREE]
        assert self.verdicts(rows)["SC6"] == "not comparable"

    def test_a_part_without_networks_is_refused(self):
        with pytest.raises(ValueError, match="give widths of two, three or both"):
            tiny_rows(self.name, self.tiny.replace("two: [8], steps", "steps"))


def _by_hand(weights, X, T, *, steps, rate, decay):
    """Weights after Adam on mean (f - t)^2 + decay |theta|^2/2 of relu networks without biases."""
    weights = list(weights)
    first, second = ([np.zeros_like(w) for w in weights] for _ in range(2))
    for step in range(1, steps + 1):
        hidden = [X]
        for w in weights[:-1]:
            hidden.append(np.maximum(hidden[-1] @ w.T, 0))
        back = 2 * (hidden[-1] @ weights[-1].T - T) / T.size
        slopes: list[np.ndarray] = []
        for w, h in zip(weights[::-1], hidden[::-1], strict=True):
            slopes.insert(0, back.T @ h + decay * w)
            back = (back @ w) * (h > 0)
        for k, g in enumerate(slopes):
            first[k] = 0.9 * first[k] + 0.1 * g
            second[k] = 0.999 * second[k] + 1e-3 * g**2
            mean, square = first[k] / (1 - 0.9**step), second[k] / (1 - 0.999**step)
            weights[k] = weights[k] - rate * mean / (np.sqrt(square) + 1e-8)
    return weights


@pytest.mark.parametrize("widths", [(7,), (9, 5)])
def test_trainings_are_adam_on_the_decayed_loss(widths):
    X, y, Z, _ = parts.drawn(4, 1.0, 5, np.random.default_rng(1))
    T, descent = np.eye(3)[y], {"steps": 30, "rate": 0.01, "decay": 0.05}
    start = parts.network(4, widths, 3, 2)
    weights = [p.detach().numpy().copy() for p in start.parameters()]
    assert [w.shape for w in weights] == list(zip((*widths, 3), (4, *widths), strict=True))
    net, loss = parts.trained(start, X, y, **descent)
    weights = _by_hand(weights, X, T, **descent)
    for w, p in zip(weights, net.parameters(), strict=True):
        np.testing.assert_allclose(p.detach().numpy(), w, rtol=0, atol=1e-10)

    def hidden(rows):
        for w in weights[:-1]:
            rows = np.maximum(rows @ w.T, 0)
        return rows

    np.testing.assert_allclose(parts.outputs(net, Z), hidden(Z) @ weights[-1].T, atol=1e-9)
    assert loss == pytest.approx(np.square(hidden(X) @ weights[-1].T - T).mean(), rel=1e-8)
    H = hidden(X)
    means = np.stack([H[y == c].mean(axis=0) for c in range(3)])
    within = np.square(H - means[y]).sum(axis=1).mean()
    between = np.square(means - means.mean(axis=0)).sum(axis=1).mean()
    assert parts.collapse_of(net, X, y).nc1 == pytest.approx(within / between, rel=1e-8)


def test_a_training_that_diverges_says_so():
    X, y, *_ = parts.drawn(4, 1.0, 5, np.random.default_rng(1))
    with pytest.raises(ValueError, match="diverged"):
        parts.trained(parts.network(4, (5,), 3, 0), X, y, steps=3, rate=1e30, decay=0.0)


def test_he_variances():
    """E relu(<w, x>)^2 = |x|^2/d with w_i of variance 2/d, in mean over 40,000 units."""
    weight = next(parts.network(50, (40_000,), 3, 0).parameters()).detach().numpy()
    x = np.random.default_rng(0).standard_normal(50)
    energy = np.square(np.maximum(weight @ x, 0)).mean()
    assert energy == pytest.approx(x @ x / 50, rel=0.05)


def test_data_have_their_moments():
    """|x - mu|^2 has mean sigma^2; both sets share their means, of length 1, but no noise."""
    random = np.random.default_rng(3)
    X, y, Z, z = parts.drawn(40, 1.5, 500, random)
    assert (np.bincount(y) == 500).all()
    means = np.stack([X[y == c].mean(axis=0) for c in range(3)])
    others = np.stack([Z[z == c].mean(axis=0) for c in range(3)])
    spread = np.square(X - means[y]).sum(axis=1).mean() * 500 / 499
    assert spread == pytest.approx(1.5**2, rel=0.02)
    lengths = np.square(means).sum(axis=1) - 1.5**2 / 500
    np.testing.assert_allclose(lengths, 1, atol=0.1)
    apart = np.square(means - others).sum(axis=1)
    np.testing.assert_allclose(apart, 1.5**2 * (1 / 500 + 1 / 200), rtol=0.6)


def test_two_layers_collapse_in_many_dimensions_and_not_in_few():
    found = {}
    for d in (4, 60):
        X, y, *_ = parts.drawn(d, 1.0, 10, np.random.default_rng(5))
        start = parts.network(d, (32,), 3, 1)
        net, _ = parts.trained(start, X, y, steps=1200, rate=0.01, decay=2e-4)
        found[d] = parts.collapse_of(net, X, y).nc1
    assert found[60] < 0.01
    assert found[4] > 0.1
