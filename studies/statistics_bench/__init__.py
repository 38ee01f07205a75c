"""The parts of benchmark_statistics.py: how often intervals cover the true value."""
