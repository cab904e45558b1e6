"""Measurements, one module per question; `python -m benchmarks [NAME...]` runs them and writes the page."""
