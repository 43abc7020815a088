"""
Estimates at large N
====================

An exact pass takes four times as long for twice the rows. A sample of pairs of rows, or of hidden
units, gives NC1 with an interval instead.
"""

import matplotlib.pyplot as plt

import nc1fast as nc

X, y = nc.datasets.paper_d1(3000, 32, seed=0)
kernel = nc.NNGP("relu")
exact = nc.collapse(X, y, kernel).nc1  # small enough here to know the truth

# %%
# Ten samples of pairs and ten of hidden units, each with its interval of 95 %.

estimates = {
    "20,000 pairs": [nc.estimators.pairs(X, y, kernel, n_pairs=20_000, seed=s) for s in range(10)],
    "1,024 hidden units": [
        nc.estimators.features(X, y, kernel, n_units=1024, seed=s) for s in range(10)
    ],
}

# %%
# In practice the tolerance is given, and ``method="auto"`` takes the fastest way to it. It says
# which, and why.

result = nc.collapse(X, y, kernel, method="auto", tolerance=0.01, seed=0)
print(result.method, "-", result.reason)

# %%
# The dotted line is the exact value. About one interval in twenty misses it, by design.

figure, axes = plt.subplots(1, 2, sharey=True)
for ax, (name, results) in zip(axes, estimates.items(), strict=True):
    nc1 = [r.nc1 for r in results]
    below = [r.nc1 - r.interval[0] for r in results]
    above = [r.interval[1] - r.nc1 for r in results]
    ax.errorbar(range(10), nc1, yerr=(below, above), fmt="o", capsize=3)
    ax.axhline(exact, color="black", ls=":")
    ax.set(title=name, xlabel="seed", xticks=range(10))
axes[0].set_ylabel("NC1")
plt.show()
