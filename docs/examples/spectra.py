"""
Spectra
=======

Eigenvalues of kernels on data, and how well kernels align with the labels, without storing a Gram
matrix.
"""

import matplotlib.pyplot as plt

import nc1fast as nc

X, y = nc.datasets.digits("unit-norm")
X = X[:800] * X.shape[1] ** 0.5  # rows of one length: k(x, x) is the same for all of them
y = y[:800]

kernels = {
    "linear": nc.Linear(),
    "NNGP, ReLU": nc.NNGP("relu", weight_variance=2.0),
    "NTK, ReLU": nc.NTK("relu", weight_variance=2.0),
    "NTK, ReLU, depth 5": nc.NTK("relu", depth=5, weight_variance=2.0),
}

# %%
# The 40 largest eigenvalues, relative to the trace. The residual of each is its certificate.

spectra = {name: nc.spectrum(X, kernel, k=40) for name, kernel in kernels.items()}
for name, spectrum in spectra.items():
    print(f"{name:20} largest residual {spectrum.residuals.max():.1e}")

# %%
# Alignment is the cosine between the Gram matrix and that of the labels; centring both first
# removes what all rows have in common.

found = nc.alignment(X, y, list(kernels.values()))

figure, (left, right) = plt.subplots(1, 2, width_ratios=(3, 2))
for name, spectrum in spectra.items():
    left.loglog(range(1, 41), spectrum.eigenvalues / spectrum.trace, label=name)
left.set(title="eigenvalues over the trace", xlabel="number of the eigenvalue")
left.legend()
right.barh(list(kernels), found.centred_target)
right.invert_yaxis()
right.set(title="centred alignment")
plt.show()
