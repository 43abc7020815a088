"""Claim: in scikit-learn's estimators, NNGP and NTK kernels classify digits about as well as RBF,
once their scale is that of RBF.

Accuracy on the 1,797 digits of scikit-learn (8 x 8 pixels over 16), mean over 5 stratified folds.
Kernels as they are, with weight variances of He et al., and normalised; nothing is tuned but in the
last part, where GridSearchCV chooses within each training fold. Gaussian process classifiers learn
from a quarter of each fold, with fixed variances.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

import nc1fast as nc
from bench._session import Claim, Result

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench._session import Session

ACTIVATIONS, DEPTHS, KINDS = ("relu", "erf"), (2, 3, 4, 5), (nc.NNGP, nc.NTK)
QUICK_ROWS = 200
FOLDS, SPARE = 5, 4  # of a fold, Gaussian processes see one row in so many
CS, ALPHAS = (1.0, 10.0), (1e-3, 1e-2)
AMPLITUDE = 100.0  # variance of the latent functions of a classifier
WORSE = {
    "SVC, normalized": 0.02,
    "ridge": 0.005,
}  # than RBF, at most, as C = 1 and alpha = 1e-3 have it
WORSE_TUNED = 0.01


def run(session: Session) -> Result:
    """Fill the table: a row for each kernel, then one for each search."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    X = X / 16
    if session.quick:
        X, y = X[:QUICK_ROWS], y[:QUICK_ROWS]
    score = partial(accuracy, (X, y))
    result = Result("sklearn")
    result.rows.append({"kernel": "RBF", "depth": None} | _of_rbf(score))
    depths = DEPTHS[:1] if session.quick else DEPTHS
    for kind, activation, depth in itertools.product(KINDS, ACTIVATIONS, depths):
        named = {"kernel": f"{kind.__name__} {activation}", "depth": depth}
        result.rows.append(named | _of_kernel(kind, activation, depth, score))
    searches = {name: score(search) for name, search in _searches(depths).items()}
    result.details["searches"] = searches
    result.remarks += [f"{name}: {value:.4f}" for name, value in searches.items()]
    result.claims += _claims(result.rows, searches)
    return result


def accuracy(data: tuple[Any, Any], model: Any, fewer: int = 1) -> float:
    """Mean accuracy over the folds, of models that learn from one row in `fewer` of the others."""
    from sklearn.model_selection import StratifiedKFold

    X, y = data
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(X, y)
    scores = []
    for train, test in folds:
        some = train[::fewer]
        scores.append(model.fit(X[some], y[some]).score(X[test], y[test]))
    return float(np.mean(scores))


@dataclass
class OneHot:
    """A regression that learns one-hot codes, and says the class of the largest output."""

    model: Any

    def fit(self, X: Any, y: Any) -> OneHot:
        """Learn the codes of labels 0 to 9."""
        self.model.fit(X, np.eye(10)[y])
        return self

    def score(self, X: Any, y: Any) -> float:
        """Accuracy on other rows."""
        return float(np.mean(self.model.predict(X).argmax(axis=1) == y))


def _of_rbf(score: Callable[..., float]) -> dict[str, Any]:
    """The row of RBF with scikit-learn's default width, 1/(d Var X)."""
    from sklearn.gaussian_process import GaussianProcessClassifier
    from sklearn.gaussian_process.kernels import RBF
    from sklearn.kernel_approximation import Nystroem
    from sklearn.kernel_ridge import KernelRidge
    from sklearn.linear_model import RidgeClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import SVC

    width = 2.0  # 1/(2 width^2) = .125; scikit-learn's 1/(d Var X) of digits is .11
    gamma = 1 / (2 * width**2)
    features = Nystroem(gamma=gamma, n_components=1024, random_state=0)
    return {
        "SVC": score(SVC()),
        "SVC, he": None,
        "SVC, normalized": None,
        "ridge": score(OneHot(KernelRidge(alpha=1e-3, kernel="rbf", gamma=gamma))),
        "GP": score(GaussianProcessClassifier(AMPLITUDE * RBF(width), optimizer=None), SPARE),
        "features": score(make_pipeline(features, RidgeClassifier(1e-3))),
    }


def _of_kernel(
    kind: type[nc.NNGP | nc.NTK], activation: str, depth: int, score: Callable[..., float]
) -> dict[str, Any]:
    """The row of a kernel."""
    from sklearn.gaussian_process import GaussianProcessClassifier
    from sklearn.linear_model import RidgeClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import SVC

    gram, kernel = nc.sklearn.gram, kind(activation, depth)
    row: dict[str, Any] = {"SVC": score(SVC(kernel=gram(kernel))), "SVC, he": None}
    if activation == "relu":
        row["SVC, he"] = score(SVC(kernel=gram(kind(activation, depth, "he"))))
    row["SVC, normalized"] = score(SVC(kernel=gram(kernel, normalize=True)))
    row["ridge"] = score(nc.sklearn.KernelClassifier(kernel, normalize=True))
    covariance = AMPLITUDE * nc.sklearn.GPKernel(kernel, normalize=True)
    row["GP"] = score(GaussianProcessClassifier(covariance, optimizer=None), SPARE)
    row["features"] = None
    if activation == "relu":
        features = nc.sklearn.NTKFeatures(kernel, 1024)
        row["features"] = score(make_pipeline(features, RidgeClassifier(1e-3)))
    return row


def _searches(depths: tuple[int, ...]) -> dict[str, Any]:
    """Grid searches, by name: RBF over width and C, kernels over depth and C or alpha, alone or at
    the end of a pipeline.
    """
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    rbf = {"gamma": [0.01, 0.03, 0.1, 0.3], "C": CS}
    svc = {"kernel__kernel__depth": depths, "C": CS}
    piped = {f"svc__{name}": values for name, values in svc.items()}
    ridge = {"kernel__depth": depths, "alpha": ALPHAS}
    normalized = nc.sklearn.gram(nc.NTK("relu"), normalize=True)
    classifier = nc.sklearn.KernelClassifier(nc.NTK("relu"), normalize=True)
    return {
        "GridSearchCV, SVC, RBF": GridSearchCV(SVC(), rbf, cv=3),
        "GridSearchCV, SVC, NTK relu": GridSearchCV(SVC(kernel=normalized), svc, cv=3),
        "GridSearchCV, Pipeline of StandardScaler and SVC, NTK relu": GridSearchCV(
            make_pipeline(StandardScaler(), SVC(kernel=normalized)), piped, cv=3
        ),
        "GridSearchCV, KernelClassifier, NTK relu": GridSearchCV(classifier, ridge, cv=3),
    }


def _claims(rows: list[dict[str, Any]], searches: dict[str, float]) -> list[Claim]:
    """Accuracies less those of RBF."""
    rbf, *others = rows
    of_rbf = {"SVC, normalized": rbf["SVC"], "ridge": rbf["ridge"]}
    claims = [
        Claim(f"least {name}, less RBF's", min(r[name] for r in others) - of_rbf[name], ">=", -most)
        for name, most in WORSE.items()
    ]
    base = searches["GridSearchCV, SVC, RBF"]
    for name, value in list(searches.items())[1:]:
        claims.append(Claim(f"{name}, less RBF's", value - base, ">=", -WORSE_TUNED))
    return claims
