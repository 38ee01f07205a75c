"""What every other subpackage may use: errors, seeds, progress bars and the version."""
