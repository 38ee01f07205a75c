"""``python -m metaopt.cli`` does what the command ``metaopt`` does."""

from metaopt.cli.commands import main

main()
