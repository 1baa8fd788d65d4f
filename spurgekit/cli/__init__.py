"""The command line: one file for each command."""

__all__: list[str] = []  # what is here is for the command line alone
