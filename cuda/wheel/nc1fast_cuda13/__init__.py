"""Tiles of nc1fast on CUDA devices: what `nc1fast.cuda` finds, and nothing to import oneself."""
