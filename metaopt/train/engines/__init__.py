"""Engines train one network or a group of them for one epoch after the other."""
