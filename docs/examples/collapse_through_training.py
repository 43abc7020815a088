"""
Collapse through training
=========================

A network of one hidden layer is trained, and NC1 of its layers followed from epoch to epoch, beside the kernel from which
it starts.
"""

import matplotlib.pyplot as plt

import nc1fast as nc

X, y = nc.datasets.paper_d1(64, 16, seed=0)

# %%
# A network knows its limiting kernels: ``network.nngp()`` is that of infinite width. Training keeps a table of all
# metrics of every layer, here of three networks with different weights.

network = nc.networks.ShallowNetwork("erf", 16, width=100, seed=0)
start = nc.collapse(X, y, network.nngp()).nc1
trace = nc.networks.train(network, X, y, lr=0.01, epochs=1000, repeats=3, seed=0)
table = trace.table
sorted(table)[:8], trace.endings

# %%
# "pre1" is the hidden layer before the activation, "post1" behind it. The three networks start near the kernel.

figure, (left, right) = plt.subplots(1, 2)
for layer, color in (("pre1", "tab:orange"), ("post1", "tab:blue")):
    for repeat in range(3):
        rows = (table["layer"] == layer) & (table["repeat"] == repeat) & (table["epoch"] > 0)
        label = layer if repeat == 0 else None
        left.loglog(table["epoch"][rows], table["nc1"][rows], color=color, label=label)
left.axhline(start, color="black", ls=":", label="NNGP")
left.set(title="NC1", xlabel="epoch")
left.legend()
for repeat in range(3):
    rows = (table["layer"] == "post1") & (table["repeat"] == repeat) & (table["epoch"] > 0)
    right.loglog(table["epoch"][rows], table["loss"][rows], color="tab:green")
right.set(title="loss", xlabel="epoch")
plt.show()
