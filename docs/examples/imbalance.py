"""
Imbalance
=========

Conventions differ in how they weight classes in NC1. With classes of equal size they agree. With
others, two published curves can be compared only under one of them.
"""

import matplotlib.pyplot as plt

import nc1fast as nc

# %%
# 1,024 rows of two Gaussian classes, of which the first gets less and less: data sets of one call.
# One pass over each gives the sums; ``under`` changes the convention without another.

conventions = ("papyan", "probe", "class", "sample", "released")
ratios = [1, 2, 4, 8, 16, 32]
smaller = [1024 // (ratio + 1) for ratio in ratios]
data_sets = (
    nc.datasets.gaussian_mixture(
        means=(-2, 2), stds=(0.5, 1.0), sizes=(n, 1024 - n), n_features=32, seed=0
    )
    for n in smaller
)
results = nc.collapse_each(data_sets, nc.NNGP("relu"), convention="papyan")
nc1 = {
    convention: [result.under(convention).nc1 for result in results] for convention in conventions
}

# %%
# The second class is spread more, so that weights by size raise NC1 as it takes over. Under "class"
# nothing changes, and under "probe" NC1 falls, although the classes are as they were.

figure, ax = plt.subplots()
for (convention, values), style in zip(nc1.items(), ("o-", "s-", "^-", "v-", "x--"), strict=True):
    ax.semilogx(ratios, values, style, label=convention)
ax.set(
    xlabel="size of the larger class over that of the smaller",
    ylabel="NC1",
    xticks=ratios,
    xticklabels=ratios,
)
ax.minorticks_off()
ax.legend(title="convention")
plt.show()
