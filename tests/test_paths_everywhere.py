"""Every function of rows takes paths of every kind of file, by the one reader; compared with what
it gives for arrays.
"""

from __future__ import annotations

import ast
import os
from pathlib import Path

import numpy as np
import pytest
from tests.file_bytes import OF_ARRAYS, idx_bytes, write
from tests.house import TREES

import nc1fast as nc
from nc1fast.estimators.proximal_limit import wide_gram
from nc1fast.kernels import SkipPolynomial

RNG = np.random.default_rng(5)
Y = np.arange(24) % 2
X = np.round(RNG.normal(size=(24, 3)) + 2 * Y[:, None], 3)
K = nc.NNGP("relu")
V = RNG.normal(size=(24, 2))


COLUMNS = {"a": X[:, 0], "label": Y, "b": X[:, 1], "c": X[:, 2]}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """From the name of a kind to X and y as paths, or y as None where it is the usual part of the
    file.
    """
    folder = tmp_path_factory.mktemp("files")

    def make(kind: str) -> tuple[object, object]:
        path = folder / kind
        if kind == "idx":
            (folder / "some-labels-idx1-double").write_bytes(idx_bytes(Y.astype("u1")))
            path = folder / "some-images-idx2-double"
            path.write_bytes(idx_bytes(X))
        elif kind == "t.npy":
            np.save(path, X)
            np.save(folder / "y.npy", Y)
            return str(path), folder / "y.npy"
        elif kind == "t.zarr":
            zarr = pytest.importorskip("zarr", reason="Zarr arrays (extra: files)")
            group = zarr.open_group(str(path), mode="w")
            group["X"], group["y"] = X, Y
            return f"{path}::X", f"{path}::y"
        elif f"a{''.join(path.suffixes)}" in OF_ARRAYS:
            write(path, X=X, y=Y)
        else:
            write(path, **COLUMNS)
            return path, "label"
        return path, None

    return make


KINDS = (
    *("t.npz", "t.npy", "t.csv", "t.csv.gz", "t.tsv", "t.parquet", "t.feather", "t.h5", "t.zarr"),
    *("t.mat", "t.pt", "idx"),
)


def _network():
    pytest.importorskip("torch")
    return nc.networks.ShallowNetwork("relu", 3, width=4, seed=0)


def _field():
    pytest.importorskip("scipy")
    return nc.adaptive.mean_field(X, Y - 0.5, noise=0.1, n_samples=64, max_iter=2, tol=0.5)


def _sums(x, y):
    sums = nc.FeatureSums()
    sums.update(x, y)
    return sums.collapse().nc1


