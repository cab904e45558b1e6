"""Benchmarks of the portal."""
