"""Photos that are stored on their side: EXIF Orientation, exactly.

GDAL returns pixels as they are stored. A window of the upright image is a window of the stored one, transposed and flipped,
so nothing is resampled.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from spurgekit.imagery.pixel_grid import PixelGrid, Window

Scalar = TypeVar("Scalar", bound=np.generic)

AS_STORED = 1

# EXIF 2.32, tag 0x0112: (transpose, then flip left to right, then flip top to bottom) makes the stored image upright.
_STEPS = {
    1: (False, False, False),
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}


def swaps_sides(orientation: int) -> bool:
    """Whether the width of the stored image is the height of the upright one."""
    return _STEPS[orientation][0]


def upright_grid(stored: PixelGrid, orientation: int) -> PixelGrid:
    """Return the grid of the upright image, over the same ground. An image without any place stays without one."""
    width, height = (stored.height, stored.width) if swaps_sides(orientation) else (stored.width, stored.height)
    if stored.crs is None and stored.transform.is_identity:
        return PixelGrid(width, height, stored.transform)
    return PixelGrid(width, height, stored.transform @ _to_stored(orientation, width, height), stored.crs)


def stored_grid(upright: PixelGrid, orientation: int) -> PixelGrid:
    """Return the grid of the stored image, of that of the upright one over the same ground."""
    width, height = (upright.height, upright.width) if swaps_sides(orientation) else (upright.width, upright.height)
    return PixelGrid(width, height, upright.transform @ ~_to_stored(orientation, upright.width, upright.height), upright.crs)


def stored_window(window: Window, orientation: int, width: int, height: int) -> Window:
    """Return where the pixels of a window of the upright image are stored.

    Parameters
    ----------
    window : Window
        Of the upright image.
    orientation : int
        EXIF code, 1 to 8.
    width, height : int
        Size of the upright image in pixels.
    """
    transpose, flip_cols, flip_rows = _STEPS[orientation]
    col = width - window.stop_col if flip_cols else window.col
    row = height - window.stop_row if flip_rows else window.row
    return Window(row, col, window.height, window.width) if transpose else Window(col, row, window.width, window.height)


def upright(pixels: NDArray[Scalar], orientation: int) -> NDArray[Scalar]:
    """Return stored pixels turned upright; rows and columns are the last two axes."""
    transpose, flip_cols, flip_rows = _STEPS[orientation]
    if transpose:
        pixels = pixels.swapaxes(-1, -2)
    return np.ascontiguousarray(pixels[..., :: -1 if flip_rows else 1, :: -1 if flip_cols else 1])


def _to_stored(orientation: int, width: int, height: int) -> Affine:
    """Return the map from (col, row) of the upright image, of this size, to (col, row) of the stored one."""
    transpose, flip_cols, flip_rows = _STEPS[orientation]
    flipped = Affine(
        -1.0 if flip_cols else 1.0,
        0.0,
        float(width) if flip_cols else 0.0,
        0.0,
        -1.0 if flip_rows else 1.0,
        float(height) if flip_rows else 0.0,
    )
    return Affine(0.0, 1.0, 0.0, 1.0, 0.0, 0.0) @ flipped if transpose else flipped
