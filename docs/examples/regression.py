"""
Regression
==========

Gaussian processes and ridge regression by the kernel of a wide network.
"""

import matplotlib.pyplot as plt
import numpy as np

import nc1fast as nc

# %%
# Twenty noisy values of a function of one variable. Kernels of networks without biases know
# functions through the origin alone, so these have biases.

rng = np.random.default_rng(0)
x = np.sort(rng.uniform(-3, 3, 20))
targets = np.sin(2 * x) + 0.1 * rng.standard_normal(20)
grid = np.linspace(-4.5, 4.5, 300)

kernels = {
    "NNGP, erf": nc.NNGP("erf", depth=3, weight_variance=(5.0, 5.0, 2.0), bias_variance=1.0),
    "NNGP, ReLU": nc.NNGP("relu", depth=3, weight_variance=(5.0, 2.0, 2.0), bias_variance=1.0),
}

# %%
# ``gp_posterior`` gives the mean and the variance of the posterior, and the log marginal
# likelihood, by which kernels can be compared. For many rows ``solver="cg"`` never stores the Gram
# matrix.

figure, axes = plt.subplots(1, 2, sharey=True)
for ax, (name, kernel) in zip(axes, kernels.items(), strict=True):
    process = nc.prediction.gp_posterior(kernel, x[:, None], targets, grid[:, None], noise=0.01)
    mean, spread = process.mean.ravel(), 2 * np.sqrt(process.variance.ravel())
    ax.fill_between(grid, mean - spread, mean + spread, alpha=0.2)
    ax.plot(grid, mean)
    ax.plot(grid, np.sin(2 * grid), color="black", ls=":", lw=1)
    ax.plot(x, targets, "k.")
    ax.set(
        title=f"{name}: log likelihood {process.log_marginal_likelihood:.1f}",
        xlabel="x",
        ylim=(-4, 4),
    )
plt.show()
