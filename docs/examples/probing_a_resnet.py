"""
Probing a ResNet
================

``probe`` measures the collapse of the layers of any torch module: here of a small residual network
before and after it has learned to tell digits.
"""

import matplotlib.pyplot as plt
import torch
from torch import nn

import nc1fast as nc

torch.manual_seed(0)
torch.set_num_threads(1)

# %%
# Three residual blocks of 3 x 3 convolutions over 8 x 8 images, and a linear classifier of the mean
# over pixels.


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x):
        return torch.relu(x + self.inner(x))


class ResNet(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, padding=1)
        self.block1, self.block2, self.block3 = Block(width), Block(width), Block(width)
        self.classifier = nn.Linear(width, 10)

    def forward(self, x):
        x = self.block3(self.block2(self.block1(torch.relu(self.stem(x)))))
        return self.classifier(x.mean(dim=(2, 3)))


pixels, y = nc.datasets.digits("unit-interval")
X = torch.tensor(pixels.reshape(-1, 1, 8, 8), dtype=torch.float32)[:600]
y = torch.tensor(y[:600])

# %%
# Layers are named as in the module; probing is in evaluation mode. Of every digit there are 57 to
# 63 images, so that the convention is named. An untrained network first, then twelve epochs of
# Adam.

layers = ["stem", "block1", "block2", "block3", "classifier"]
network = ResNet()


def measure():
    return nc.networks.probe(network, X, y, layers, convention="papyan")


course = {"untrained": measure()}
optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
for epoch in range(1, 13):
    network.train()
    for batch in torch.randperm(600).split(100):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(X[batch]), y[batch]).backward()
        optimizer.step()
    if epoch in (1, 3, 12):
        course[f"epoch {epoch}"] = measure()

# %%
# Training collapses the deep layers, and the deeper the more: there the nearest class mean is that
# of the digit.

nc.networks.plot_layers(course, ["nc1", "ncc_accuracy"])
plt.show()
