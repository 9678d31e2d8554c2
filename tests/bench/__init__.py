"""Benchmarks beside the physical limit of the same machine: `make bench`, all figures from one run."""
