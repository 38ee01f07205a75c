"""Random numbers, checkpoints, and what a training uses of the machine."""
