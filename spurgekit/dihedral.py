"""The 8 ways to turn and mirror a square tile: seen from above, none of them is the right one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

VIEWS = 8

VIEW_COUNTS = (1, 4, 8)
"""How many of them a tile is looked at in, the first ones: as it lies, its quarter turns, all."""

FLIPS = (0, 2, 4, 6)
"""Views that keep rows rows: as it is, mirrored both ways, left to right, top to bottom."""

# One copy of the pixels instead of two: whether rows become columns, and along which axes to flip after that.
_AS_FLIPS: tuple[tuple[bool, tuple[int, ...]], ...] = (
    (False, ()),
    (True, (-2,)),
    (False, (-2, -1)),
    (True, (-1,)),
    (False, (-1,)),
    (True, (-2, -1)),
    (False, (-2,)),
    (True, ()),
)


def view_of(images: Tensor, view: int) -> Tensor:
    """Turn and mirror images.

    Parameters
    ----------
    images : Tensor, shape (..., side, side)
    view : int
        0 to 7: quarter turns to the left, 4 to 7 mirrored left to right after them; 0 changes nothing.

    Returns
    -------
    Tensor
        A view of the images where that suffices (0 and 7).

    Examples
    --------
    >>> import torch
    >>> view_of(torch.tensor([[1, 2], [3, 4]]), 1).tolist()
    [[2, 4], [1, 3]]
    >>> view_of(torch.tensor([[1, 2], [3, 4]]), 4).tolist()
    [[2, 1], [4, 3]]
    """
    if not 0 <= view < VIEWS:
        raise ValueError(f"there is no view {view} of {VIEWS}")
    is_transposed, flipped = _AS_FLIPS[view]
    if is_transposed:
        images = images.transpose(-2, -1)
    return _flip(images, flipped) if flipped else images


def turned_back(images: Tensor, view: int) -> Tensor:
    """Undo :func:`view_of`.

    Parameters
    ----------
    images : Tensor, shape (..., side, side)
    view : int

    Examples
    --------
    >>> import torch
    >>> turned_back(view_of(torch.tensor([[1, 2], [3, 4]]), 1), 1).tolist()
    [[1, 2], [3, 4]]
    """
    return view_of(images, {1: 3, 3: 1}.get(view, view))  # all but the quarter turns undo themselves


def views_of(images: Tensor, views: Iterable[int]) -> Iterator[Tensor]:
    """Yield images in several views, each in channels-last order.

    Rows are made columns once for all four views in which they are, since that is what takes time.

    Parameters
    ----------
    images : Tensor, shape (n, bands, side, side)
    views : iterable of int
        See :func:`view_of`.
    """
    import torch

    order = torch.channels_last
    transposed: Tensor | None = None
    for view in views:
        is_transposed, flipped = _AS_FLIPS[view]
        source = images
        if is_transposed:
            if transposed is None:
                transposed = images.transpose(-2, -1).contiguous(memory_format=order)
            source = transposed
        yield (_flip(source, flipped) if flipped else source).contiguous(memory_format=order)


def _flip(images: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Flip images; of uint16 too, which PyTorch 2.10 and earlier cannot on a CPU."""
    import torch

    if images.dtype == torch.uint16:
        return images.view(torch.int16).flip(axes).view(torch.uint16)
    return images.flip(axes)
