"""What prompts say of a crop of ground that nobody has labelled: its brightness, green, kind, place and date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spurgekit.imagery.vegetation import excess_green

BRIGHTNESS = ("dark", "medium", "bright")
GREENNESS = ("brown", "mixed", "green")
"""Words for the thirds of a survey's crops, so that what they mean is relative to it."""

LUMA = np.array([0.299, 0.587, 0.114])
"""Rec. ITU-R BT.601."""

FACTS = 5
"""That a prompt may have: brightness, greenness, kind, place, date."""


@dataclass(frozen=True, slots=True, eq=False)
class GroundWords:
    """Which words go with which crops of a survey.

    Attributes
    ----------
    bright, green : tuple of float
        Limits between the thirds of the crops by luma and by greenness.
    mean, spread : ndarray of float64, shape (4,)
        Of what kinds are told apart by: mean red, green and blue of a crop, and the spread of its luma.
    centres : ndarray of float64, shape (kinds, 4)
        Of kinds, in units of the spread, the darkest first.
    """

    bright: tuple[float, float]
    green: tuple[float, float]
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    centres: NDArray[np.float64]

    @classmethod
    def learn(cls, colours: NDArray[np.float32], kinds: int, seed: int = 0) -> GroundWords:
        """Return the words of a survey.

        Parameters
        ----------
        colours : ndarray of float32, shape (n, 4)
            From :func:`describe`, of crops of all of it.
        kinds : int
            The most that are told apart; fewer where crops do not differ.
        seed : int
            Of k-means.
        """
        from sklearn.cluster import KMeans

        told = colours.astype(np.float64)
        mean, spread = told.mean(axis=0), told.std(axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        points = (told - mean) / spread
        kinds = min(kinds, len(np.unique(points, axis=0)))
        centres = KMeans(kinds, n_init=4, random_state=seed).fit(points).cluster_centers_
        centres = np.round(centres[np.argsort(centres[:, :3].sum(axis=1))], 6)
        return cls(_thirds(told[:, :3] @ LUMA), _thirds(excess_green(told[:, :3])), mean, spread, centres)

    def record(self) -> dict[str, Any]:
        """Return them as JSON has them."""
        lists = {name: getattr(self, name).tolist() for name in ("mean", "spread", "centres")}
        return {"bright": list(self.bright), "green": list(self.green), **lists}

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> GroundWords:
        """Return those of a record."""
        arrays = {name: np.array(record[name]) for name in ("mean", "spread", "centres")}
        return cls(tuple(record["bright"]), tuple(record["green"]), **arrays)

    def facts(self, colours: NDArray[np.float32]) -> NDArray[np.intp]:
        """Return the numbers of brightness, greenness and kind of crops, shape (n, 3).

        Parameters
        ----------
        colours : ndarray of float32, shape (n, 4)
        """
        told = colours.astype(np.float64)
        points = (told - self.mean) / self.spread
        kinds = np.square(points[:, None] - self.centres).sum(axis=2).argmin(axis=1)
        bright = np.searchsorted(self.bright, told[:, :3] @ LUMA, side="right")
        return np.stack([bright, np.searchsorted(self.green, excess_green(told[:, :3]), side="right"), kinds], axis=1)


def describe(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Return mean red, green and blue of pictures and the spread of their luma, shape (n, 4).

    Parameters
    ----------
    pictures : sequence of ndarray of uint8, shape (height, width, 3)
    """
    rows = []
    for picture in pictures:
        pixels = picture.reshape(-1, 3).astype(np.float64)
        rows.append([*pixels.mean(axis=0), (pixels @ LUMA).std()])
    found = np.round(np.array(rows, np.float32), 3)  # so that those of one colour are told by the same
    return np.asarray(found.reshape(-1, 4), np.float32)


def phrase(facts: Sequence[int], place: str, date: str, kept: Sequence[bool] = (True,) * FACTS) -> str:
    """Return what stands in the gap of a template.

    Parameters
    ----------
    facts : sequence of int
        Numbers of brightness, greenness and kind.
    place, date : str
        Empty where nobody knows.
    kept : sequence of bool
        Which facts are said: brightness, greenness, kind, place, date. Prompts of a training leave some out by chance, so that
        each word is learned by itself.

    Examples
    --------
    >>> phrase((0, 2, 3), "north pasture", "June 2024")
    'dark green ground of kind 4, north pasture, June 2024'
    >>> phrase((0, 2, 3), "north pasture", "", (True, False, False, False, True))
    'dark ground'
    """
    brightness, green, kind = facts
    before = [word for word, said in ((BRIGHTNESS[brightness], kept[0]), (GREENNESS[green], kept[1])) if said]
    ground = " ".join([*before, "ground", *([f"of kind {kind + 1}"] if kept[2] else [])])
    return ", ".join([ground, *(word for word, said in ((place, kept[3]), (date, kept[4])) if word and said)])


def _thirds(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(values, (1 / 3, 2 / 3))
    return float(low), float(high)
