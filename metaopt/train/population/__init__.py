"""Train many multilayer perceptrons (MLPs) together with batched matrix products."""
