"""Data: arrays, data sets and loaders in; splits and batches out."""
