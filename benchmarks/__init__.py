"""Benchmarks: this SDK and every installed peer, side by side, against load generators of their own.

Run ``python -m benchmarks --help``. What is measured is the public API; ``docs/performance.md`` explains method and
results.
"""
