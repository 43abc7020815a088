"""Micro benchmarks: one for each stage of a call, by pytest-benchmark; `make bench-micro`."""
