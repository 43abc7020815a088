"""What other tool kits report, restated as dense formulas, beside the same from our metrics, by the
relations of docs/metrics.md.

Each kit is a function of a problem: name -> (its value, the same from our metrics). The kits and
the versions that were read are listed in docs/metrics.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

import nc1fast as nc

SHAPES = {  # class sizes, features
    "balanced": ((14, 14, 14, 14, 14), 9),
    "unbalanced": ((5, 40, 11, 25), 12),
    "two classes": ((9, 21), 4),
    "more features than rows": ((5, 6, 7), 40),
    "more classes than features": ((12, 9, 30, 8, 14, 21, 10), 3),
}


@dataclass(frozen=True)
class Problem:
    """Features of classes 0 to C - 1, a classifier, and rows of no class."""

    H: Any
    y: Any
    W: Any
    b: Any
    other: Any

    @classmethod
    def drawn(cls, shape: str, seed: int) -> Problem:
        """Normal classes about normal means, away from the origin."""
        sizes, d = SHAPES[shape]
        rng, C = np.random.default_rng(seed), len(sizes)
        y = rng.permutation(np.repeat(np.arange(C), sizes))
        means = 1.5 * rng.normal(size=(C, d)) + 0.4
        H = means[y] + rng.normal(size=(len(y), d))
        return cls(H, y, rng.normal(size=(C, d)), rng.normal(size=C), rng.normal(size=(20, d)))

    @property
    def n(self) -> Any:
        """Rows of each class."""
        return np.bincount(self.y)

    @property
    def mu(self) -> Any:
        """Class means, shape (C, d)."""
        return np.stack([self.H[self.y == c].mean(axis=0) for c in range(len(self.n))])

    @property
    def spread(self) -> Any:
        """Mean squared distance from the class mean, shape (C,)."""
        squares = ((self.H - self.mu[self.y]) ** 2).sum(axis=1)
        return np.array([squares[self.y == c].mean() for c in range(len(self.n))])

    @property
    def within(self) -> Any:
        """Covariance within classes, each row of weight 1/N."""
        D = self.H - self.mu[self.y]
        return D.T @ D / len(D)

    @property
    def nearest(self) -> Any:
        """Nearest class mean of each row."""
        return ((self.H[:, None] - self.mu) ** 2).sum(axis=2).argmin(axis=1)

    @cached_property
    def result(self) -> nc.Collapse:
        """Our metrics."""
        return self.with_weights(self.W)

    def with_weights(self, W: Any, b: Any = None) -> nc.Collapse:
        """The same with other weights."""
        found = nc.collapse(self.H, self.y, convention="papyan")
        return found.with_classifier(W, self.b if b is None else b, H=self.H)

    def mapped(self, f: Any) -> Problem:
        """The same with other features."""
        return Problem(f(self.H), self.y, self.W, self.b, f(self.other))


def pinv_trace(A: Any, B: Any, most: int | None = None, cutoff: float = 1e-12) -> float:
    """Tr(A B^+), B symmetric, by its largest eigenvalues above a share of the first."""
    values, v = np.linalg.eigh(B)
    kept = np.flatnonzero(values > cutoff * values[-1])[-(most or len(values)) :]
    return float(sum(v[:, k] @ A @ v[:, k] / values[k] for k in kept))


def between(Z: Any) -> Any:
    """Sum of z_c z_c^T / C."""
    return Z.T @ Z / len(Z)


def cosines(A: Any, B: Any) -> Any:
    """Of all rows of A with all of B."""
    A, B = (M / np.linalg.norm(M, axis=1, keepdims=True) for M in (A, B))
    return A @ B.T


def pairs(table: Any) -> Any:
    """Entries c < c' of a table of classes."""
    return table[np.triu_indices(len(table), 1)]


