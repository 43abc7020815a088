"""Out-of-distribution scores of features, from the class sums of the training rows: a score is one
function and one line of `SCORES`.

Notation: mu the mean of the training rows, Sigma_T their covariance, h -> W h + b the classifier.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nc1fast.core.linear import column_gram, length, matmul
from nc1fast.inputs.arrays import as_matrix, row_chunks
from nc1fast.sums.moments import sum_rows
from nc1fast.support.plain import PlainFields

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from nc1fast.metrics.classifiers import Classifier
    from nc1fast.metrics.rows import RowStatistics

    Array = NDArray[np.float64]

REASONS = {
    "covariance": "the covariance of the features is not known: training=H gives it, "
    "as FeatureSums(scatter=True) does",
    "classifier": "no classifier was given: result.with_classifier(W, b)",
}


@dataclass(frozen=True, eq=False)
class KnownFeatures:
    """The statistics of the training rows that scores use.

    Attributes
    ----------
    means : ndarray of shape (n_classes, n_features)
    p : ndarray of shape (n_classes,)
        Fractions of the training rows.
    classifier : Classifier or None
    rows : RowStatistics or None
    training : array-like of shape (n_training, n_features) or None
        The rows again, for their covariance.
    rank : int or None
        Dimension of the principal subspaces; None: that of each score.
    alpha : float
        Of `nci`.
    """

    means: Array
    p: Array
    classifier: Classifier | None
    rows: RowStatistics | None
    training: ArrayLike | None
    rank: int | None = None
    alpha: float = 0.0

    def has(self, need: str) -> bool:
        """Whether the input that a score needs is available."""
        return getattr(self, need) is not None

    @cached_property
    def center(self) -> Array:
        """The mean of all rows, mu, shape (d,)."""
        return sum_rows(self.means * self.p[:, None])

    @cached_property
    def covariance(self) -> Array | None:
        """Sigma_T, shape (d, d), from the rows or from their scatter; None without both."""
        if self.training is not None:
            H = as_matrix(self.training, "training")
            if H.shape[1] != len(self.center):
                raise ValueError(
                    f"training must have {len(self.center)} features, got {H.shape[1]}"
                )
            pieces = (part.astype(np.float64) - self.center for part in row_chunks(H))
            return np.asarray(sum(column_gram(D) for D in pieces)) / len(H)
        if self.rows is None or self.rows.covariance is None:
            return None
        spread = np.sqrt(self.p)[:, None] * (self.means - self.center)
        return self.rows.covariance + column_gram(spread)

    @cached_property
    def collapsed_axes(self) -> Array:
        """Orthonormal columns (d, r) of the first r principal axes of Sigma_T; by default r = C -
        1.
        """
        assert self.covariance is not None
        C, d = self.means.shape
        return _principal(self.covariance, min(self.rank or C - 1, d))

    @cached_property
    def origin(self) -> Array:
        """The shortest o with W o + b = 0 in the least squares, shape (d,)."""
        assert self.classifier is not None
        solution = np.linalg.lstsq(self.classifier.W, -self.classifier.b, rcond=None)
        return np.asarray(solution[0])

    @cached_property
    def axes_about_origin(self) -> Array:
        """The same of the second moments about `origin`; by default r = 1,000, 512 or d/2, as in
        ViM.
        """
        assert self.covariance is not None
        d = len(self.center)
        least = 1000 if d >= 2048 else 512 if d >= 768 else max(1, d // 2)
        shift = self.center - self.origin
        return _principal(self.covariance + np.outer(shift, shift), min(self.rank or least, d))


def _principal(S: Array, rank: int) -> Array:
    """Eigenvectors (d, rank) of the largest eigenvalues."""
    return np.asarray(np.linalg.eigh(S)[1][:, ::-1][:, :rank])


def neco(H: Array, known: KnownFeatures) -> Array:
    """|P (h - mu)|/|h - mu|, P onto the first C - 1 principal axes of the training rows; in [0, 1].

    1 for training rows under exact collapse, small for rows that are orthogonal to the class means;
    0 for h = mu. Without the factor of the largest logit and the standardised features that some
    models take. Source: Ammar et al. (2024).
    """
    D = H - known.center
    lengths = np.sqrt(np.square(D).sum(axis=1))
    inside = np.sqrt(np.square(matmul(D, known.collapsed_axes)).sum(axis=1))
    share: Array = np.divide(inside, lengths, out=np.zeros(len(H)), where=lengths > 0)
    return np.minimum(share, 1.0)


def nci(H: Array, known: KnownFeatures) -> Array:
    """<w_c, h - mu>/|h - mu| + alpha |h|_1, c the decision of the classifier; the first term is in
    [-|w_c|, |w_c|].

    Its first term is |w_c| for training rows under exact collapse, where w_c is parallel to mu_c -
    mu; less for others. 0 for h = mu. Source: Liu & Qin (2023, 2025).
    """
    assert known.classifier is not None
    W, D = known.classifier.W, H - known.center
    along = (W[known.classifier.decisions(H)] * D).sum(axis=1)
    lengths = np.sqrt(np.square(D).sum(axis=1))
    near: Array = np.divide(along, lengths, out=np.zeros(len(H)), where=lengths > 0)
    return np.asarray(near + known.alpha * np.abs(H).sum(axis=1))


def vim_residual(H: Array, known: KnownFeatures) -> Array:
    """|(I - P)(h - o)|, o = -W^+ b and P onto the principal axes of the training rows about o; at
    least 0.

    0 for training rows under exact collapse, larger for others: the virtual logit of ViM but for
    its factor, and the only score that grows with novelty. Source: Wang et al. (2022).
    """
    D, A = H - known.origin, known.axes_about_origin
    return np.asarray(np.sqrt(np.square(D - matmul(matmul(D, A), A.T)).sum(axis=1)))


def nc5_orthogonality(center: Array, known: KnownFeatures) -> float:
    """Mean over the classes of |cos(mu_c, center)|, `center` the mean of out-of-distribution rows;
    in [0, 1].

    NC5: 0 where these are orthogonal to all class means, as they become in networks that collapse;
    1 where all are parallel.
    Source: Ammar et al. (2024).
    """
    lengths = np.sqrt(np.square(known.means).sum(axis=1)) * length(center)
    along = np.abs((known.means * center).sum(axis=1))
    return float(np.divide(along, lengths, out=np.zeros(len(along)), where=lengths > 0).mean())


class Score(NamedTuple):
    """A score of the registry: a function of rows (n, d) and `KnownFeatures`, and its inputs."""

    of: Callable[[Array, KnownFeatures], Array]
    needs: tuple[str, ...] = ()


SCORES: dict[str, Score] = {
    "neco": Score(neco, ("covariance",)),
    "nci": Score(nci, ("classifier",)),
    "vim_residual": Score(vim_residual, ("covariance", "classifier")),
}


@dataclass(frozen=True, eq=False)
class Novelty(PlainFields):
    """Out-of-distribution scores of rows.

    Attributes
    ----------
    scores : dict of str to (ndarray of shape (n_samples,) or None)
        By the names of `nc1fast.metrics.novelty.SCORES`, each an attribute too: `neco` and `nci`,
        large for rows of the classes, and `vim_residual`, small for them.
    nc5_orthogonality : float
        NC5: mean |cos| of the class means and the mean of these rows.
    missing : dict of str to str
        Why a score is None, by name.
    """

    scores: dict[str, Array | None]
    nc5_orthogonality: float
    missing: dict[str, str] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        """A score of the registry, by name."""
        scores = self.__dict__.get("scores", {})
        if name not in scores:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return scores[name]


def novelty_of(H: ArrayLike, known: KnownFeatures) -> Novelty:
    """The scores of rows H (n, d) that the known statistics of the training rows define.

    Notes
    -----
    Cost: an eigendecomposition of d x d numbers, and n d (r + C) multiply-adds.
    """
    X = as_matrix(H, "H")
    if X.shape[1] != len(known.center):
        raise ValueError(f"H must have {len(known.center)} features, got {X.shape[1]}")
    missing = {}
    for name, score in SCORES.items():
        lacks = [need for need in score.needs if not known.has(need)]
        if lacks:
            missing[name] = REASONS[lacks[0]]
    found: dict[str, list[Array]] = {name: [] for name in SCORES if name not in missing}
    total = np.zeros(X.shape[1])
    for part in row_chunks(X):
        rows = part.astype(np.float64)
        total += rows.sum(axis=0)
        for name, values in found.items():
            values.append(SCORES[name].of(rows, known))
    scores = {name: np.concatenate(found[name]) if name in found else None for name in SCORES}
    return Novelty(scores, nc5_orthogonality(total / len(X), known), missing)
