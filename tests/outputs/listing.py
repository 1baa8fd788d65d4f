"""What lies in folders that tests make."""

from spurgekit.outputs import CHECKSUMS, PROVENANCE

RECORDS = (CHECKSUMS, PROVENANCE)
"""What each output has beside what was asked for."""


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
