"""
Out of core
===========

Rows may stay in a file. A memory limit bounds what a pass takes beside them, and the answer has the
same bits under every limit.
"""

import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import nc1fast as nc

X, y = nc.datasets.gaussian_mixture(
    means=(-2, -1, 1, 2), stds=0.5, sizes=(1500,) * 4, n_features=64, seed=0
)

# %%
# The file could be larger than memory: it is read where it lies, block by block. Also taken:
# ``FILE.npz::NAME``, ``FILE.h5::NAME``, Zarr and Parquet.

limits = [4, 5, 6, 8, 16]  # MiB
seconds, results = [], []
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "X.npy"
    np.save(path, X.astype("float32"))
    for limit in limits:
        began = time.perf_counter()
        results.append(
            nc.collapse(path, y, nc.NTK("relu"), statistics="sums", memory_limit=limit << 20)
        )
        seconds.append(time.perf_counter() - began)

# %%
# The limit costs time only where blocks become small, and never a bit of the result.

assert len({result.nc1 for result in results}) == 1

figure, ax = plt.subplots()
ax.bar([str(limit) for limit in limits], seconds)
ax.set(
    title=f"{len(X):,} rows of 64 features, NC1 = {results[0].nc1!r} in each run",
    xlabel="memory limit, MiB",
    ylabel="seconds",
)
plt.show()
