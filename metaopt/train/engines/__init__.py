"""Engines: train one network, or a batch of networks together, epoch by epoch."""
