"""``python -m metaopt.cli`` is the same as the command ``metaopt``."""

from metaopt.cli.commands import main

main()
