"""World files beside images: six lines that place the pixels, which GDAL passes over in silence where it cannot use them."""

from __future__ import annotations

from pathlib import Path

from affine import Affine

from spurgekit.image_names import ImageName

LINES = "the pixel's width, 0, 0, minus its height, x and y of the first pixel's centre"


def unusable_world_file(path: ImageName) -> str | None:
    """Return what is wrong with the world file beside an image that GDAL found no place for; to follow the image's name.

    Returns
    -------
    str or None
        None where there is no world file, or nothing wrong with it.
    """
    if not isinstance(path, Path) or (file := _beside(path)) is None:
        return None
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").replace(",", ".").split()
        a, d, b, e, c, f = map(float, lines[:6])
        is_right = not Affine(a, b, c, d, e, f).is_degenerate
    except (OSError, ValueError):
        is_right = False
    if is_right:
        return None
    return (
        f"is not georeferenced: its world file {file.name} does not hold six numbers that place it; write them again: {LINES}"
    )


def _beside(path: Path) -> Path | None:
    """Return the world file of an image: of the same name, with the suffixes that GDAL knows."""
    suffix = path.suffix[1:].lower()
    suffixes = (f"{suffix[:1]}{suffix[-1:]}w", f"{suffix}w", "wld")
    names = (path.with_suffix(f".{spelled}") for known in suffixes for spelled in (known, known.upper()))
    return next((file for file in names if file.is_file()), None)
