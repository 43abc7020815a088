"""The collapse of the layers of any torch module, batch by batch.

streamed   `probe`: one pass over the batches, or two
settings   everything that it is told, checked
batches    arrays, data sets, loaders and iterables as batches of inputs and classes
layers     names of layers, and the hooks that hear them; outputs: tensors within what they return
pooling    features of one tensor, a row for each label
moments    the first pass: sums of every class
rows       the second, about the class means; search: products in float32 with a bound; decisions:
    outputs of a linear layer
keeping    module, hooks and random numbers as they were
result     what comes back
"""

from __future__ import annotations
