"""What a study measures: kernels, networks, adaptive kernels, theory, and the series that figures need."""

from __future__ import annotations
