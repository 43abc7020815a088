"""Tools that every room may use, and that know nothing of kernels.

arguments   numbers, counts, flags and names as callers give them
arithmetic  NumPy's floating-point defaults inside public functions
extras      optional dependencies
progress    bars and callables
threads     ordered maps over threads
warnings    warnings that point at the caller
reading     errors of files, on one line
files       files written whole or not at all, their changes and checksums
journal     what is finished of long work, in one SQLite file
npy         NumPy's formats, read with suspicion
packed      the binary format of this package
nested      nested values with arrays in them
"""

from __future__ import annotations
