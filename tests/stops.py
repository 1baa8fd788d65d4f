"""Progress that ends the work in the middle, as a kill would."""

from __future__ import annotations


class StopAfter:
    """Progress of any work, that ends it once so many units are done."""

    def __init__(self, units, error=KeyboardInterrupt):
        self.left, self.error = units, error

    def __call__(self, *_):
        return self

    def __enter__(self):
        return self.advance

    def __exit__(self, *_):
        pass

    def advance(self, count):
        self.left -= count
        if self.left <= 0:
            raise self.error
