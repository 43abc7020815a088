"""A mistake on the command line is one line on standard error, exit code 2, and no file."""

from __future__ import annotations

import shlex

import numpy as np
import pytest

torch = pytest.importorskip("torch")
MODEL = """
from torch import nn

number = 3


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.fc = nn.Conv2d(1, 5, 2), nn.Linear(5, 3)

    def forward(self, x):
        return self.fc(self.stem(x).relu().mean(dim=(2, 3)))


def nothing():
    return 3


def failing():
    raise KeyError("width")
"""
NET = "probe model.py:Net --data data.npz --shape 1,3,3"
TRAIN, ADAPT = "train data.npz", "adapt data.npz --noise 1"
MISTAKES = [
    ("collaps", "collaps"),
    ("collapse", "data"),
    ("collapse none.npz", "none.npz"),
    ("collapse README.doc", "README.doc"),
    ("collapse .", ""),
    ("collapse data.npz --kernel rbf", "--kernel"),
    ("collapse data.npz --kernel NTK", "Did you mean 'ntk'?"),
    ("collapse data.npz --activation mish", "mish"),
    ("collapse data.npz --convention fair", "--convention"),
    ("collapse data.npz --scale standardise", "Did you mean 'standardize'?"),
    ("collapse data.npz --colour red", "--colour"),
    ("collapse data.npz --depth deep", "--depth"),
    ("collapse data.npz --depth 1", "depth"),
    ("collapse data.npz --weight-variance -1", "weight_variance"),
    ("collapse data.npz --weight-variance 1,x", "--weight-variance"),
    ("collapse data.npz --weight-variance he --activation erf", "belongs to the ReLU family"),
    ("collapse data.npz --kernel ntk --activation step", "NTK"),
    ("collapse data.npz --activation relu:0.5", "shifted_relu"),
    ("collapse data.npz --slope 0.1", "--slope"),
    ("collapse data.npz --width 10", "--width"),
    ("collapse data.npz --kernel ntk --parametrization standard", "width"),
    ("collapse data.npz --keys X", "--keys"),
    ("collapse data.npz --keys X,z", "'z'"),
    ("collapse data.npz --threads 0", "n_threads"),
    ("collapse data.npz data.npz --journal run", "--journal takes one data set"),
    ("collapse data.npz --resume", "--resume needs the file of an earlier --journal"),
    ("collapse data.npz --resume --journal run", "--resume needs the file of an earlier --journal"),
    ("collapse data.npz --method features --dry-run", "--method exact"),
    ("collapse data.npz --kernel features --dry-run", "kernel object"),
    ("collapse data.npz --memory-limit 8 --keys X,y --scale unit-norm", "--scale must be none"),
    ("collapse data.npz --memory-limit 8 --labels z", "neither a part of it nor a file"),
    ("collapse data.npz --memory-limit 8 --keys X,z", "needs the name of one of its arrays"),
    ("collapse X.npy", "X.npy: an .npy file holds no labels: give --labels, an array"),
    ("collapse odd.npz", "name two by --keys, or one as FILE::NAME"),
    ("shard data.npz --out share --index 3 --of 3", "--index"),
    ("shard data.npz --out share --index 0 --of 2 --kernel features", "got features"),
    ("shard data.npz --out share --index 0 --of 1 --kernel precomputed", "got precomputed"),
    ("shard data.npz --out no/share --index 0 --of 2", "a folder that can be written"),
    ("study papers --out out", "papers"),
    ("study paper --preset full --out out", "full"),
    ("study none.yml --out out", "none.yml"),
    ("study paper", "--out"),
    ("study paper --out out --only d0", "only"),
    ("study paper --out out --only color=red", "color"),
    ("study paper --out out --only N=7", "N=7"),
    ("report out", "table.parquet"),
    ("predict data.npz --held-out 1", "--held-out must be"),
    ("predict data.npz --kernel precomputed", "--kernel must be a kernel of rows"),
    ("predict data.npz --time 3", "--time must be given for --method flow"),
    ("predict data.npz --method flow", "--time must be given for --method flow"),
    ("predict data.npz --ridge -1", "ridge must be"),
    ("spectrum data.npz -k 61", "k must be >= 1 and <= 60"),
    ("align data.npz --kernels ntk,rbf", "--kernels must be some of"),
    (f"{TRAIN} --optimizer lbfgs", "--optimizer"),
    (f"{TRAIN} --width 0", "width"),
    (f"{TRAIN} --width 7,5", "width"),
    (f"{TRAIN} --until boredom", "until"),
    (f"{TRAIN} --until loss=small", "--until"),
    (f"{TRAIN} --probe often", "--probe"),
    (f"{TRAIN} --probe 5000", "probe"),
    (f"{TRAIN} --temperature 1", "temperature"),
    (f"{TRAIN} --optimizer langevin --temperature 1", "train_bias=False"),
    (f"{TRAIN} --loss cross-entropy --targets scalar", "one-hot"),
    (f"{TRAIN} --out out.txt", "--out"),
    (f"{TRAIN} --out out/trace.csv", "--out"),
    (f"{TRAIN} --repeats 0", "repeats"),
    ("adapt data.npz", "--noise"),
    ("adapt data.npz --noise 0", "noise"),
    (f"{ADAPT} --activation gelu", "--activation"),
    (f"{ADAPT} --out out.csv", "--out"),
    ("probe model.py --data data.npz", "MODEL must be FILE.py:NAME"),
    ("probe model.py:a.b --data data.npz", "MODEL must be FILE.py:NAME"),
    ("probe none.py:Net --data data.npz", "No such file"),
    ("probe model.py:other --data data.npz", "has no other; it has"),
    ("probe model.py:nothing --data data.npz", "must give a torch.nn.Module, got int"),
    ("probe model.py:number --data data.npz", "must give a torch.nn.Module, got int"),
    ("probe model.py:failing --data data.npz", "failing failed: KeyError"),
    ("probe broken.py:Net --data data.npz", "broken.py:Net failed: SyntaxError"),
    ("probe lacking.py:Net --data data.npz", "No module named 'no_such_package'"),
    ("probe model.py:Net --data data.npz", "the module failed on rows of shape (9,)"),
    ("probe model.py:Net --data data.npz --shape 1,3", "--shape must hold the 9 numbers"),
    ("probe model.py:Net --data data.npz --shape 1,x", "--shape must be integers"),
    ("probe model.py:Net --data data.npz --shape 1,-3,-3", "--shape must hold the 9 numbers"),
    ("probe model.py:Net --data data.npz --dtype int64", "--dtype int64 needs data that are"),
    (f"{NET} --layers stem,body", "layers must name submodules"),
    (f"{NET} --classifier stem", "classifier must name a linear layer"),
    (f"{NET} --pool median", "--pool takes flatten"),
    (f"{NET} --batch-size 0", "batch_size must be"),
    (f"{NET} --seed -1", "--seed must be"),
    (f"{NET} --device toaster", "on toaster"),
    (f"{NET} --out layers.txt", "--out must end in .csv or .npz"),
    (f"{NET} --checkpoint none.pt", "No such file"),
    (f"{NET} --checkpoint other.pt", "does not fit the module"),
    (f"{NET} --checkpoint list.pt", "must hold a state_dict, got list"),
    (f"{NET} --checkpoint model.py", "not a readable file of weights"),
    (f"{NET} --checkpoint .", "is not a regular file"),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    y = np.arange(60) % 3
    X = np.random.default_rng(0).normal(size=(60, 9)) + 2.0 * np.eye(9)[y]
    np.savez("data.npz", X=X, y=y)
    np.savez("odd.npz", A=np.eye(3), B=np.arange(3))
    np.save("X.npy", np.eye(3))
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "broken.py").write_text("def Net(:\n")
    (tmp_path / "lacking.py").write_text("import no_such_package\n")
    torch.save({"stem.weight": torch.zeros(2)}, "other.pt")
    torch.save([torch.zeros(2)], "list.pt")
    return tmp_path


@pytest.mark.filterwarnings("ignore:class sizes range")
@pytest.mark.parametrize(("line", "message"), MISTAKES, ids=[line for line, _ in MISTAKES])
def test_mistake_is_one_line_and_exit_code_two(refused, folder, line, message):
    before = {path for path in folder.rglob("*") if path.name != "__pycache__"}
    error = refused(*shlex.split(line))
    assert message in error
    assert "Value error" not in error
    after = {path for path in folder.rglob("*") if "__pycache__" not in path.parts}
    assert after == before
