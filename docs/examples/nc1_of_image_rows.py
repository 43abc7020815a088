"""
NC1 of image rows
=================

How collapsed are small images of handwritten digits, as pixels and in the features of infinitely
wide networks?
"""

import matplotlib.pyplot as plt

import nc1fast as nc

# %%
# The data are the 1,797 digits that scikit-learn ships: 8 x 8 pixels, ten classes. Each image is a
# row of X.

X, y = nc.datasets.digits("unit-interval")
X.shape, len(set(y))

# %%
# ``collapse`` without a kernel takes the rows as features. With a list of kernels it measures all
# of them in one pass.

kernels = {
    "NNGP, ReLU": nc.NNGP("relu", depth=3),
    "NTK, ReLU": nc.NTK("relu", depth=3),
    "NNGP, erf": nc.NNGP("erf", depth=3),
    "NTK, erf": nc.NTK("erf", depth=3),
}
results = {"pixels": nc.collapse(X, y)}
results |= dict(zip(kernels, nc.collapse(X, y, list(kernels.values())), strict=True))

for name, result in results.items():
    print(
        f"{name:12} NC1 {result.nc1:.3f} +- {result.error_bound:.0e}, NCC {result.ncc_accuracy:.3f}"
    )

# %%
# NC1 is the spread within classes over the spread between their means; lower is more collapsed. A
# result also has it for each class: eights look like the mean of all digits, so that little of
# their length tells them apart.

figure, (left, right) = plt.subplots(1, 2, width_ratios=(2, 3))
left.barh(list(results), [r.nc1 for r in results.values()], color="tab:blue")
left.invert_yaxis()
left.set(title="NC1 of all classes", xlabel="NC1")
for name in ("pixels", "NTK, ReLU"):
    right.plot(results[name].labels, results[name].nc1_by_class, "o-", label=name)
right.set(title="NC1 by class", xlabel="digit", xticks=range(10))
right.legend()
plt.show()
