"""The parts of benchmark_strategies.py: optimizers, tasks, measurements and their tables."""
