"""``python -m spurgekit``."""

from spurgekit.cli.main import main

main()
