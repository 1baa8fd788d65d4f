"""Textual inversion: words that stand for what a few pictures have in common (Gal et al. 2022)."""
