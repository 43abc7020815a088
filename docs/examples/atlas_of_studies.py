"""
Atlas of studies
================

A study is a grid of data, kernels and networks, described in a few lines of YAML. nc1fast comes
with the studies of works around kernels and collapse, and runs descriptions of your own.
"""

import tempfile
from collections import defaultdict

import matplotlib.pyplot as plt
import numpy as np

from nc1fast import studies

# %%
# The built-in studies and their presets. ``nc1fast study NAME`` runs one, ``nc1fast study all`` all
# of them.

for name, presets in studies.built_in().items():
    print(f"{name:18} {', '.join(presets)}")

# %%
# A description of one's own: two numbers of features, kernels, and small networks before and after
# training, on the same data sets.

study = studies.parse("""
name: small
title: Kernels beside small networks
repeats: 2
arms:
  - name: small
    data:
      - {source: gaussian_mixture, name: D1, means: [-2, 2], stds: 0.5, n_samples: [64],
         n_features: [2, 16]}
    kernels:
      - {kernel: NNGP, activation: erf}
      - {kernel: NTK, activation: erf}
    networks:
      - {activation: erf, width: 100, lr: 0.01, epochs: 200}
""")

# %%
# ``run`` writes a table with a row for each NC1 into a folder; ``nc1fast study`` adds figures and a
# report.

with tempfile.TemporaryDirectory() as folder:
    result = studies.run(study, folder)
    rows = result.rows

nc1 = defaultdict(list)
for row in rows:
    name = " ".join(filter(None, (row["model"], row["parametrization"], row["state"])))
    nc1[name, row["d0"]].append(row["nc1"])

# %%
# Medians over the repeats. "start" and "end" are before and after training; the NTK in the standard
# parametrization is that of these networks at infinite width.

names = sorted({name for name, _ in nc1})
figure, ax = plt.subplots()
for name in names:
    d0s = sorted(d0 for other, d0 in nc1 if other == name)
    ax.semilogy([str(d0) for d0 in d0s], [np.median(nc1[name, d0]) for d0 in d0s], "o-", label=name)
ax.set(xlabel="number of features", ylabel="NC1")
figure.legend(loc="outside right upper")
plt.show()
