"""Many perceptrons trained as one program of batched matrix products."""
