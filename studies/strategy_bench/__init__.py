"""The parts of benchmark_strategies.py: peers, problems, measurements and their tables."""