def frame_error(G: Any) -> float:
    """|G/|G| - (I - 11^T/C)/sqrt(C - 1)|."""
    C = len(G)
    return float(np.linalg.norm(G / np.linalg.norm(G) - (np.eye(C) - 1 / C) / np.sqrt(C - 1)))


def papyan(p: Problem) -> dict[str, Any]:
    """The notebook of Papyan, Han & Donoho: no 1/C in NC1, spreads with ddof = 1, self-duality
    squared, mismatch.
    """
    C, r, Z = len(p.mu), p.result.under("papyan"), p.mu - p.mu.mean(axis=0)
    unbiased = np.sqrt(C / (C - 1))
    norms = [np.linalg.norm(A, axis=1) for A in (Z, p.W)]
    decided = (p.H @ p.W.T + p.b).argmax(axis=1)
    A, B = p.W / np.linalg.norm(p.W), Z / np.linalg.norm(Z)
    out = {
        "norm_M_CoV": (norms[0].std(ddof=1) / norms[0].mean(), r.nc2_equinorm * unbiased),
        "norm_W_CoV": (norms[1].std(ddof=1) / norms[1].mean(), r.weights_equinorm * unbiased),
        "cos_M": (abs(pairs(cosines(Z, Z)) + 1 / (C - 1)).mean(), r.nc2_cosine_offset),
        "cos_W": (abs(pairs(cosines(p.W, p.W)) + 1 / (C - 1)).mean(), r.weights_cosine_offset),
        "W_M_dist": (np.linalg.norm(A - B) ** 2, r.nc3_self_duality**2),
        "NCC_mismatch": ((decided != p.nearest).mean(), 1 - r.nc4_agreement),
    }
    if p.H.shape[1] >= C:  # its svds needs that
        out["Sw_invSb"] = (pinv_trace(p.within, between(Z), C - 1), C * r.nc1_truncated)
    return out


def zhu(p: Problem) -> dict[str, Any]:
    """Zhu et al.: Sigma_B and the bias about the mean of all rows."""
    C, r, center = len(p.mu), p.result.under("probe"), p.H.mean(axis=0)
    Z = p.mu - center
    return {
        "collapse_metric": (pinv_trace(p.within, between(Z)) / C, r.nc1_pinv),
        "ETF_metric": (frame_error(p.W @ p.W.T), r.weights_etf),
        "WH_relation_metric": (frame_error(p.W @ Z.T), r.nc3_etf),
        "Wh_b_relation_metric": (np.linalg.norm(p.W @ center + p.b), r.bias_collapse),
    }


def zhou(p: Problem) -> dict[str, Any]:
    """Zhou et al. (mean squared error): the same, of weights about their mean."""
    W = p.W - p.W.mean(axis=0)
    Z, r = p.mu - p.H.mean(axis=0), p.with_weights(W).under("probe")
    return {
        "compute_ETF": (frame_error(W @ W.T), r.weights_etf),
        "compute_W_H_relation": (frame_error(W @ Z.T), r.nc3_etf),
        "NC1": (pinv_trace(p.within, between(Z)) / len(Z), r.nc1_pinv),
    }


def jiang(p: Problem) -> dict[str, Any]:
    """Jiang et al. (many classes): rows of unit length, 1 - cosine for duality."""
    q = p.mapped(lambda H: H / np.linalg.norm(H, axis=1, keepdims=True))
    Z, r = q.mu - q.H.mean(axis=0), q.result.under("probe")
    own = cosines(q.W, Z).diagonal()
    return {
        "GNC1": (pinv_trace(q.within, between(Z)) / len(Z), r.nc1_pinv),
        "GNC3": ((1 - own).mean(), 1 - r.nc3_cosines.mean()),
        "NCC": (100 * (q.nearest == q.y).mean(), 100 * r.ncc_accuracy),
    }


