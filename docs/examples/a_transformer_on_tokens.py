"""
A transformer on tokens
=======================

Two layers of a transformer learn to tell tokens that have occurred before in their sequence. Every
token is a row, and the classes are unequal: of four tokens one has occurred.
"""

import matplotlib.pyplot as plt
import torch
from torch import nn

import nc1fast as nc

torch.manual_seed(0)
torch.set_num_threads(1)

# %%
# Sequences of twelve tokens, and for each token whether it is among those before it. A causal mask
# keeps what follows out of sight.


class Transformer(nn.Module):
    def __init__(self, n_tokens=20, width=32):
        super().__init__()
        self.embedding = nn.Embedding(n_tokens, width)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 4, 64, dropout=0.0, batch_first=True)
            for _ in range(2)
        )
        self.head = nn.Linear(width, 2)

    def forward(self, ids):
        x = self.embedding(ids)
        mask = nn.Transformer.generate_square_subsequent_mask(ids.shape[1])
        for layer in self.layers:
            x = layer(x, src_mask=mask, is_causal=True)
        return self.head(x)


ids = torch.randint(0, 20, (200, 12))
before = [(ids[:, :t] == ids[:, t : t + 1]).any(dim=1) for t in range(12)]
occurred = torch.stack(before, dim=1).long()
print(f"{occurred.float().mean():.0%} of the tokens have occurred before")

# %%
# ``pool="tokens"`` makes a row of each token, of its own label; those of label -100 would be left
# out. The embedding cannot know what came before, and its classes coincide.

network = Transformer()


def measure():
    return nc.networks.probe(
        network,
        ids,
        occurred,
        layers=["embedding", "layers.0", "layers.1"],
        pool="tokens",
        classifier="head",
        convention="class",
    )


course = {"untrained": measure()}
optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
for step in range(1, 121):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(network(ids).flatten(0, 1), occurred.flatten())
    loss.backward()
    optimizer.step()
    if step in (40, 120):
        course[f"step {step}"] = measure()

nc.networks.plot_layers(course, ["nc1", "ncc_accuracy"])
plt.show()

# %%
# With unequal classes NC1 depends on how they are weighted, so that a number without its convention
# says little; and the rare class is the less collapsed one.

last = course["step 120"]["head.input"]
for convention in ("papyan", "probe", "class", "sample"):
    print(f"{convention:<8}{last.under(convention).nc1:.2f}")
for label, size, nc1 in zip(("new", "occurred"), last.sizes, last.nc1_by_class, strict=True):
    print(f"{label:<10}{size:5} tokens, NC1 {nc1:.2f}")
