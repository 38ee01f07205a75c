"""What a training can be told: hyper-parameters, early stopping, metrics, networks."""
