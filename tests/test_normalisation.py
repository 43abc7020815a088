"""docs/normalisation.md: every line of code gives what the formula beside it says, each formula
written plainly here.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

import nc1fast as nc
from nc1fast.studies import library

ROOT = Path(__file__).resolve().parent.parent
if not (ROOT / "docs" / "normalisation.md").is_file():
    pytest.skip("the pages are not part of this source distribution", allow_module_level=True)
PAGE = (ROOT / "docs" / "normalisation.md").read_text(encoding="utf-8")
WORKS, RULES = PAGE.split("\n## ")[1:3]

n, d, m, s, L, P, T, B = 7, 4, 64, 0.3, 3, 3, 5, 0.7
sw2, sb2, su2, sv2, alpha, eta, k, t, lam = 1.7, 0.4, 0.6, 1.3, 8.0, 0.05, 11, 2.5, 0.2
random = np.random.default_rng(8)
X, Z = random.normal(size=(n, d)) * 0.8, random.normal(size=(3, d))
y = np.where(random.random(n) < 0.5, -1.0, 1.0)
y[:2] = -1.0, 1.0
UNIT = X / np.linalg.norm(X, axis=1, keepdims=True)
STEPS = random.normal(size=(n, T, d))


def code_of(section):
    """The line of code of each row of a table, by its first cell."""
    rows = re.findall(r"^\| (?!---)([^|]+?) \|.*\| `([^|]+)` \|$", section, re.MULTILINE)
    return dict(rows)


# --- formulas


def r_of(X, Z):
    norms = np.linalg.norm(X, axis=1)[:, None] * np.linalg.norm(Z, axis=1)[None, :]
    r = np.clip(X @ Z.T / norms, -1, 1)
    if X is Z:
        np.fill_diagonal(r, 1.0)
    return r, norms


def kappa0(r):
    return (np.pi - np.arccos(r)) / np.pi


def kappa1(r):
    return (np.sqrt(1 - r**2) + r * (np.pi - np.arccos(r))) / np.pi


def relu_layer(S, left, right):
    """E relu(u) relu(u'), E step(u) step(u') for covariances S and variances of both sides."""
    scale = np.sqrt(np.outer(left, right))
    r = np.clip(S / scale, -1, 1)
    if S.shape[0] == S.shape[1] and np.array_equal(left, right):
        np.fill_diagonal(r, 1.0)
    return scale * kappa1(r) / 2, kappa0(r) / 2


def relu_ntk(depth, weight=sw2, bias=sb2, X=X, Z=X):
    """The NTK in its parametrization, biases trained, layer by layer."""
    S = bias + weight * X @ Z.T / d
    left, right = (bias + weight * (A**2).sum(1) / d for A in (X, Z))
    theta = S
    for _ in range(depth - 1):
        Q, slope = relu_layer(S, left, right)
        S = bias + weight * Q
        theta = S + weight * theta * slope
        left, right = (bias + weight * v / 2 for v in (left, right))
    return theta


def two_dimensional(f, S, left, right):
    """E f(u) f(u') by the trapezoidal rule, entry by entry."""
    x = np.linspace(-9, 9, 271)
    w = np.exp(-(x**2) / 2)
    w /= w.sum()
    out = np.empty_like(S)
    for i, j in np.ndindex(S.shape):
        a, b = math.sqrt(left[i]), S[i, j] / math.sqrt(left[i])
        c = math.sqrt(max(right[j] - b * b, 0.0))
        inner = f(b * x[:, None] + c * x[None, :]) @ w
        out[i, j] = w @ (f(a * x) * inner)
    return out


def hong():
    """Features of three layers of weights of variance 2/fan-in."""
    S, v = 2 * X @ X.T / d, 2 * (X**2).sum(1) / d
    Q, _ = relu_layer(S, v, v)
    Q, _ = relu_layer(2 * Q, v, v)  # He: variances stay
    return Q


def atanasov():
    K = 2 * m * s**2 * X @ X.T
    return y @ K @ y / (np.linalg.norm(K) * (y @ y))


def chen():
    S, v = X @ X.T, (X**2).sum(1)
    value = two_dimensional(np.tanh, S, v, v)
    slope = two_dimensional(lambda u: 1 / np.cosh(u) ** 2, S, v, v)
    return alpha**2 / m * (value + S * slope)


def flow(K, K_z, time):
    """K(z, X) K^-1 (1 - exp(-K time)) y."""
    values, vectors = np.linalg.eigh(K)
    return K_z @ (vectors @ (-np.expm1(-values * time) / values * (vectors.T @ y)))


def lee():
    return flow(relu_ntk(L), relu_ntk(L, X=Z), t / n)


def qadeer():
    """All gradients of a tanh network with two hidden layers and biases, by backpropagation."""
    state = {name: p.detach().numpy() for name, p in network().named_parameters()}
    (W1, b1), (W2, b2), (a, _) = (
        (state[f"{layer}.weight"], state[f"{layer}.bias"]) for layer in ("pre1", "pre2", "output")
    )
    H1 = np.tanh(X @ W1.T + b1)
    H2 = np.tanh(H1 @ W2.T + b2)
    D2 = a * (1 - H2**2)
    D1 = D2 @ W2 * (1 - H1**2)
    inner = X @ X.T + 1
    return 1 + H2 @ H2.T + (H1 @ H1.T + 1) * (D2 @ D2.T) + inner * (D1 @ D1.T)


def zandieh():
    r, norms = r_of(X, X)
    K = S = r
    for _ in range(L):
        K, S = kappa1(S) + K * kappa0(S), kappa1(S)
    return norms * K


def yang():
    """P(u >= B, u' >= B) = Q(B)^2 + 1/(2 pi) int_0^asin(r) exp(-B^2/(1 + sin v)) dv."""
    r, _ = r_of(UNIT, UNIT)
    x, w = np.polynomial.legendre.leggauss(60)
    v = np.arcsin(r)[..., None] * (1 + x) / 2
    part = (np.exp(-(B**2) / (1 + np.sin(v))) @ w) * np.arcsin(r) / 2
    q = math.erfc(B / math.sqrt(2)) / 2
    return (UNIT @ UNIT.T + 1) * (q**2 + part / (2 * np.pi))


def wu():
    r, norms = r_of(X, X)
    k1 = norms * kappa1(r)
    return k1**P + P * (X @ X.T) * kappa0(r) * k1 ** (P - 1)


def zhang():
    S, v = X @ X.T / d, (X**2).sum(1) / d
    Q, slope = relu_layer(S, v, v)
    return (1 - s) * (Q + S * slope) + s * Q


def alemohammad():
    S = su2 * STEPS[:, 0] @ STEPS[:, 0].T / d + sb2
    theta = S
    for step in range(1, T):
        Q, slope = relu_layer(S, S.diagonal(), S.diagonal())
        S = sw2 * Q + su2 * STEPS[:, step] @ STEPS[:, step].T / d + sb2
        theta = S + sw2 * theta * slope
    Q, slope = relu_layer(S, S.diagonal(), S.diagonal())
    return sv2 * Q + sv2 * theta * slope


def shilton_2023():
    state = {name: p.detach().numpy() for name, p in step_network().named_parameters()}
    W, a = state["pre1.weight"], state["output.weight"]
    H = np.tanh(X @ W.T / math.sqrt(d))
    D = a * (1 - H**2)
    return (H @ H.T + (X @ X.T / d) * (D @ D.T)) / m


def shilton_2024():
    S, v = X @ X.T / d, (X**2).sum(1) / d
    outer = np.outer(1 + 2 * v, 1 + 2 * v)
    return 2 / np.pi * np.arcsin(2 * S / np.sqrt(outer)) + S * 4 / np.pi / np.sqrt(outer - 4 * S**2)


def lyu():
    r, norms = r_of(X, X)
    return norms * kappa1(r) / 2


WORK = {
    "2409.01832": hong,
    "2111.00034": atanasov,
    "2012.04477": lambda: relu_ntk(L),
    "2002.04026": chen,
    "2007.15801": lee,
    "2310.18612": qadeer,
    "2106.07880": zandieh,
    "2301.00327": yang,
    "2209.07736": wu,
    "2403.17467": zhang,
    "2006.10246": alemohammad,
    "2302.00205": shilton_2023,
    "2405.15254": shilton_2024,
    "2106.06097": lyu,
}


def layer():
    """Sigma^0, E h h', E h' h' of the ReLU with biases."""
    S, v = sb2 + sw2 * X @ X.T / d, sb2 + sw2 * (X**2).sum(1) / d
    return S, *relu_layer(S, v, v)


def plain(Z=X):
    return relu_ntk(2, 1.0, 0.0, X=Z)


def standard():
    _, Q, slope = layer()
    return m * Q + 1 + sw2 * (X @ X.T + 1) * slope


def fixed_biases():
    S, Q, slope = layer()
    return sw2 * Q + sw2 * (S - sb2) * slope


def fixed_readout():
    S, _, slope = layer()
    return sw2 * S * slope


RULE = {
    "inputs are": lambda: X @ X.T,
    "√2 relu": lambda: r_of(X, X)[1] * kappa1(kappa1(r_of(X, X)[0])),
    "entries N": lambda: s**2 * lyu(),
    "standard": standard,
    "biases of": fixed_biases,
    "a readout": fixed_readout,
    "η, k steps, loss ½ Σ": lambda: flow(plain(), plain(Z), eta * k),
    "η, k steps, loss Σ (f - y)²/(2 N)": lambda: flow(plain(), plain(Z), eta * k / n),
    "η, k steps, loss Σ (f - y)²/N": lambda: flow(plain(), plain(Z), 2 * eta * k / n),
    "Σ (f - y)²/N + λ": lambda: plain(Z) @ np.linalg.solve(plain() + n * lam * np.eye(n), y),
    "noise of": lambda: plain(Z) @ np.linalg.solve(plain() + lam * np.eye(n), y),
}


# --- what the page says


def network():
    return nc.networks.ShallowNetwork("tanh", d, depth=3, width=64, seed=1)


def step_network():
    return nc.networks.ShallowNetwork("tanh", d, width=m, parametrization="ntk", seed=2)


def evaluated(code):
    """The value of a line of code; of a kernel its Gram matrix."""
    names = globals() | {"kernel": nc.NTK("relu")}
    names |= {"network": network(), "step_network": step_network()}
    found = eval(code, names)
    if isinstance(found, nc.kernels.RecurrentKernel):
        return found(STEPS)
    if callable(found):
        return found(UNIT if "ShiftedReLU" in code else X)
    return np.asarray(found)


def close(found, expected, tolerance=1e-11):
    found, expected = np.squeeze(found), np.squeeze(expected)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


@pytest.mark.parametrize("work", WORK)
def test_the_line_of_a_work(work):
    [code] = [code for cell, code in code_of(WORKS).items() if work in cell]
    close(evaluated(code), WORK[work](), 1e-5 if "tanh" in code else 1e-11)  # its Hermite series


@pytest.mark.parametrize("rule", RULE)
def test_the_line_of_a_rule(rule):
    [code] = [code for cell, code in code_of(RULES).items() if cell.startswith(rule)]
    close(evaluated(code), RULE[rule]())


def test_every_line_of_the_page_is_tested():
    tables = [line for line in PAGE.splitlines() if line.startswith("| ")]
    assert len(code_of(WORKS)) == len(WORK) == 14
    assert len(code_of(RULES)) == len(RULE)
    assert len(tables) == len(WORK) + len(RULE) + 4  # two headers with their rules
    for definition in re.findall(r"`(\w+)` is `(.+?)`[,.;]", PAGE):
        assert definition[0] in ("network", "step_network", "kernel")
        eval(definition[1], {"nc": nc, "d": d, "m": m})


def test_the_page_names_the_sources_of_the_studies():
    sources = " ".join(study.source for study in library.STUDIES.values() if study.parts)
    assert set(re.findall(r"\d{4}\.\d{5}", sources)) <= set(WORK)


# --- in the mean over networks, where the formula of a work is that of a limit


def test_a_shallow_linear_network_in_the_mean():
    """K = X (W^T W + |a|^2 I) X^T over draws of W and a."""
    draws = np.random.default_rng(4)
    found = []
    for _ in range(400):
        W, a = s * draws.normal(size=(m, d)), s * draws.normal(size=m)
        found.append(X @ (W.T @ W + a @ a * np.eye(d)) @ X.T)
    expected = 2 * m * s**2 * X @ X.T
    error = np.std(found, axis=0) / math.sqrt(len(found))
    assert (np.abs(np.mean(found, axis=0) - expected) <= 5 * error).all()


def test_one_proximal_step_in_the_mean():
    """relu(D^T x) with orthonormal rows of D: 1 % at a width of 20,000."""
    D, _ = np.linalg.qr(np.random.default_rng(5).normal(size=(20_000, d)))
    H = np.maximum(X @ D.T, 0.0)
    assert np.abs(H @ H.T - lyu()).max() <= 0.03 * lyu().max()


def test_noisy_descent_is_langevin():
    """Steps with the same noise, seen at one rate and decay, are foretold at others by the formula
    of the noisy descent.
    """
    net = step_network()
    start = {name: p.detach().numpy().copy() for name, p in net.named_parameters()}
    W, a = start["pre1.weight"], start["output.weight"]
    H = np.tanh(X @ W.T / math.sqrt(d))
    error = (H @ a[0] / math.sqrt(m) - y) / n  # of sum (f - y)^2/(2 N)
    gradient = {
        "pre1.weight": ((1 - H**2) * error[:, None] * a).T @ X / math.sqrt(m * d),
        "output.weight": (error @ H)[None] / math.sqrt(m),
    }

    def moved(rate, decay):
        trace = nc.networks.train(
            net,
            X,
            y,
            targets=y,
            optimizer="langevin",
            lr=rate / n,
            temperature=n * decay,
            epochs=1,
            convention="papyan",
        )
        end = dict(trace.networks[0].named_parameters())
        return {name: end[name].detach().numpy() - start[name] for name in gradient}

    first, second = moved(1e-10, 0.5), moved(4e-10, 2.0)
    for name, g in gradient.items():
        noise = (first[name] + 1e-10 * (g + 0.5 * start[name])) / math.sqrt(2 * 1e-10 * 0.5)
        drift = -4e-10 * (g + 2.0 * start[name])
        foretold = drift + math.sqrt(2 * 4e-10 * 2.0) * noise
        assert np.abs(second[name] - foretold).max() <= 0.01 * np.abs(4e-10 * g).max()
        assert noise.std() == pytest.approx(1, abs=0.4)
