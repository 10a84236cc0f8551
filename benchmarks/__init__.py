"""Ratios against peers in one run; results go to docs/performance.md by `make bench`."""
