"""How an image is opened again by workers, so that a unit of work names it and its windows rather than hold pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spurgekit.errors import InputError
from spurgekit.executors.kept import opened_by_thread
from spurgekit.image_names import GdalName, ImageName, local_file

if TYPE_CHECKING:
    from spurgekit.imagery.raster import Raster


@dataclass(frozen=True, slots=True)
class ImageSource:
    """An image by its name, as it was asked to be read.

    Attributes
    ----------
    path : pathlib.Path or GdalName
        Absolute: workers have other working folders.
    asked : tuple
        What :func:`spurgekit.imagery.open_raster` was asked for, by name.
    state : tuple of int, optional
        When the file was changed, and its size: another file of that name is opened anew. None of what is elsewhere.
    """

    path: ImageName
    asked: tuple[tuple[str, Any], ...]
    state: tuple[int, int] | None

    @classmethod
    def of(cls, path: ImageName, asked: Mapping[str, Any]) -> ImageSource:
        """Return how to open an image that is open now."""
        file = local_file(path)
        stat = None if file is None else file.stat()
        named = path if isinstance(path, GdalName) else path.absolute()
        return cls(named, tuple(asked.items()), None if stat is None else (stat.st_mtime_ns, stat.st_size))

    def opened(self) -> Raster:
        """Return the image as this thread has it open, on one thread.

        Raises
        ------
        ImageryError
            If it cannot be opened here.
        """
        from spurgekit.imagery.raster import open_raster

        return opened_by_thread(self, lambda: open_raster(self.path, **dict(self.asked)))

    def check(self) -> None:
        """Refuse a name that means nothing in other working folders.

        Raises
        ------
        InputError
            If it is one.
        """
        if isinstance(self.path, GdalName) and (file := self.path.file) is not None and not file.is_absolute():
            raise InputError(f"{self.path}: workers look for files by their whole names; pass {file.absolute()} in it")
