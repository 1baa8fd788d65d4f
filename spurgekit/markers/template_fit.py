"""Fit a target's template to the image around candidates: centre to a fraction of a pixel, size, and how well it fits.

The model of a patch is ``light * l + dark * d + outside * o``: what share of each pixel is light, dark or ground around follows
from the target's place and (affine) shape through the template; the three grey levels follow by least squares. The six
parameters of the shape are found by Gauss-Newton steps with Levenberg's damping, and pixels that do not fit (a digit, dirt, a
tuft of grass) lose their weight (Tukey's biweight; Huber and Ronchetti 2009, section 7.8), so that they do not move the centre.
Many candidates are fitted at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from spurgekit.markers.matched_filter import Candidate
from spurgekit.markers.template import Template

Array = NDArray[np.float32]

PATCH_PX = 16.0
"""Side of a target in the patches that are fitted; smaller targets are fitted as they are."""

REACH = 0.95
"""How far a patch reaches from its centre, in units of the target's size: enough for the corners of a turned panel."""

BLUR_PX = 1.2
"""Width of the edges of a target in a patch: a pixel and a little for the lens."""

EARLY_STEPS, STEPS = 4, 9
CENTRE_STEPS = 5
GATES = 0.40, 0.55
"""Agreement that a candidate needs before the first steps, and before the others: most places without a target stop here."""

ROBUST_FROM = 2
"""The step from which pixels that do not fit lose their weight; before, the shape is too far off to tell."""

SURROUNDINGS = 2.5
"""How far around a target the ground's texture is measured, in units of its size."""

MAX_SHIFT = 0.25
"""How far the centre may move from the candidate, in units of the target's size."""

NOISE = 4.0
"""Grey levels of noise that every fit is allowed."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted target.

    Attributes
    ----------
    col, row : float
        Its centre in continuous pixel coordinates.
    axes : tuple of float
        Which way its u axis points in the image (cols, rows), then its v axis: in pixels, from one side to the other.
    size : float
        Its side or diameter, in units of the one looked for.
    stretch : float
        Its longest over its shortest extent: 1 seen from straight above.
    agreement : float
        Correlation between image and model on the target.
    share : float
        Share of the target that looks as it should.
    contrast : float
        Light over dark, in grey levels; of a plain target, over the ground around it.
    texture : float
        Standard deviation of the ground around the target, in grey levels.
    """

    col: float
    row: float
    axes: tuple[float, float, float, float]
    size: float
    stretch: float
    agreement: float
    share: float
    contrast: float
    texture: float


def fit_targets(grey: NDArray[np.uint8], candidates: Sequence[Candidate], template: Template, size_px: float) -> list[Fit]:
    """Fit a template to the image around candidates.

    Parameters
    ----------
    grey : ndarray of uint8, shape (height, width)
    candidates : sequence of Candidate
        In pixels of ``grey``.
    template : Template
    size_px : float
        Side of the target in pixels of ``grey``.

    Returns
    -------
    list of Fit
        Of the candidates that passed the gates.
    """
    if not candidates:
        return []
    step = max(1.0, size_px / PATCH_PX)
    side_px = size_px / step
    half = int(np.ceil(REACH * side_px))
    at = np.arange(-half, half + 1, dtype=np.float32) / np.float32(side_px)
    x, y = (axis.ravel() for axis in np.meshgrid(at, at))
    patches = np.stack([_patch(grey, c, half, step).ravel() for c in candidates])
    model = _Model(template, patches, x, y, BLUR_PX / side_px)
    turn = np.array([c.angle for c in candidates], np.float32)
    shape = np.stack([0 * turn, 0 * turn, np.cos(turn), np.sin(turn), -np.sin(turn), np.cos(turn)], axis=1)
    index = np.arange(len(candidates))
    for steps, gate in zip((EARLY_STEPS, STEPS), GATES, strict=True):
        kept = np.flatnonzero(model.measure(shape)["agreement"] >= gate)
        model, shape, index = model.only(kept), shape[kept], index[kept]
        if not len(index):
            return []
        shape = model.solve(shape, steps)
    if template.crossing:
        shape = model.solve(shape, CENTRE_STEPS, free=2, reach=template.crossing)
    measured = model.measure(shape)
    to_image = np.linalg.inv(shape[:, 2:].reshape(-1, 2, 2).astype(np.float64))
    scale = np.linalg.svd(to_image, compute_uv=False)
    return [
        Fit(
            col=candidates[index[i]].col + float(shape[i, 0]) * size_px,
            row=candidates[index[i]].row + float(shape[i, 1]) * size_px,
            axes=tuple((to_image[i].T * size_px).ravel().tolist()),
            size=float(np.sqrt(scale[i, 0] * scale[i, 1])),
            stretch=float(scale[i, 0] / scale[i, 1]),
            texture=_texture(grey, candidates[index[i]], size_px),
            **{name: float(values[i]) for name, values in measured.items()},
        )
        for i in range(len(index))
    ]


