"""Plug-ins: the template of the documentation through every door, and others that are broken in
every way.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
import warnings

import numpy as np
import pytest
from tests.distributions import KERNEL, TEMPLATE, entry_points, forget, run

import nc1fast as nc
from nc1fast import kernels, metrics
from nc1fast.datasets import readers
from nc1fast.kernels.registry import KERNELS
from nc1fast.metrics import registry
from nc1fast.support import plugins

ROWS = "0 1:1.5 2:2\n0 1:1 2:2.5 # a remark\n\n1 1:-3 2:4\n1 1:-2.5\n"
activations = importlib.import_module("nc1fast.core.activations")


@pytest.fixture
def template(install, monkeypatch):
    monkeypatch.syspath_prepend(TEMPLATE / "src")
    return install(entry_points((TEMPLATE / "pyproject.toml").read_text()), "nc1fast-template")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.LIBSVM"
    path.write_text(ROWS)
    return path


@pytest.fixture
def data():
    rng = np.random.default_rng(3)
    y = np.repeat([0, 1, 2], 40)
    return rng.normal(size=(120, 4)) * (1 + y[:, None]) + 3 * y[:, None], y


def _isru(u):
    return u / np.sqrt(1 + u**2)


def test_the_template_has_one_of_each_kind(template):
    points = (template / "nc1fast_template-0.1.0.dist-info/entry_points.txt").read_text()
    assert re.findall(r"^\[nc1fast\.(\w+)\]$", points, re.MULTILINE) == [
        *("activations", "metrics", "readers", "studies")
    ]
    assert "nc1fast_template" not in sys.modules


def test_an_activation_is_known_by_its_name(template, data, tmp_path):
    X, y = data
    assert "isru" in nc.activations()
    assert "isru" not in nc.activations(elementary=True)
    assert "nc1fast_template" not in sys.modules  # a list of names loads nothing
    mine = nc.Activation(_isru, name="isru", n_terms=128)
    for kind in (nc.NNGP, nc.NTK):
        assert kind("isru", depth=3) == kind(mine, depth=3)
    X = X / 8  # far from where isru saturates, its series is short
    result = nc.collapse(X, y, nc.NTK("isru"))
    assert result.nc1 == nc.collapse(X, y, nc.NTK(mine)).nc1
    assert nc.to_table(result)["activation"] == ["isru"]
    nc.class_sums(X, y, nc.NTK("isru")).save(tmp_path / "sums.npz")
    assert nc.ClassSums.load(tmp_path / "sums.npz").kernel == nc.NTK(mine)


def test_an_activation_is_trained(template, data):
    pytest.importorskip("torch")
    X, y = data
    network = nc.networks.ShallowNetwork("isru", 4, width=8, seed=0)
    trace = nc.networks.train(network, X, y, epochs=3)
    assert np.isfinite(trace.table["nc1"]).all()
    assert "worst_class" not in trace.table  # traced=False


def test_a_file_does_not_take_an_activation_that_has_changed(template, data):
    written = kernels.to_json(nc.NNGP("isru"))
    assert kernels.from_json(json.loads(json.dumps(written))) == nc.NNGP("isru")
    written["activation"]["plugin"][1] = repr(nc.Activation(np.tanh, name="isru"))
    with pytest.raises(ValueError, match="'isru' is now"):
        kernels.from_json(written)
    with pytest.raises(TypeError, match="a function cannot be written"):  # the name is not enough
        kernels.to_json(nc.NNGP(nc.Activation(np.tanh, name="isru")))


def test_a_metric_is_in_results_and_tables(template, data):
    X, y = data
    result = nc.collapse(X, y, nc.NNGP("relu"))
    expected = result.within_by_class.max() / result.within_by_class.mean()
    assert expected > 1.5
    assert result.worst_class == pytest.approx(expected, rel=1e-15)
    assert result.under("class").worst_class == result.worst_class
    assert nc.to_table(result)["worst_class"] == [result.worst_class]
    assert {"worst_class"} <= result.to_dict().keys() & set(dir(result))
    assert "worst_class" not in metrics.METRICS


def test_a_metric_is_one_of_monitors(template, data):
    torch = pytest.importorskip("torch")
    X, y = data
    monitor = nc.networks.Monitor(torch.nn.Linear(4, 2), X, y, metrics=["worst_class"])
    monitor()
    assert [row["worst_class"] > 1 for row in monitor.rows] == [True]


def test_a_reader_is_that_of_every_door(template, file, call):
    X, y = nc.datasets.load(file)
    np.testing.assert_array_equal(X, [[1.5, 2], [1, 2.5], [-3, 4], [-2.5, 0]])
    np.testing.assert_array_equal(y, [0, 0, 1, 1])
    expected = nc.collapse(X, y, nc.NNGP("isru")).nc1
    assert nc.collapse(file, None, nc.NNGP("isru")).nc1 == expected
    assert nc.datasets.load(file, labels=[5, 5, 6, 6])[1].tolist() == [5, 5, 6, 6]
    code, out, err = call(
        "collapse", str(file), "--kernel", "nngp", "--activation", "isru", "--json"
    )
    assert (code, json.loads(out)["nc1"]) == (0, expected), err
    assert json.loads(out)["worst_class"] > 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("0 1:x\n", "line 1 is not LIBSVM's"),
        ("0 1:1\n1 0:2\n", "line 2 has an index below 1"),
        ("0 1:1\n1 99999999999:2\n", "too many"),
        ("0 1:1\n1 1:nan\n", "a.LIBSVM"),
        ("", "a.LIBSVM"),
    ],
)
def test_the_reader_of_the_template_refuses_what_is_wrong(template, file, text, problem):
    file.write_text(text)
    with pytest.raises(ValueError, match=problem):
        nc.datasets.load(file)


def test_a_study_is_listed_and_run(template, tmp_path, call):
    studies = pytest.importorskip("nc1fast.studies")
    assert studies.built_in()["isru-erf"] == ["quick"]
    code, out, _ = call("study", "list", "--json")
    assert code == 0
    assert "isru-erf" in out
    study = studies.load("isru-erf")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nc.AccuracyWarning)
        result = studies.run(study, tmp_path / "out")
    found = {(row["model"], row["activation"]) for row in result.rows if row["nc1"] > 0}
    assert {("NNGP", "isru"), ("NTK", "isru"), ("NNGP", "erf"), ("NTK", "erf")} <= found
    page = importlib.import_module("nc1fast.studies.report").build(tmp_path / "out").read_text()
    assert "isru beside erf" in page


def test_doctor_names_plug_ins(template):
    pytest.importorskip("nc1fast.studies")
    program = "from nc1fast.cli import main\nmain()"  # in a process that has imported nothing
    told = json.loads(run(program, template, "doctor", "--json"))["plug-ins"]
    assert told.count("of nc1fast-template 0.1.0") == 4
    assert "cannot be used" not in told


def test_a_kernel_is_found_by_option_and_by_class(install, data, tmp_path):
    pytest.importorskip("typer")
    X, y = data
    points = "[nc1fast.kernels]\nhe-tangent = he_kernel:HeTangent\n"
    folder = install(points, he_kernel=KERNEL)
    kernel = kernels.registry.of_option("he-tangent")("relu", depth=3)
    expected = nc.collapse(X, y, nc.NTK("relu", depth=3, weight_variance=2.0)).nc1
    assert nc.collapse(X, y, kernel).nc1 == expected
    nc.class_sums(X, y, kernel).save(tmp_path / "sums.npz")
    np.savez(tmp_path / "data.npz", X=X, y=y)
    program = f"""
        import nc1fast as nc
        from nc1fast.cli import main
        sums = nc.ClassSums.load({str(tmp_path / "sums.npz")!r})  # nothing has imported its class
        assert type(sums.kernel).__name__ == "HeTangent"
        main()
        """
    arguments = [str(tmp_path / "data.npz"), "--kernel", "he-tangent", "--depth", "3"]
    variances = ["--weight-variance", "2", "--json"]
    told = json.loads(run(program, folder, "collapse", *arguments, *variances))
    assert told["nc1"] == expected


def test_nothing_is_loaded_before_it_is_needed(install):
    folder = install(
        "[nc1fast.metrics]\nloud = loud_module:metric\n[nc1fast.activations]\nx = no_module:x\n",
        loud_module="raise RuntimeError('loaded')",
    )
    program = """
        import sys, warnings
        warnings.simplefilter("error")
        import nc1fast as nc
        assert "importlib.metadata" not in sys.modules
        assert "loud_module" not in sys.modules
        assert nc.NNGP("relu")([[1.0, 2.0]]).shape == (1, 1)
        assert "loud_module" not in sys.modules
        print(nc.__version__)
        """
    assert run(program, folder).strip() == nc.__version__


def test_one_that_was_named_and_fails_is_an_error(install):
    install(
        """
        [nc1fast.activations]
        absent = no_such_module:phi
        exits = exiting:phi
        number = wrong:number
        other = wrong:phi
        """,
        exiting="import sys\nsys.exit(3)\n",
        wrong="import nc1fast as nc\nnumber = 3\nphi = nc.Activation(abs, name='abs2')\n",
    )
    for name, why in (
        ("absent", "of other 0.1.0: ModuleNotFoundError: No module named 'no_such_module'"),
        ("exits", "SystemExit"),
        ("number", "must be a GeneralActivation, got 3"),
        ("other", "its name is 'abs2'"),
    ):
        with pytest.raises(ImportError, match=re.escape(f"plug-in {name!r}")) as caught:
            nc.NNGP(name)
        assert why in str(caught.value)
    with pytest.raises(ValueError, match="unknown activation 'none'; choose from abs, absent"):
        nc.NNGP("none")


@pytest.mark.parametrize(
    ("definition", "why"),
    [
        ("raise OSError('disk')", "OSError: disk"),
        ("metric = len", "must be a Metric, got"),
        ("from nc1fast.metrics import Metric\nmetric = Metric(len, int)", "column must be float"),
    ],
)
def test_a_metric_that_cannot_be_loaded_is_left_out_once(install, data, definition, why):
    install("[nc1fast.metrics]\nbad = bad_metric:metric\n", bad_metric=definition)
    result = nc.collapse(*data)
    with pytest.warns(plugins.PluginWarning, match=why) as told:
        found = dir(result)
    assert "bad" not in found
    assert [one.filename for one in told] == [__file__]
    assert nc.collapse(*data).cdnv == result.cdnv  # without a warning
    assert result.nc1 > 0


def test_a_metric_that_fails_is_missing_with_the_reason(install, data):
    definition = """
        from nc1fast.metrics import Metric
        metric = Metric(lambda g: 1 / 0)
        """
    install("[nc1fast.metrics]\nbad = bad_metric:metric\n", bad_metric=definition)
    result = nc.collapse(*data)
    with pytest.warns(plugins.PluginWarning, match="the metric bad is left out"):
        missing = result.missing
    assert result.bad is None
    assert "ZeroDivisionError" in missing["bad"]
    assert "ZeroDivisionError" in result.missing["bad"]
    assert np.isnan(nc.to_table(result)["bad"]).all()


def test_names_of_the_package_cannot_be_taken(install, data):
    assert {*nc.collapse(*data).to_dict(), *nc.to_table(nc.collapse(*data))} <= {
        *metrics.METRICS,
        *registry.OF_RESULTS,
    }
    install(
        "[nc1fast.metrics]\nnc1 = thief:metric\n[nc1fast.kernels]\nmine = thief:NTK\n",
        thief="""
            from dataclasses import dataclass
            import nc1fast as nc

            @dataclass(frozen=True)
            class NTK(nc.NTK):
                option = "mine"
            """,
    )
    with pytest.warns(plugins.PluginWarning, match="nc1fast has a name 'nc1' of its own"):
        assert nc.collapse(*data).cdnv > 0
    with pytest.raises(ImportError, match="a name of its own"):
        kernels.registry.of_option("mine")
    assert KERNELS["NTK"] is nc.NTK
    assert type(kernels.from_json(kernels.to_json(nc.NTK("relu")))) is nc.NTK


def test_of_two_of_one_name_the_first_is_taken(install, data):
    definition = "from nc1fast.metrics import Metric\nmetric = Metric(lambda g: {}.0)\n"
    install("[nc1fast.metrics]\nsame = b_metric:metric\n", "b", b_metric=definition.format(2))
    install("[nc1fast.metrics]\nsame = a_metric:metric\n", "a", a_metric=definition.format(1))
    with pytest.warns(plugins.PluginWarning, match="of a 0.1.0 has the same name"):
        assert nc.collapse(*data).same == 1


def test_a_reader_that_fails_names_the_file(install, tmp_path):
    install(
        "[nc1fast.readers]\nodd = odd_reader:reader\nnone = no_such_module:x\n",
        odd_reader="""
            from nc1fast.datasets import as_reader
            reader = as_reader(lambda path: {}["key"], name=".odd", suffixes=[".odd"])
            """,
    )
    (tmp_path / "a.odd").write_text("x")
    with (
        pytest.warns(plugins.PluginWarning, match="no_such_module"),
        pytest.raises(ValueError, match=r"a\.odd.*its reader failed: KeyError"),
    ):
        nc.datasets.load(tmp_path / "a.odd")
    with pytest.raises(ValueError, match=r"unknown kind of file '\.even', must be .* or \.odd"):
        nc.datasets.load(tmp_path / "a.even")
    np.savez(tmp_path / "a.npz", X=[[1.0], [2.0]], y=[0, 1])
    assert len(nc.datasets.load(tmp_path / "a.npz")[1]) == 2


@pytest.mark.parametrize("given", [{"suffixes": []}, {"suffixes": [3]}, {"read": 3}])
def test_as_reader_checks_its_arguments(given):
    with pytest.raises(TypeError, match=r"^(suffixes|read) must"):
        readers.as_reader(**{"read": len, "name": ".x", "suffixes": [".x"]} | given)


def test_studies_that_cannot_be_used_are_left_out(install):
    studies = pytest.importorskip("nc1fast.studies")
    install(
        "[nc1fast.studies]\nempty = empty_study:STUDY\nwrong = empty_study:path\n",
        empty_study="""
            from pathlib import Path
            from nc1fast.studies import BuiltIn
            path = Path(__file__).parent / "nothing"
            path.mkdir()
            STUDY = BuiltIn(path)
            """,
    )
    with pytest.warns(plugins.PluginWarning) as told:
        assert not {"empty", "wrong"} & studies.built_in().keys()
    assert ["quick.yml" in str(one.message) for one in told] == [True, False]
    assert studies.load("paper").name == "paper"


def test_they_can_be_switched_off(template, monkeypatch):
    monkeypatch.setenv("NC1FAST_PLUGINS", "0")
    forget()
    with pytest.raises(ValueError, match="unknown activation 'isru'"):
        nc.NNGP("isru")
