"""Random numbers, checkpoints, devices, threads and the cost of training."""