RESULT = nc.collapse(X, Y)
# Functions of rows, and of rows with labels or targets: by the dotted name, what is compared.
OF_ROWS = {
    "kernels.Kernel.__call__": K,
    "kernels.Kernel.__call__ of two": lambda x: K(X[:5], x),
    "kernels.Kernel.diag": K.diag,
    "kernels.Kernel.matvec": lambda x: K.matvec(x, V),
    "kernels.Kernel.matvec of two": lambda x: K.matvec(X[:5], V[:5], x),
    "kernels.SkipPolynomial.__call__": SkipPolynomial(2),
    "operator": lambda x: nc.operator(K, x) @ V,
    "spectrum": lambda x: nc.spectrum(x, K, 3).eigenvalues,
    "alignment of features": lambda x: nc.alignment(X, Y, [K, x]).centred,
    "prediction.effective_dimension": lambda x: nc.prediction.effective_dimension(K, x).value,
    "prediction.ridge of others": lambda x: nc.prediction.ridge(K, X, Y, x).mean,
    "estimators.ntk_features": lambda x: nc.estimators.ntk_features(x, nc.NTK("relu"), 64),
    "estimators.proximal_features": lambda x: nc.estimators.proximal_features(x, 64),
    "estimators.proximal_limit.wide_gram": wide_gram,
    "Collapse.with_classifier": lambda x: RESULT.with_classifier(V[:3].T, H=x).nc4_agreement,
    "Collapse.ood": lambda x: RESULT.ood(x, training=x).nc5_orthogonality,
    "adaptive.MeanFieldSolution.features": lambda x: _field().features(x),
    "networks.Ensemble.tangent_kernels": lambda x: nc.networks.Ensemble(
        _network(), 2, seed=0
    ).tangent_kernels(x),
    "networks.tangent_dispersion": lambda x: (
        nc.networks.tangent_dispersion(_network(), x, draws=3, seed=0).mean
    ),
    "compat.released.erf_ntk": nc.compat.released.erf_ntk,
}
OF_BOTH = {
    "collapse": lambda x, y: nc.collapse(x, y, K).nc1,
    "collapse of features": lambda x, y: nc.collapse(x, y).nc1,
    "collapse_each": lambda x, y: nc.collapse_each([(x, y), (X, Y)], K)[0].nc1,
    "class_sums": lambda x, y: nc.class_sums(x, y, K).block_sums,
    "FeatureSums.update": _sums,
    "Collapse.evaluate": lambda x, y: RESULT.evaluate(x, y).accuracy,
    "Collapse.evaluate of a kernel": lambda x, y: nc.collapse(X, Y, K).evaluate(x, y, X=X).accuracy,
    "regression_collapse": lambda x, y: nc.regression_collapse(x, y, V[:3, :1].T).nrc2,
    "alignment": lambda x, y: nc.alignment(x, y, K).target,
    "estimators.pairs": lambda x, y: nc.estimators.pairs(x, y, K, n_pairs=400).nc1,
    "estimators.features": lambda x, y: nc.estimators.features(x, y, K, n_units=512).nc1,
    "distributed.plan": lambda x, y: nc.distributed.plan(x, y, K, bundles=2).describe()["rows"],
    "prediction.ridge": lambda x, y: nc.prediction.ridge(K, x, y, X[:4]).mean,
    "prediction.gp_posterior": lambda x, y: nc.prediction.gp_posterior(K, x, y).variance,
    "prediction.gradient_flow": lambda x, y: nc.prediction.gradient_flow(K, x, y).mean,
    "prediction.select": lambda x, y: nc.prediction.select([K, nc.NTK("relu")], x, y).scores,
    "adaptive.solve": lambda x, y: nc.adaptive.solve(x, y, noise=0.1, multistart=1).free_energy,
    "adaptive.mean_field": lambda x, y: (
        nc.adaptive.mean_field(x, y, noise=0.1, n_samples=64, max_iter=1, tol=0.5).gram
    ),
    "adaptive.finite_width": lambda x, y: (
        nc.adaptive.finite_width(
            _field(), x, y - 0.5 if isinstance(y, np.ndarray) else y, n_networks=8
        ).n_networks
    ),
    "adaptive.shuffled_control": lambda x, y: (
        nc.adaptive.shuffled_control(x, y, noise=0.1, multistart=1).collapse.nc1
    ),
    "networks.train": lambda x, y: nc.networks.train(_network(), x, y, epochs=2).table["nc1"],
    "networks.LinearNetwork.gradient_flow": lambda x, y: (
        nc.networks.LinearNetwork([np.full((2, 3), 0.1), np.full((1, 2), 0.1)])
        .gradient_flow(x, y, time=1.0)
        .best
    ),
    "compat.equations.released_adaptive": lambda x, y: (
        nc.compat.equations.released_adaptive(x, y, noise=0.1).free_energy
    ),
}
CHEAP_KINDS = ("t.npz", "t.csv", "t.parquet")  # for every function; all kinds for some
ALL_KINDS = {"spectrum", "kernels.Kernel.__call__", "prediction.ridge", "alignment", "collapse"}


def _cases(functions):
    return [
        pytest.param(name, kind, id=f"{name}-{kind}")
        for name in functions
        for kind in (KINDS if name in ALL_KINDS else CHEAP_KINDS)
    ]


@pytest.mark.parametrize(("name", "kind"), _cases(OF_ROWS))
def test_rows_of_a_file_are_those_of_an_array(made, name, kind):
    path, _ = made(kind)
    np.testing.assert_array_equal(OF_ROWS[name](path), OF_ROWS[name](X))


@pytest.mark.parametrize(("name", "kind"), _cases(OF_BOTH))
def test_rows_and_labels_of_a_file_are_those_of_arrays(made, name, kind):
    path, y = made(kind)
    np.testing.assert_array_equal(OF_BOTH[name](path, y), OF_BOTH[name](X, Y))


