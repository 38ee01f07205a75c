"""Shared by all subpackages: errors, seeds, types, progress bars and the version."""
