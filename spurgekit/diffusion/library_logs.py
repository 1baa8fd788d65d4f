"""What diffusers, transformers and peft say of their own accord, kept off the terminal."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Neither log lines below an error, nor warnings, nor bars while checkpoints load and schedulers are made.

    What matters of it is checked where it happens and raised as an error. All is as before after the block. Levels and filters
    are the process's own, so it is not for threads.
    """
    from diffusers.utils import logging as diffusers
    from transformers.utils import logging as transformers

    libraries = (diffusers, transformers)
    before = [(library.get_verbosity(), library.is_progress_bar_enabled()) for library in libraries]
    for library in libraries:
        library.set_verbosity_error()
        library.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for library, (level, had_bars) in zip(libraries, before, strict=True):
            library.set_verbosity(level)
            if had_bars:
                library.enable_progress_bar()
