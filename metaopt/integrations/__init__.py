"""Ways to other tools; each needs its extra and says so: `tensorboard`, `mlflow`."""
