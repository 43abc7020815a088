"""
Collapse through training
=========================

A network of three hidden layers learns to tell three digits, and NC1 of its layers is followed from
epoch to epoch, beside the kernels from which they start.
"""

import textwrap

import matplotlib.pyplot as plt

import nc1fast as nc

X, y = nc.datasets.digits("unit-interval")
X, y = X[y < 3][:300], y[y < 3][:300]

# %%
# A network knows its limiting kernels: ``network.nngp()`` has the NC1 of its last hidden layer at
# infinite width, and ``layers()`` are the kernels of all. Training keeps a table with all metrics
# of every layer.

network = nc.networks.ShallowNetwork("relu", 64, width=256, depth=4, n_outputs=3, seed=0)
kernels = network.nngp().layers()
start = [result.nc1 for result in nc.collapse(X, y, kernels, convention="papyan")]

trace = nc.networks.train(
    network,
    X,
    y,
    targets="one-hot",
    optimizer="adam",
    lr=1e-3,
    weight_decay=1e-4,
    epochs=500,
    convention="papyan",
)
table = trace.table
print(textwrap.fill(", ".join(sorted(table)), 90))

# %%
# "post1" is the first hidden layer behind the activation. The layers start near their kernels,
# where depth spoils collapse (dotted). Training turns the order round: the deeper a layer, the more
# collapsed.

figure = nc.networks.plot_training(trace, ["nc1", "loss"], ["post1", "post2", "post3"])
for line, nc1 in zip(list(figure.axes[0].lines), start, strict=True):
    figure.axes[0].axhline(nc1, color=line.get_color(), ls=":")  # its kernel
plt.show()