def wu(p: Problem) -> dict[str, Any]:
    """neural_collapse of Wu: no bias in NC4, Riesz exponent d - 2; global mean as given, here that
    of the class means.
    """
    C, d = p.mu.shape
    r, Z = p.result.under("papyan"), p.mu - p.mu.mean(axis=0)
    V, gaps = p.spread, ((p.mu[:, None] - p.mu) ** 2).sum(axis=2)
    with np.errstate(divide="ignore", invalid="ignore"):
        cdnv = pairs((V[:, None] + V) / 2 / gaps)
    units = Z / np.linalg.norm(Z, axis=1, keepdims=True)
    u = pairs(np.linalg.norm(units[:, None] - units, axis=2))
    of_pairs = np.sqrt(2 - 2 * pairs(r.nc2_cosines))
    duals = p.W / np.linalg.norm(p.W, axis=1, keepdims=True) - units
    unbiased = (p.H @ p.W.T).argmax(axis=1) == p.nearest
    novel = cosines(p.mu, p.other.mean(axis=0)[None])
    return {
        "covariance_ratio pinv": (pinv_trace(p.within, between(Z)) / C, r.nc1_pinv),
        "covariance_ratio quotient": (np.trace(p.within) / np.trace(between(Z)), r.nc1),
        "variability_cdnv": (cdnv.mean(), r.cdnv),
        "mean_norms": (np.linalg.norm(Z, axis=1), r.nc2_norms),
        "interference_grid": (Z @ Z.T, np.outer(r.nc2_norms, r.nc2_norms) * r.nc2_cosines),
        "similarities": (cosines(p.W, Z).diagonal(), r.nc3_cosines),
        "distance_norms": (np.linalg.norm(duals, axis=1), np.sqrt(2 - 2 * r.nc3_cosines)),
        "simplex_etf_error": (frame_error(Z @ Z.T), r.nc2_etf),
        "self_duality_error": (frame_error(p.W @ Z.T), r.nc3_etf),
        "clf_ncc_agreement": (unbiased.mean(), p.with_weights(p.W, np.zeros(C)).nc4_agreement),
        "orthogonality_deviation": (abs(novel).mean(), r.ood(p.other).nc5_orthogonality),
        "log_kernel": (np.log(1 / u).mean(), r.gnc2_log),
        "log_kernel variance": (np.log(1 / u).var(), np.log(of_pairs).var()),
        "riesz_kernel": (
            (np.sign(d - 2) * u ** (2.0 - d)).mean(),
            (np.sign(d - 2) * of_pairs ** (2.0 - d)).mean() if d > 3 else r.gnc2_riesz,
        ),
    }


def hauser(p: Problem) -> dict[str, Any]:
    """nc-toolbox of Hauser: variances with ddof = 1, signed means of log norms and of cosines, mean
    of all rows.
    """
    C, r, Z = len(p.mu), p.result.under("probe"), p.mu - p.H.mean(axis=0)
    V, within = p.spread * p.n / (p.n - 1), np.trace(p.within)
    total = within + np.trace(between(Z))
    ours = r.within_by_class * p.n / (p.n - 1)
    G = r.class_gram
    distances = pairs(G.diagonal()[:, None] + G.diagonal() - 2 * G)
    gaps = pairs(((p.mu[:, None] - p.mu) ** 2).sum(axis=2))
    logs, known = np.log(np.linalg.norm(Z, axis=1)), np.log(r.nc2_norms)
    A, B = p.W / np.linalg.norm(p.W), Z / np.linalg.norm(Z)
    decided = (p.H @ p.W.T + p.b).argmax(axis=1)
    return {
        "nc1_strong": (pinv_trace(p.within, between(Z)) / C, r.nc1_pinv),
        "nc1_weak": (within / total, r.nc1_total),
        "nc1_cdnv": (
            (pairs(V[:, None] + V) / (2 * gaps)).mean(),
            (pairs(ours[:, None] + ours) / (2 * distances)).mean(),
        ),
        "nc2_equinormness": (
            pairs(logs[:, None] - logs).mean(),
            pairs(known[:, None] - known).mean(),
        ),
        "nc2_equiangularity": (
            (pairs(cosines(Z, Z)) + 1 / (C - 1)).mean(),
            pairs(r.nc2_cosines).mean() + 1 / (C - 1),
        ),
        "gnc2": (-np.log(2 - 2 * pairs(cosines(Z, Z))).mean() / 2, r.gnc2_log),
        "nc3_self_duality": (np.linalg.norm(A - B), r.nc3_self_duality),
        "nc4_classifier_agreement": ((decided == p.nearest).mean(), r.nc4_agreement),
    }


