"""Measurements of what the design promises; `python -m benchmarks.NAME` runs one."""
