"""
Depth
=====

What more layers do to the collapse that a kernel sees. ``layers()`` gives the kernels of all depths
up to that of a kernel, and one pass measures them all, since they share the recursion.
"""

import matplotlib.pyplot as plt

import nc1fast as nc

X, y = nc.datasets.paper_d2(400, 16, seed=0)  # four classes along one line

# %%
# Depth 2 is one hidden layer. For ReLU, ``weight_variance="he"`` keeps the length of rows from
# layer to layer.

kernels = {
    "NNGP, ReLU": nc.NNGP("relu", depth=10, weight_variance="he"),
    "NTK, ReLU": nc.NTK("relu", depth=10, weight_variance="he"),
    "NNGP, erf": nc.NNGP("erf", depth=10, weight_variance=2.0),
    "NTK, erf": nc.NTK("erf", depth=10, weight_variance=2.0),
}
curves = {name: nc.collapse(X, y, kernel.layers()) for name, kernel in kernels.items()}

# %%
# NC1, and how far the class means are from a simplex equiangular tight frame, the shape that they
# take in full collapse.

depths = range(2, 11)
figure, (left, right) = plt.subplots(1, 2)
for name, results in curves.items():
    style = "o-" if "NNGP" in name else "s--"
    left.plot(depths, [r.nc1 for r in results], style, label=name)
    right.plot(depths, [r.nc2_etf for r in results], style, label=name)
left.set(title="NC1", xlabel="depth", yscale="log")
right.set(title="distance from a simplex ETF", xlabel="depth")
figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=4)
plt.show()
