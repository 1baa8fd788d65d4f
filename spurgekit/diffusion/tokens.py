"""Tokens: what stands for a concept in a prompt."""

from __future__ import annotations

import re

TOKEN = re.compile(r"<[^<>\s]+>")


def token_of(name: str) -> str:
    """Return the token of a class.

    >>> token_of("leafy spurge")
    '<leafy_spurge>'
    """
    word = re.sub(r"\W+", "_", name.strip().lower()).strip("_")
    if not word:
        raise ValueError(f"{name!r} has no letters to make a token of")
    return f"<{word}>"
