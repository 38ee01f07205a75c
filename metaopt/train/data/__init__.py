"""Data of training: reads arrays, Datasets and DataLoaders; makes splits and batches."""