def _patch(grey: NDArray[np.uint8], candidate: Candidate, half: int, step: float) -> Array:
    """Return (2 half + 1)^2 samples around a candidate, ``step`` pixels apart, each the mean over a square of that side."""
    side, fine = 2 * half + 1, int(np.ceil(step))
    apart = step / fine
    first_col, first_row = (at - 0.5 - (side * fine - 1) / 2 * apart for at in (candidate.col, candidate.row))
    matrix = np.array([[apart, 0, first_col], [0, apart, first_row]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    # Bytes stay bytes here: rounding to whole grey levels is far below the noise.
    samples = cv2.warpAffine(grey, matrix, (side * fine, side * fine), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(samples.reshape(side, fine, side, fine).mean(axis=(1, 3), dtype=np.float32))


def _texture(grey: NDArray[np.uint8], candidate: Candidate, size_px: float) -> float:
    """Return the standard deviation of the ground within ``SURROUNDINGS`` sizes of a candidate, itself left out."""
    reach, own = int(np.ceil(SURROUNDINGS * size_px)), int(np.ceil(REACH * size_px))
    col, row = int(candidate.col), int(candidate.row)
    top, left = max(0, row - reach), max(0, col - reach)
    around = grey[top : row + reach + 1, left : col + reach + 1]
    thin = max(1, int(size_px / PATCH_PX))
    seen = np.ones(around.shape, np.bool_)
    seen[max(0, row - own - top) : row + own + 1 - top, max(0, col - own - left) : col + own + 1 - left] = False
    values = around[::thin, ::thin][seen[::thin, ::thin]]
    return float(values.std()) if values.size else 0.0


class _Model:
    """Patches, and what they should look like for given shapes.

    Shapes are rows of (centre x, centre y, and the four entries of the matrix from the image to the target), in units of the
    target's size.

    Parameters
    ----------
    template : Template
    patches : ndarray, shape (n, pixels)
    x, y : ndarray, shape (pixels,)
        Where a patch's pixels lie, in units of the target's size from its centre.
    blur : float
        In the same units.
    """

    def __init__(self, template: Template, patches: Array, x: Array, y: Array, blur: float) -> None:
        self._template = template
        self._patches = patches
        self._x, self._y = x, y
        self._blur = blur

    def only(self, index: NDArray[np.intp]) -> _Model:
        """Return the model of some of the patches."""
        return _Model(self._template, self._patches[index], self._x, self._y, self._blur)

    def solve(self, shape: Array, steps: int, *, free: int = 6, reach: float | None = None) -> Array:
        """Return the shapes that fit best, near the ones given.

        Parameters
        ----------
        shape : ndarray, shape (n, 6)
        steps : int
        free : int
            How many of the parameters may change: 6, or the first 2 for the centre alone.
        reach : float, optional
            How far from its centre the target is looked at; default the template's reach.
        """
        first = shape[:, :2].copy()
        damping = np.full(len(shape), 1e-2, np.float32)
        cover, looked = self._cover(shape, reach)
        levels, residual = self._explain(cover, looked)
        for number in range(steps):
            weight = looked * _tukey(residual, looked) if number >= ROBUST_FROM else looked
            jacobian = self._jacobian(shape, levels, self._patches - residual, free)
            weighted = jacobian * weight[:, None]
            normal = (weighted @ jacobian.transpose(0, 2, 1)).astype(np.float64)
            gradient = (weighted @ residual[..., None])[..., 0].astype(np.float64)
            diagonal = np.einsum("nii->ni", normal)
            # The second term holds what cannot be told, such as how a disc is turned.
            diagonal += damping[:, None] * diagonal + 1e-3 * diagonal.max(axis=1, keepdims=True) + 1e-6
            tried = shape.copy()
            tried[:, :free] += np.linalg.solve(normal, gradient[..., None])[..., 0].astype(np.float32)
            tried[:, :2] = np.clip(tried[:, :2], first - MAX_SHIFT, first + MAX_SHIFT)
            new_cover, new_looked = self._cover(tried, reach)
            new_levels, new_residual = self._explain(new_cover, weight)
            better = (weight * new_residual**2).sum(axis=1) < (weight * residual**2).sum(axis=1)
            damping = np.where(better, damping / 4, damping * 8)
            shape, levels, looked, residual = (
                np.where(better[:, None], new, old)
                for new, old in ((tried, shape), (new_levels, levels), (new_looked, looked), (new_residual, residual))
            )
        return shape

    def measure(self, shape: Array) -> dict[str, NDArray[np.float64]]:
        """Return agreement, share and contrast, see :class:`Fit`."""
        cover, looked = self._cover(shape)
        _, residual = self._explain(cover, looked)
        levels, residual = self._explain(cover, looked * _tukey(residual, looked))
        light, dark, around = levels.T.astype(np.float64)
        plain = self._template.plain
        contrast = light - (around if plain else dark)
        target = looked if plain else looked * (1 - cover[:, 2])
        fits = np.abs(residual) < 0.25 * np.maximum(contrast, 1)[:, None]
        return {
            "agreement": np.where(contrast > 0, _correlation(self._patches, self._patches - residual, target), -1.0),
            "share": np.asarray((fits * target).sum(axis=1) / np.maximum(target.sum(axis=1), 1), np.float64),
            "contrast": contrast,
        }

    def _cover(self, shape: Array, reach: float | None = None) -> tuple[Array, Array]:
        """Return the shares of the levels (n, 3, pixels), and where the model looks (n, pixels)."""
        x, y = self._x - shape[:, :1], self._y - shape[:, 1:2]
        u, v = shape[:, 2:3] * x + shape[:, 3:4] * y, shape[:, 4:5] * x + shape[:, 5:6] * y
        reach = reach or self._template.reach
        looked = (np.abs(u) < reach) & (np.abs(v) < reach)
        return np.stack(self._template.cover(u, v, self._blur), axis=1), looked.astype(np.float32)

    def _explain(self, cover: Array, weight: Array) -> tuple[Array, Array]:
        """Return the three grey levels (n, 3) by weighted least squares, and what they leave unexplained (n, pixels)."""
        weighted = cover * weight[:, None]
        normal = (weighted @ cover.transpose(0, 2, 1)).astype(np.float64) + 1e-3 * np.eye(3)
        right = (weighted @ self._patches[..., None]).astype(np.float64)
        levels = np.linalg.solve(normal, right)[..., 0].astype(np.float32)
        return levels, self._patches - (levels[:, None] @ cover)[:, 0]

    def _jacobian(self, shape: Array, levels: Array, model: Array, free: int, step: float = 0.01) -> Array:
        """Return the change of the model with the first parameters, shape (n, free, pixels), by differences."""
        slopes = []
        for i in range(free):
            moved = shape.copy()
            moved[:, i] += step
            cover, _ = self._cover(moved)
            slopes.append(((levels[:, None] @ cover)[:, 0] - model) / np.float32(step))
        return np.stack(slopes, axis=1)


def _tukey(residual: Array, looked: Array) -> Array:
    """Return weights from 1 (fits) to 0 (an outlier)."""
    size = np.where(looked > 0, np.abs(residual), np.nan)
    spread = 1.4826 * np.nanmedian(size, axis=1, keepdims=True) + NOISE
    return np.asarray(np.clip(1 - (residual / (4.685 * spread)) ** 2, 0, None) ** 2, dtype=np.float32)


def _correlation(a: Array, b: Array, weight: Array) -> NDArray[np.float64]:
    total = np.maximum(weight.sum(axis=1, keepdims=True), 1e-6)
    a = a - (weight * a).sum(axis=1, keepdims=True) / total
    b = b - (weight * b).sum(axis=1, keepdims=True) / total
    spread = np.sqrt((weight * a * a).sum(axis=1) * (weight * b * b).sum(axis=1))
    return np.asarray((weight * a * b).sum(axis=1) / np.maximum(spread, 1e-6), dtype=np.float64)
