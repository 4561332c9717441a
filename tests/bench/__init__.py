"""Benchmarks: ours beside peers in one run, results compared before time counts. `make bench`."""
