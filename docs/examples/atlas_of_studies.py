"""
Atlas of studies
================

A study is a grid of data, kernels and networks, described in a few lines of YAML. nc1fast comes with the studies of works
around kernels and collapse, and runs descriptions of your own.
"""

import tempfile
from collections import defaultdict

import matplotlib.pyplot as plt
import numpy as np

from nc1fast import studies

# %%
# The built-in studies and their presets. ``nc1fast study NAME`` runs one, ``nc1fast study all`` all of them.

for name, presets in studies.built_in().items():
    print(f"{name:18} {', '.join(presets)}")

# %%
# A description of one's own: two numbers of features, kernels, and small networks before and after training, on the same
# data sets.

study = studies.parse("""
name: small
title: Kernels beside small networks
repeats: 3
arms:
  - name: small
    data:
      - {source: gaussian_mixture, name: D1, means: [-2, 2], stds: 0.5, n_samples: [64], n_features: [2, 16]}
    kernels:
      - {kernel: NNGP, activation: erf}
      - {kernel: NTK, activation: erf}
    networks:
      - {activation: erf, width: 100, lr: 0.01, epochs: 300}
""")

# %%
# ``run`` writes a table with a row for each NC1, figures and a report into a folder.

with tempfile.TemporaryDirectory() as folder:
    result = studies.run(study, folder)
    rows = result.rows

nc1 = defaultdict(list)
for row in rows:
    nc1[row["model"], row["state"], row["d0"]].append(row["nc1"])
for key, values in nc1.items():
    print(*key, np.round(values, 4))

# %%
# Medians over the repeats.

names = sorted({key[:2] for key in nc1})
figure, ax = plt.subplots()
for model, state in names:
    d0s = sorted({key[2] for key in nc1 if key[:2] == (model, state)})
    ax.semilogy(
        [str(d0) for d0 in d0s],
        [np.median(nc1[model, state, d0]) for d0 in d0s],
        "o-",
        label=f"{model} {state}",
    )
ax.set(xlabel="number of features", ylabel="NC1")
ax.legend()
plt.show()