def test_every_function_that_reads_files_is_in_these_tables():
    decorated = {
        f"{owner}{part.name}"
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef | ast.Module)
        for owner in [f"{node.name}." if isinstance(node, ast.ClassDef) else ""]
        for part in node.body
        if isinstance(part, ast.FunctionDef)
        and any("reads_files" in ast.unparse(one) for one in part.decorator_list)
    }
    tested = [name.partition(" ")[0] for name in [*OF_ROWS, *OF_BOTH]]
    assert len(decorated) > 25
    assert {
        one for one in decorated if not any(f".{t}".endswith(f".{one}") for t in tested)
    } == set()


def test_a_column_named_as_labels_are_is_no_row_unless_it_is_named(made):
    path, _ = made("t.csv")
    other = Path(path).with_name("other.csv")
    other.write_bytes(Path(path).read_bytes().replace(b"label", b"price"))
    np.testing.assert_array_equal(K(path), K(X))
    whole = np.column_stack([X[:, 0], Y, X[:, 1:]])
    np.testing.assert_array_equal(K(other), K(whole))  # no name of labels
    np.testing.assert_array_equal(K(f"{path}::a,label"), K(whole[:, :2]))
    np.testing.assert_array_equal(nc.datasets.load(path, labels=Y)[0], X)
    found = nc.prediction.ridge(K, other, "price", other).mean
    np.testing.assert_array_equal(found, nc.prediction.ridge(K, X, Y, X).mean)
    assert nc.collapse(path, np.arange(24) // 12).nc1 == nc.collapse(X, np.arange(24) // 12).nc1


def test_targets_of_a_file_may_be_several(tmp_path):
    np.savez(tmp_path / "t.npz", X=X, targets=V)
    expected = nc.prediction.ridge(K, X, V).mean
    assert expected.shape == V.shape
    np.testing.assert_array_equal(nc.prediction.ridge(K, tmp_path / "t.npz", None).mean, expected)
    scipy = pytest.importorskip("scipy.io", reason="MATLAB's files (extra: study)")
    scipy.savemat(tmp_path / "t.mat", {"X": X, "targets": V, "first": V[:, :1]})
    for name, values in (("targets", V), ("first", V[:, 0])):
        found = nc.prediction.ridge(K, tmp_path / "t.mat", name).mean
        np.testing.assert_array_equal(found, nc.prediction.ridge(K, X, values).mean)


def _text_column(folder: Path) -> Path:
    path = folder / "text.csv"
    path.write_text("a,kind\n1,x\n2,y\n3,x\n")
    return path


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda f: nc.spectrum(f / "none.npz", K), FileNotFoundError, "X: .*none.npz"),
        (
            lambda f: nc.spectrum(_text_column(f), K),
            ValueError,
            r"'x'\); columns of data are chosen",
        ),
        (lambda f: K(X, f / "none.csv"), FileNotFoundError, "Z: .*none.csv"),
        (K, ValueError, "X: .*is a folder that holds"),
        (
            lambda f: nc.prediction.ridge(K, _text_column(f), "kind"),
            TypeError,
            "targets must be real numbers.*of labels y give codes",
        ),
        (
            lambda f: nc.prediction.ridge(K, _text_column(f), "z"),
            ValueError,
            "'z' are neither a part",
        ),
        (lambda f: nc.prediction.ridge(K, X, f / "none.npy"), FileNotFoundError, "targets: .*none"),
        (lambda f: nc.alignment(X, Y, "nngp"), TypeError, r"kernels\[0\] must be a kernel object"),
    ],
)
def test_mistakes_are_one_line_that_names_the_argument(tmp_path, call, error, message):
    with pytest.raises(error, match=message) as caught:
        call(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_file_that_changes_meanwhile_is_refused(tmp_path):
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "Z.npy", X)

    def touch(*_):
        os.utime(tmp_path / "Z.npy", ns=(1, 1))

    with pytest.raises(ValueError, match=r"Z: .*Z\.npy: has changed while it was read"):
        K.matvec(tmp_path / "X.npy", V, tmp_path / "Z.npy", progress=touch)
