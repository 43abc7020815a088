"""
Adaptive kernels and mean field
===============================

The NNGP has not seen the labels. The adaptive kernel is that of a wide network trained with noise
on its targets: the covariance of its hidden weights solves equations of state. Mean field solves
them for weights of any law.
"""

import matplotlib.pyplot as plt

import nc1fast as nc

X, y = nc.datasets.paper_d1(48, 4, seed=0)  # labels -1 and 1, which are the targets as well

# %%
# The noise says how much the data weigh beside the prior of the weights. Each solution comes with a
# certificate.

noises = [1e-1, 1e-2, 1e-3]
prior = {"weight_variance": 1.0, "readout_variance": 1.0, "width": 500}
before = nc.collapse(X, y, nc.NNGP("erf")).nc1
adaptive, shuffled, field = [], [], []
for noise in noises:
    solution = nc.adaptive.solve(X, y, noise=noise, **prior)
    assert solution.converged, solution.reason
    adaptive.append(nc.collapse(X, y, solution.kernel).nc1)
    control = nc.adaptive.shuffled_control(X, y, noise=noise, **prior)
    shuffled.append(control.shuffled_collapse.nc1)
    field.append(nc.adaptive.mean_field(X, y, noise=noise, **prior).collapse(y).nc1)

# %%
# With true labels NC1 falls below that of the NNGP, and the more the less noise there is. The
# control learns permuted labels, and spreads the rows of a class.

figure, (left, right) = plt.subplots(1, 2)
left.semilogx(noises, [value / before for value in adaptive], "o-", label="adaptive kernel")
left.semilogx(noises, [value / before for value in field], "s-", label="mean field")
left.set(title="true labels", ylabel="NC1 over that of the NNGP")
right.loglog(noises, [value / before for value in shuffled], "o-", label="adaptive kernel")
right.set(title="permuted labels")
for ax in (left, right):
    ax.axhline(1, color="black", ls=":", label="NNGP")
    ax.invert_xaxis()
    ax.set_xlabel("variance of the noise on the targets")
figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3)
plt.show()
