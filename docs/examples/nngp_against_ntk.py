"""
NNGP against NTK
================

Two kernels belong to an infinitely wide network: the NNGP, of its outputs before training, and the
NTK, which drives its training by small steps. Which of them sees more collapsed classes depends on
the data.
"""

import matplotlib.pyplot as plt

import nc1fast as nc

# %%
# D1 is the first data set of arXiv 2406.02105: two Gaussian classes about (-2, ..., -2) and (2,
# ..., 2). Both kernels of an activation share one pass over the pairs of rows.

d0s = [1, 2, 4, 8, 16, 32, 64, 128]
nc1 = {}
for activation in ("erf", "relu"):
    for d0 in d0s:
        X, y = nc.datasets.paper_d1(512, d0, seed=0)
        pair = [nc.NNGP(activation), nc.NTK(activation)]
        for kernel, result in zip(pair, nc.collapse(X, y, pair), strict=True):
            nc1[activation, type(kernel).__name__, d0] = result.nc1

# %%
# Under erf the NTK is less collapsed than the NNGP at every number of features. Under ReLU with one
# feature the two are equal: both kernels are then multiples of one another.

figure, axes = plt.subplots(1, 2, sharey=True)
for ax, activation in zip(axes, ("erf", "relu"), strict=True):
    for kernel, style in (("NNGP", "o-"), ("NTK", "s--")):
        ax.loglog(d0s, [nc1[activation, kernel, d0] for d0 in d0s], style, label=kernel)
    ax.set(title=activation, xlabel="number of features", xticks=d0s, xticklabels=d0s)
    ax.minorticks_off()
axes[0].set_ylabel("NC1")
axes[0].legend()
plt.show()
