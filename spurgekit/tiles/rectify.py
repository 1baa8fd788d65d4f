"""Squares of ground out of an image in which they lie aslant: one resampling, from the image's own pixels to a tile's.

A plot's four corners fix the homography between the ideal square and the image, which is exact for a plane seen through a
lens without distortion, and for the similarity between a plot and an orthomosaic; small errors of the corners are taken up
by it. Every pixel of a tile is then one weighted mean of pixels of the image, and nothing in between is ever rounded.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spurgekit.imagery import Window

Homography = NDArray[np.float64]
"""A 3 x 3 matrix between continuous coordinates of two planes."""

MARGIN_PX = 2
"""What the widest kernel reaches beyond the place that it is centred on."""

SAME_SCALE = 0.1
"""A tile's pixels may be this much larger than the image's before the ground is averaged over them."""

LEAST_WEIGHT = 0.5
"""A pixel that draws less of its weight than this from valid pixels is not valid."""


def homography_of_square(corners: ArrayLike, side: float = 1.0) -> Homography:
    """Return the homography from a square to a quadrilateral.

    Parameters
    ----------
    corners : array_like, shape (4, 2)
        Where (0, 0), (side, 0), (side, side) and (0, side) come to lie: upper left, upper right, lower right, lower left.
    side : float
        Side of the square.

    Returns
    -------
    ndarray of float64, shape (3, 3)

    Raises
    ------
    ValueError
        If the four do not make a convex quadrilateral, which no view of a square is.

    Notes
    -----
    In closed form: P. Heckbert, "Fundamentals of Texture Mapping and Image Warping" (1989), section 2.2.3.

    Examples
    --------
    >>> apply_homography(homography_of_square([(10, 10), (30, 10), (30, 30), (10, 30)]), 0.5, 0.25)
    (np.float64(20.0), np.float64(15.0))
    """
    quad = np.asarray(corners, dtype=np.float64)
    if not is_convex(quad):
        raise ValueError(f"{quad.tolist()} is no convex quadrilateral")
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = quad
    dx1, dx2, sx = x1 - x2, x3 - x2, x0 - x1 + x2 - x3
    dy1, dy2, sy = y1 - y2, y3 - y2, y0 - y1 + y2 - y3
    area = dx1 * dy2 - dx2 * dy1
    g, h = (sx * dy2 - dx2 * sy) / area, (dx1 * sy - sx * dy1) / area
    unit = np.array([[x1 - x0 + g * x1, x3 - x0 + h * x3, x0], [y1 - y0 + g * y1, y3 - y0 + h * y3, y0], [g, h, 1.0]])
    return np.asarray(unit @ np.diag([1 / side, 1 / side, 1.0]))


def is_convex(corners: ArrayLike) -> bool:
    """Whether four points, in their order, make a convex quadrilateral of positive area."""
    quad = np.asarray(corners, dtype=np.float64)
    sides = np.roll(quad, -1, axis=0) - quad
    following = np.roll(sides, -1, axis=0)
    turns = sides[:, 0] * following[:, 1] - sides[:, 1] * following[:, 0]
    least = 1e-9 * np.abs(sides).max() ** 2  # three points in a line, up to rounding, turn nowhere
    return bool((turns > least).all() or (turns < -least).all())


def apply_homography(matrix: Homography, x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where a homography takes points (scalars or arrays of one shape)."""
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    scale = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2]
    along = (matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]) / scale
    return along, (matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]) / scale


def source_window(to_image: Homography, size_px: int) -> Window:
    """Return the pixels of the image that :func:`rectify` needs for a tile; they may reach outside it.

    Parameters
    ----------
    to_image : ndarray, shape (3, 3)
        From the tile's continuous pixel coordinates to the image's.
    size_px : int
        Side of the tile.
    """
    cols, rows = apply_homography(to_image, [0, size_px, size_px, 0], [0, 0, size_px, size_px])
    col, row = math.floor(cols.min()) - MARGIN_PX, math.floor(rows.min()) - MARGIN_PX
    return Window(col, row, math.ceil(cols.max()) + MARGIN_PX - col, math.ceil(rows.max()) + MARGIN_PX - row)


