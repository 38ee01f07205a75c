"""The command line: ``metaopt run``, ``compare``, ``watch``, ``report`` and others."""

from metaopt.cli.commands import app, main

__all__ = ["app", "main"]
