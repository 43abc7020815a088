"""
Collapse through training
=========================

A network of three hidden layers learns to tell three digits, and NC1 of its layers is followed from epoch to epoch, beside
the kernels from which they start.
"""

import textwrap

import matplotlib.pyplot as plt

import nc1fast as nc

X, y = nc.datasets.digits("unit-interval")
X, y = X[y < 3][:300], y[y < 3][:300]

# %%
# A network knows its limiting kernels: ``network.nngp()`` has the NC1 of its last hidden layer at infinite width, and
# ``layers()`` are the kernels of all. Training keeps a table with all metrics of every layer.

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
# "post1" is the first hidden layer behind the activation. The layers start near their kernels, where depth spoils
# collapse. Training turns the order round: the deeper a layer, the more collapsed.

figure, (left, right) = plt.subplots(1, 2, width_ratios=(3, 2))
colors = ("tab:green", "tab:orange", "tab:blue")
for layer, (nc1, color) in enumerate(zip(start, colors, strict=True), 1):
    rows = (table["layer"] == f"post{layer}") & (table["epoch"] > 0)
    left.loglog(table["epoch"][rows], table["nc1"][rows], color=color, label=f"post{layer}")
    left.axhline(nc1, color=color, ls=":", label="its kernel")
left.set(title="NC1", xlabel="epoch")
left.legend()
rows = (table["layer"] == "output") & (table["epoch"] > 0)
right.loglog(table["epoch"][rows], table["loss"][rows], color="black")
right.set(title="loss", xlabel="epoch")
plt.show()