def hauser_regression(p: Problem) -> dict[str, Any]:
    """The same of targets that are vectors: principal axes of features, here of mean 0."""
    D, Y, W = p.H - p.H.mean(axis=0), np.sin(p.H[:, :2]), p.W[:2]
    unit = [A / np.linalg.norm(A, axis=1, keepdims=True) for A in (D, p.H)]
    axes = np.linalg.svd(D, full_matrices=False)[2][:2]
    rest = [u - u @ P for u, P in zip(unit, (axes.T @ axes, np.linalg.pinv(W) @ W), strict=True)]
    return {
        "nrc1_collapse": ((rest[0] ** 2).sum(axis=1).mean(), nc.regression_collapse(D, Y).nrc1),
        "nrc2_duality": ((rest[1] ** 2).sum(axis=1).mean(), nc.regression_collapse(p.H, Y, W).nrc2),
    }


def tran(p: Problem) -> dict[str, Any]:
    """kowalski of Tran: as Zhu et al., but NC1 has N Sigma_T/C in the place of Sigma_B."""
    r, center = p.result.under("probe"), p.H.mean(axis=0)
    Z, D = p.mu - center, p.H - center
    cdnv = (p.spread[:, None] + p.spread)[off := ~np.eye(len(Z), dtype=bool)]
    cdnv = cdnv / (2 * ((p.mu[:, None] - p.mu) ** 2).sum(axis=2)[off])
    of_rows = nc.collapse(p.H[:, :1], p.y, convention="sample")  # where ours has it: one feature
    first = pinv_trace(p.within[:1, :1], (D.T @ D)[:1, :1] / len(Z)) / len(Z)
    return {
        "within_class_variability": (first, of_rows.nc1_total / len(D)),
        "classifier_etf_convergence": (frame_error(p.W @ p.W.T), r.weights_etf),
        "self_duality": (frame_error(p.W @ Z.T), r.nc3_etf),
        "bias_collapse": (np.linalg.norm(p.W @ center + p.b), r.bias_collapse),
        "class_distance_normalized_variance": (cdnv.mean(), r.cdnv),
    }


def rangamani(p: Problem) -> dict[str, Any]:
    """Rangamani et al. (layers): classes are equal within and between, the mean is that of all
    rows; NC1 with C - 1 axes.
    """
    C, r, Z = len(p.mu), p.result.under("probe"), p.mu - p.H.mean(axis=0)
    parts = [(p.n[c] / len(p.H)) * np.cov(p.H[p.y == c].T, ddof=0) for c in range(C)]
    S = np.mean([part.reshape(p.within.shape) for part in parts], axis=0)
    cos = cosines(Z, Z) + 1 / (C - 1)
    return {
        "Traces within": (p.spread.mean(), p.result.under("class").trace_within),
        "Traces between": ((Z**2).sum() / C, r.trace_between),
        "NC1": (pinv_trace(S, between(Z), C - 1), r.nc1_truncated),
        "ETF norms": (np.linalg.norm(Z, axis=1), r.nc2_norms),
        "ETF angles": (pairs(cos), pairs(r.nc2_cosines) + 1 / (C - 1)),
        "NCC": ((p.nearest == p.y).mean(), r.ncc_accuracy),
    }


