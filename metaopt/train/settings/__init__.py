"""Settings of a training run: hyper-parameters, early stopping, metrics, networks."""