def rectify(
    pixels: NDArray[np.generic], valid: NDArray[np.bool_], window: Window, to_image: Homography, size_px: int
) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    """Resample a piece of an image to a square tile.

    Where the tile's pixels are about the image's size or smaller, the image is interpolated at their centres by Keys' cubic
    convolution (a = -1/2), which passes through the image's own values and keeps ramps. Where they are larger, the image is
    averaged over each of them: at k x k places, no farther apart than the image's pixels, it is interpolated linearly, and
    their plain mean is the pixel. Interpolation and mean are both sums with fixed weights, so together they are one: the
    image's pixels weighted by how much of the tile's pixel each accounts for. A tile whose pixels hold just k x k of the
    image's gets their mean, and one whose pixels are the image's gets them as they are.

    Parameters
    ----------
    pixels : ndarray, shape (bands, height, width)
        The window's pixels: uint8, uint16 or float32, 0 where not valid.
    valid : ndarray of bool, shape (height, width)
    window : Window
        Where they lie in the image; see :func:`source_window`.
    to_image : ndarray, shape (3, 3)
        From the tile's continuous pixel coordinates to the image's.
    size_px : int
        Side of the tile.

    Returns
    -------
    pixels : ndarray, shape (bands, size_px, size_px)
        Of the same type; 0 where not valid.
    valid : ndarray of bool, shape (size_px, size_px)
        Where at least half of the weight came from valid pixels; they alone make the value.

    Notes
    -----
    R. G. Keys, "Cubic Convolution Interpolation for Digital Image Processing", IEEE Trans. ASSP 29(6), 1981.
    """
    parts = max(1, math.ceil(largest_scale(to_image, size_px) - SAME_SCALE))
    weigh = _linear_weights if parts > 1 else _cubic_weights
    # Validity goes along as one more band: what it comes to is the weight that the others have.
    stack = np.concatenate([pixels, valid[None]]).astype(np.float32)
    stack = np.ascontiguousarray(np.moveaxis(stack, 0, -1)).reshape(-1, len(stack))
    total = np.zeros((size_px * size_px, stack.shape[1]), np.float32)
    first = np.arange(size_px, dtype=np.float64)
    for down in range(parts):
        for across in range(parts):
            y, x = np.meshgrid(first + (down + 0.5) / parts, first + (across + 0.5) / parts, indexing="ij")
            cols, rows = apply_homography(to_image, x.ravel(), y.ravel())
            _add_samples(total, stack, valid.shape, cols - window.col, rows - window.row, weigh)
    total /= parts * parts
    weight = total[:, -1]
    seen = weight >= LEAST_WEIGHT
    values = np.divide(total[:, :-1], weight[:, None], out=np.zeros_like(total[:, :-1]), where=seen[:, None])
    values = np.moveaxis(values.reshape(size_px, size_px, -1), -1, 0)
    return _as_type(values, pixels.dtype), seen.reshape(size_px, size_px)


def largest_scale(to_image: Homography, size_px: int) -> float:
    """Return the most pixels of the image that one step of a tile's pixel spans, in any direction and at any corner."""
    x, y = np.array([0.0, size_px, size_px, 0.0]), np.array([0.0, 0.0, size_px, size_px])
    scale = to_image[2, 0] * x + to_image[2, 1] * y + to_image[2, 2]
    place = np.stack(apply_homography(to_image, x, y))
    # Of (a x + b y + c) / (g x + h y + 1) the derivatives are (a - place * g) / (g x + h y + 1) and likewise for b and h.
    jacobian = (to_image[:2, :2, None] - place[:, None, :] * to_image[2, :2][None, :, None]) / scale
    return float(np.linalg.norm(np.moveaxis(jacobian, -1, 0), 2, axis=(1, 2)).max())


Weigh = Callable[[NDArray[np.float64]], tuple[int, NDArray[np.float64]]]
"""Takes offsets from 0 to 1 between two pixels' centres; returns the first pixel's place and the weights [taps, n]."""


def _linear_weights(t: NDArray[np.float64]) -> tuple[int, NDArray[np.float64]]:
    return 0, np.stack([1 - t, t])


def _cubic_weights(t: NDArray[np.float64]) -> tuple[int, NDArray[np.float64]]:
    near, far = t * t, t * t * t
    return -1, np.stack([-t + 2 * near - far, 2 - 5 * near + 3 * far, t + 4 * near - 3 * far, far - near]) / 2


def _add_samples(
    total: NDArray[np.float32],
    stack: NDArray[np.float32],
    shape: tuple[int, ...],
    cols: NDArray[np.float64],
    rows: NDArray[np.float64],
    weigh: Weigh,
) -> None:
    """Add to ``total`` [n, bands] what a flat image [height * width, bands] holds at n places inside its margin."""
    cols, rows = cols - 0.5, rows - 0.5  # from here on a pixel's centre is a whole number
    left, top = np.floor(cols), np.floor(rows)
    start, across = weigh(cols - left)
    start, down = weigh(rows - top)
    first = (top.astype(np.intp) + start) * shape[1] + left.astype(np.intp) + start
    for i, below in enumerate(down):
        for j, beside in enumerate(across):
            total += stack.take(first + (i * shape[1] + j), axis=0) * (below * beside).astype(np.float32)[:, None]


def _as_type(values: NDArray[np.float32], dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    if dtype.kind == "f":
        return np.ascontiguousarray(values, dtype=dtype)
    top = np.iinfo(dtype.name).max  # cubic convolution overshoots at edges
    return np.ascontiguousarray(np.clip(np.rint(values), 0, top), dtype=dtype)
