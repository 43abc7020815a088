"""The collapse of the layers of any torch module, batch by batch.

streamed     `probe`: one pass over the batches, or two; settings: checked
batches      arrays, data sets, loaders and iterables as batches of inputs and classes
modules      modules and their inputs; what a pass leaves as it was
layers       names of layers, and the hooks that hand on what they return
outputs      tensors within what a layer returns, and the features they are pooled to
measurement  the passes; moments: the first, sums of every class
rows         the second, about the class means; search: products in float32 with a bound
result       `LayerCollapse`
"""

from __future__ import annotations