def galanti(p: Problem) -> dict[str, Any]:
    """Galanti (depth): CDNV whose variance is the mean of |h|^2 less |mu|^2."""
    squares = (p.H**2).sum(axis=1)
    V = [squares[p.y == c].mean() - (m**2).sum() for c, m in enumerate(p.mu)]
    gaps = pairs(((p.mu[:, None] - p.mu) ** 2).sum(axis=2))
    return {"cdnv": ((pairs(np.add.outer(V, V)) / 2 / gaps).mean(), p.result.cdnv)}


def markou(p: Problem) -> dict[str, Any]:
    """Markou et al.: those of Zhu et al., and equinorm with ddof = 1 about the mean of all rows."""
    C, r = len(p.mu), p.result.under("probe")
    norms = np.linalg.norm(p.mu - p.H.mean(axis=0), axis=1)
    theirs = norms.std(ddof=1) / norms.mean()
    return zhu(p) | {"H_equinorm_metric": (theirs, r.nc2_equinorm * np.sqrt(C / (C - 1)))}


def kothapalli(p: Problem) -> dict[str, Any]:
    """Kothapalli & Tirer: of networks under "probe", of kernels from sums of their blocks."""
    Z, K = p.mu - p.H.mean(axis=0), p.H @ p.H.T
    blocks = [K[np.ix_(p.y == c, p.y == c)].mean() for c in range(len(Z))]
    within = K.trace() / len(K) - np.mean(blocks)
    ours = nc.collapse(K, p.y, "precomputed", convention="released")
    probe = p.result.under("probe")
    return {
        "trace_S_W_div_S_B": (np.trace(p.within) / np.trace(between(Z)), probe.nc1),
        "trace_S_W_pinv_S_B": (pinv_trace(p.within, between(Z)) / len(Z), probe.nc1_pinv),
        "kernel nc1": (within / (np.mean(blocks) - K.mean()), ours.nc1),
    }


def openood(p: Problem) -> dict[str, Any]:
    """OpenOOD: NCI, and of ViM the residual, by which its score is less than the energy."""
    d, center = p.H.shape[1], p.H.mean(axis=0)
    D, rank = p.other - center, max(1, min(d, len(p.H)) // 2)
    c = (p.other @ p.W.T + p.b).argmax(axis=1)
    nci = (p.W[c] * D).sum(axis=1) / np.linalg.norm(D, axis=1)
    nci += 1e-3 * abs(p.other).sum(axis=1)
    origin = -np.linalg.pinv(p.W) @ p.b
    moments = (p.H - origin).T @ (p.H - origin) / len(p.H)
    rest = np.linalg.eigh(moments)[1][:, : d - rank]
    found = p.result.ood(p.other, training=p.H, rank=rank, alpha=1e-3)
    return {
        "NCI": (nci, found.nci),
        "ViM residual": (np.linalg.norm((p.other - origin) @ rest, axis=1), found.vim_residual),
    }


def neco(p: Problem) -> dict[str, Any]:
    """NECO of its authors: standardised features, times the largest logit but for ResNets."""
    center, scale = p.H.mean(axis=0), p.H.std(axis=0)
    A, B = (p.H - center) / scale, (p.other - center) / scale
    axes = np.linalg.svd(A, full_matrices=False)[2][:2]
    ratio = np.linalg.norm(B @ axes.T, axis=1) / np.linalg.norm(B, axis=1)
    logit = (p.other @ p.W.T + p.b).max(axis=1)
    q = p.mapped(lambda H: (H - center) / scale)
    ours = q.result.ood(q.other, training=q.H, rank=2).neco
    return {"resnet": (ratio, ours), "vit": (ratio * logit, ours * logit)}


KITS = (
    *(papyan, zhu, zhou, jiang, wu, hauser, tran, rangamani, galanti, markou, kothapalli),
    *(openood, neco, hauser_regression),
)
