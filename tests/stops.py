"""What ends work in the middle: progress, and a kill."""

from __future__ import annotations

import time
from collections.abc import Callable

from spurgekit.executors.processes import worker_context


def killed_when(condition: Callable[[], bool], work: Callable[..., object], *arguments: object) -> None:
    """Do work in another process, and kill that as soon as a condition holds, unless it is done sooner."""
    process = worker_context().Process(target=work, args=arguments)
    process.start()
    while process.is_alive() and not condition():
        time.sleep(0.002)
    process.kill()
    process.join()


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
