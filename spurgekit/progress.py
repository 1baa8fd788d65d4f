"""Progress as a value that library functions are given: silent by default, a bar on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from spurgekit.text import printable


class Progress(Protocol):
    """Opens one stretch of work: ``with progress("cutting tiles", total) as advance: advance(1)``."""

    def __call__(self, description: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        """Return a context whose value is called with the number of units just done."""
        ...


@contextmanager
def silent(description: str, total: int) -> Iterator[Callable[[int], None]]:  # noqa: ARG001
    """Show nothing."""
    yield lambda _: None


@contextmanager
def bar(description: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar with the rate and the time left on standard error; it goes away when the work is done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress
    from rich.text import Text

    class Rate(ProgressColumn):
        """Units a second."""

        def render(self, task: Task) -> Text:
            return Text("" if task.speed is None else f"{task.speed:.3g}/s")

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda count: None  # noqa: ARG005
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    with RichProgress(*columns, console=console, transient=True) as rich:
        task = rich.add_task(printable(description), total=total)
        yield lambda count: rich.advance(task, count)
