"""Search a whole image for markers, piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from spurgekit.errors import InputError
from spurgekit.imagery import PixelGrid, Raster, Window
from spurgekit.imagery.doubts import SAME_SIDE
from spurgekit.imagery.quicklook import Watcher
from spurgekit.imagery.stretch import BYTES, Stretch, rgb_bands
from spurgekit.markers.families import FAMILIES
from spurgekit.markers.marker import Marker, MarkerDetector
from spurgekit.markers.target_detector import APART, strongest
from spurgekit.parallel import cores, stream_map
from spurgekit.progress import Progress, silent

LEAST_PX = 8.0
"""Side of a marker in the image below which it cannot be told from a stone."""

PIECE_PX = 1024
"""Rows of a piece, without what it shares with its neighbours; its columns are twice as many."""

STRIP_PIECES = 4
"""Pieces that are read at once, where the image is stored in blocks."""

OTHER_SIZES = 1 / 3, 1 / 2, 2 / 3, 3 / 2, 2.0, 3.0
"""Sizes that are tried, in units of the one that was looked for in vain."""

SURE, FEWEST = 0.8, 3
"""Score and number of the markers of another size that are worth a hint."""

SAMPLES = 5
"""Places along each side of an image that are sampled for the stretch of types other than uint8."""


@dataclass(frozen=True, slots=True)
class _Piece:
    window: Window
    core: Window
    pixels: NDArray[np.generic]
    valid: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Stored:
    """How pixels lie on the ground, where that is not as detectors want them: square, and as seen from above."""

    gsd_m: float
    stretch: tuple[float, float]
    is_mirrored: bool

    @classmethod
    def of(cls, grid: PixelGrid) -> _Stored:
        across, down = (side / grid.gsd_m for side in grid.pixel_size_m)
        is_square = max(across, down) <= (1 + SAME_SIDE) * min(across, down)
        # Codes of mirrored images could be read from below the ground only.
        return cls(grid.gsd_m, (1.0, 1.0) if is_square else (across, down), grid.transform.determinant > 0)

    def find(self, detector: MarkerDetector, rgb: NDArray[np.uint8], valid: NDArray[np.bool_]) -> list[Marker]:
        """Return the markers of a piece, in its own pixels."""
        if self.is_mirrored:
            rgb, valid = np.ascontiguousarray(rgb[::-1]), np.ascontiguousarray(valid[::-1])
        rows, columns = valid.shape
        size = columns, rows
        if self.stretch != (1.0, 1.0):
            size = max(1, round(columns * self.stretch[0])), max(1, round(rows * self.stretch[1]))
            rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_LINEAR), np.uint8)
            valid = cv2.resize(valid.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        found = (
            replace(m, col=m.col * columns / size[0], row=m.row * rows / size[1]) for m in detector(rgb, valid, self.gsd_m)
        )
        return [replace(m, row=rows - m.row) for m in found] if self.is_mirrored else list(found)


def find_markers(
    raster: Raster,
    detector: MarkerDetector,
    *,
    watch: Watcher | None = None,
    executor: Executor | None = None,
    progress: Progress = silent,
) -> list[Marker]:
    """Return the markers in an image, from the top to the bottom.

    Pieces overlap by twice a marker's size, so that each marker lies whole in one of them, and their size does not depend on
    the image's: a marker is found or not whatever the image around it.

    Parameters
    ----------
    raster : Raster
        Read in the calling thread only.
    detector : MarkerDetector
    watch : callable, optional
        Is shown every strip that is read; strips overlap a little.
    executor : concurrent.futures.Executor, optional
        Runs the detector. Default: a thread for each core.

    Returns
    -------
    list of Marker
        In pixel coordinates of ``raster.grid``.

    Raises
    ------
    InputError
        If the markers would be smaller than 8 pixels.
    """
    gsd_m = raster.gsd_m
    size_px = detector.size_m / gsd_m
    if size_px < LEAST_PX:
        raise InputError(
            f"{raster.path}: at {100 * gsd_m:.2f} cm a pixel, markers of {detector.size_m:g} m are {size_px:.1f} px across, "
            f"fewer than the {LEAST_PX:.0f} that it takes to know one; fly lower, use larger ones, or pass corners with `file`"
        )
    stretch = _stretch(raster)
    stored = _Stored.of(raster.grid)

    def work(piece: _Piece) -> list[Marker]:
        if not piece.valid.any():
            return []
        bands = stretch(rgb_bands(piece.pixels))
        rgb = np.asarray(cv2.merge([np.ascontiguousarray(band) for band in bands]), np.uint8)
        found = stored.find(detector, rgb, piece.valid)
        moved = (replace(m, col=m.col + piece.window.col, row=m.row + piece.window.row) for m in found)
        core = piece.core
        return [m for m in moved if core.col <= m.col < core.stop_col and core.row <= m.row < core.stop_row]

    own = ThreadPoolExecutor(cores()) if executor is None else None
    markers: list[Marker] = []
    try:
        with progress(f"looking for markers in {raster.path.name}", raster.grid.width * raster.grid.height) as advance:
            pieces = _pieces(raster, int(np.ceil(2 * size_px)), watch, advance)
            for found in stream_map(executor or own, work, pieces, in_flight=2 * cores()):  # type: ignore[arg-type]
                markers += found
    finally:
        if own is not None:
            own.shutdown(cancel_futures=True)
    kept = strongest(markers, APART * size_px)  # one on the line between two pieces may have been found in both
    return sorted(kept, key=lambda m: (m.row, m.col))


def size_hint(raster: Raster, family: str, size_m: float, color: Sequence[int] | None = None) -> str:
    """Return what to say where no markers of a size were found: that there are some of another size, or nothing.

    It searches the image at several sizes, so it is for failures only.
    """
    other = _other_size(raster, lambda size: FAMILIES[family].detector(size, color=color), size_m)
    if other is None:
        return ""
    return f"; {other[1]} of family {family} are about {other[0]:.2f} m across: pass `marker_size_m={other[0]:.2g}`"


def _other_size(raster: Raster, detector_of: Callable[[float], MarkerDetector], size_m: float) -> tuple[float, int] | None:
    """Return the size at which an image shows the most markers, and how many, where they are not of the size looked for."""
    best: tuple[float, int] | None = None
    for ratio in OTHER_SIZES:
        if ratio * size_m / raster.gsd_m < LEAST_PX:
            continue
        markers = [m for m in find_markers(raster, detector_of(ratio * size_m)) if m.score >= SURE]
        if len(markers) >= FEWEST and (best is None or len(markers) > best[1]):
            best = float(np.median([m.size_m for m in markers])), len(markers)
    return best


def _pieces(raster: Raster, margin: int, watch: Watcher | None, advance: Callable[[int], None]) -> Iterator[_Piece]:
    """Yield the pieces of an image with their margins, read some at a time."""
    image = raster.grid.window
    # Rows that are stored whole are decoded whole, so that parts of them would be decoded again and again.
    across = STRIP_PIECES * 2 * PIECE_PX if raster.block_shape[1] < image.width else image.width
    for row in range(0, image.height, PIECE_PX):
        for first in range(0, image.width, across):
            core = Window(first, row, min(across, image.width - first), min(PIECE_PX, image.height - row))
            strip = _padded(core, margin, image)
            pixels, valid = raster.read(strip)
            if watch is not None:
                watch(strip, pixels, valid)
            for col in range(first, core.stop_col, 2 * PIECE_PX):
                own = Window(col, row, min(2 * PIECE_PX, core.stop_col - col), core.height)
                window = _padded(own, margin, image)
                at = window.shifted(-strip.col, -strip.row).slices
                # Copies, so that pieces that wait do not keep their whole strip in memory.
                yield _Piece(window, own, pixels[(slice(None), *at)].copy(), valid[at].copy())
                advance(own.width * own.height)
            del pixels, valid  # before the next strip is read


def _padded(window: Window, margin: int, image: Window) -> Window:
    """Return a window with a margin around it, as far as the image reaches."""
    padded = Window(window.col - margin, window.row - margin, window.width + 2 * margin, window.height + 2 * margin) & image
    assert padded is not None  # the window itself lies in the image
    return padded


def _stretch(raster: Raster) -> Stretch:
    """Return the stretch of an image: none for bytes, else from the 0.5th to the 99.5th percentile of samples of it."""
    if raster.dtype == np.uint8:
        return BYTES
    side = min(256, raster.grid.width, raster.grid.height)
    seen = []
    for row in np.linspace(0, raster.grid.height - side, SAMPLES, dtype=int):
        for col in np.linspace(0, raster.grid.width - side, SAMPLES, dtype=int):
            pixels, valid = raster.read(Window(int(col), int(row), side, side))
            seen.append(pixels[:3, valid].astype(np.float32))
    return Stretch.of(np.concatenate(seen, axis=1), (0.5, 99.5))
