"""Bands of a map: what each says of a cell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from spurgekit.registry import Registry

if TYPE_CHECKING:
    from spurgekit.classify.classifier import TilePredictions
    from spurgekit.classify.model_info import ModelInfo

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class MapBand:
    """A band of ``presence.tif``, or several that belong together, one for each class.

    Attributes
    ----------
    name : str
    titles : callable
        ``titles(classes)`` gives the description of each of its channels.
    value : callable
        ``value(predictions)`` gives the channels, shape (n, channels), of what a classifier says of n tiles
        (:class:`~spurgekit.classify.classifier.TilePredictions`).
    needs_features : bool
        Whether it wants the features of tiles, beside their probabilities.
    target : {"presence", "cover"}
        Of which models it is.
    style : callable, optional
        ``style(path, band, classes)`` writes how QGIS shows it; ``band`` is the number of its first channel, counted from 1.
    summary : callable, optional
        ``summary(values)`` gives entries for ``summary.json`` from its channels, shape (channels, rows, columns), NaN where
        there is no data.
    """

    name: str
    titles: Callable[[Sequence[str]], Sequence[str]]
    value: Callable[[TilePredictions], Floats]
    needs_features: bool = False
    target: Literal["presence", "cover"] = "presence"
    style: Callable[[Path, int, Sequence[str]], None] | None = None
    summary: Callable[[Floats], Mapping[str, Any]] | None = None


@dataclass(frozen=True, slots=True)
class BandLayout:
    """The bands of a map in their order, and which channels are whose.

    Attributes
    ----------
    bands : tuple of MapBand
    classes : tuple of str
    of_positions : bool
        Whether cells are positions within tiles.
    """

    bands: tuple[MapBand, ...]
    classes: tuple[str, ...]
    of_positions: bool = False

    @classmethod
    def of(cls, info: ModelInfo, *more: MapBand, of_positions: bool = False, blended: bool = False) -> BandLayout:
        """Return the bands of a model's maps, and more behind them.

        Of positions within tiles, and of what several tiles say, features are too many to be told of; a further band has what
        is said of the tile around each cell.

        Parameters
        ----------
        info : ModelInfo
        more : MapBand
        of_positions : bool
            Whether cells are positions within tiles.
        blended : bool
            Whether what is said of cells is blended from several tiles.
        """
        apart = of_positions or blended
        own = [band for band in BANDS.values() if band.target == info.target and not (apart and band.needs_features)]
        if apart:
            own.append(TILE_COVER if info.target == "cover" else TILE_PROBABILITY)
        return cls((*own, *more), info.classes, of_positions)

    def said(self, found: Floats) -> Floats:
        """Return what is said of the classes: their probabilities, or the shares that are not and that are covered.

        Parameters
        ----------
        found : ndarray of float32, shape (channels, ...)

        Returns
        -------
        ndarray of float32, shape (classes, ...)
        """
        return self._shares(found, PROBABILITY, COVER)

    def said_around(self, found: Floats) -> Floats:
        """Return what is said of the classes in the tile around each cell, as :meth:`said`."""
        return self._shares(found, TILE_PROBABILITY, TILE_COVER) if self.has_tiles else self.said(found)

    @property
    def has_tiles(self) -> bool:
        """Whether what is said of a cell is not what is said of the tile around it, which has a band of its own."""
        return TILE_PROBABILITY in self.bands or TILE_COVER in self.bands

    def _shares(self, found: Floats, probability: MapBand, cover: MapBand) -> Floats:
        if cover not in self.bands:
            return found[self.channels(probability.name)]
        covered = found[self.channels(cover.name)]
        return np.concatenate([1 - covered, covered])

    @property
    def titles(self) -> tuple[str, ...]:
        """The description of each channel."""
        return tuple(title for band in self.bands for title in band.titles(self.classes))

    @property
    def needs_features(self) -> bool:
        """Whether a band wants the features of tiles."""
        return any(band.needs_features for band in self.bands)

    def channels(self, name: str) -> slice:
        """Return which channels are a band's."""
        start = 0
        for band in self.bands:
            stop = start + len(band.titles(self.classes))
            if band.name == name:
                return slice(start, stop)
            start = stop
        raise KeyError(name)

    def values(self, predictions: TilePredictions) -> Floats:
        """Return all channels of n tiles, shape (n, channels)."""
        return np.concatenate([band.value(predictions) for band in self.bands], axis=1)


def entropy(probabilities: NDArray[np.floating[Any]]) -> Floats:
    """Return Shannon's entropy over the last axis, as a share of its maximum.

    >>> entropy(np.array([[0.5, 0.5], [1.0, 0.0]])).round(3).tolist()
    [1.0, 0.0]
    """
    p = np.clip(probabilities, 1e-12, 1)
    return np.asarray(-(p * np.log(p)).sum(axis=-1) / np.log(p.shape[-1]), dtype=np.float32)


def _style_probability(path: Path, band: int, classes: Sequence[str]) -> None:  # noqa: ARG001
    from spurgekit.maps.styles import write_raster_style

    write_raster_style(path, band=band + 1)  # that of the second class


def _around(predictions: TilePredictions) -> Floats:
    assert predictions.around is not None
    return predictions.around


PROBABILITY = MapBand(
    name="probability",
    titles=lambda classes: [f"probability of {name}" for name in classes],
    value=lambda predictions: predictions.probabilities,
    style=_style_probability,
)

TILE_PROBABILITY = MapBand(
    name="tile_probability",
    titles=lambda classes: [f"probability of {name} in the tile around" for name in classes],
    value=_around,
    style=_style_probability,
)
"""Of a fine or blended map: what the model says of the tile that is centred on each cell."""


def _style_cover(path: Path, band: int, classes: Sequence[str]) -> None:  # noqa: ARG001
    from spurgekit.maps.styles import write_raster_style

    write_raster_style(path, band=band)


COVER = MapBand(
    name="cover",
    titles=lambda classes: [f"cover of {classes[1]} (share)"],
    value=lambda predictions: predictions.probabilities[:, 1:],
    target="cover",
    style=_style_cover,
)


TILE_COVER = MapBand(
    name="tile_cover",
    titles=lambda classes: [f"cover of {classes[1]} in the tile around (share)"],
    value=lambda predictions: _around(predictions)[:, 1:],
    target="cover",
    style=_style_cover,
)
"""Of a fine or blended map of cover: how much of the tile is covered that is centred on each cell."""


def _dissimilarity(predictions: TilePredictions) -> Floats:
    assert predictions.dissimilarity is not None  # it is of models that know their training tiles
    return predictions.dissimilarity[:, None]


DISSIMILARITY = MapBand(
    name="dissimilarity",
    titles=lambda classes: ["dissimilarity from the training tiles"],  # noqa: ARG005
    value=_dissimilarity,
    needs_features=True,
)
"""Of the tile around each cell, where the model knows its training tiles; see :mod:`spurgekit.classify.applicability`."""

BANDS = Registry(
    "band of maps",
    [
        PROBABILITY,
        MapBand(
            name="uncertainty",
            titles=lambda classes: ["uncertainty (entropy, 0 to 1)"],  # noqa: ARG005
            value=lambda predictions: entropy(predictions.probabilities)[:, None],
        ),
        COVER,
    ],
)
"""All bands in their order; yours comes last: ``BANDS.register(MapBand(...))``."""
