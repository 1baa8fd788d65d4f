"""Metrics of redrawn trials and places, the same draws for all arms and shots, so that their differences are paired.

Two things would be others in another survey: the support set of a trial, and the places that are tested. Both are drawn with
replacement, each by itself (the pigeonhole bootstrap: Owen, Annals of Applied Statistics 1, 2007). Tiles are not drawn:
those of a place stand or fall together. Neither are trials of one support set, which count as one.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spurgekit.classify.metrics import METRICS
from spurgekit.classify.place_sums import Floats, PlaceSums
from spurgekit.evaluate.predictions import Predictions, shots_name
from spurgekit.seeds import seed_of

REPLICATES = 2000
ROUNDS = 10
"""How often places are drawn anew for the draws that lacked a class."""

FEW_PLACES = 5
"""A class that was tested in fewer places is worth a note."""


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Metrics of each trial, of all places and of redrawn places; made by :func:`resample`.

    Attributes
    ----------
    arms, metrics : tuple of str
    shots : tuple of int
    observed : numpy.ndarray, shape (arms, shots, trials, metrics)
        NaN where an arm has no such trial, or the metric is not defined. Trials of one support set are averaged, where the
        first of them is.
    redrawn : numpy.ndarray, shape (arms, shots, trials, metrics, replicates)
        The same with the places of each replicate.
    trial_draws : numpy.ndarray, shape (shots, replicates, trials)
        How often each replicate draws a trial.
    trials : numpy.ndarray of int, shape (arms, shots, trials)
        How many of an arm are averaged.
    places : int
        That test tiles are of.
    tiles : numpy.ndarray, shape (classes that are tested, places)
        Tiles of each class at each place; all cells together, which have the same.
    places_drawn : bool
        Whether replicates differ in their places.
    notes : tuple of str
        What could not be drawn, and other things to know, a sentence each.
    """

    arms: tuple[str, ...]
    shots: tuple[int, ...]
    metrics: tuple[str, ...]
    observed: Floats
    redrawn: Floats
    trial_draws: Floats
    trials: NDArray[np.intp]
    places: int
    tiles: Floats
    places_drawn: bool
    notes: tuple[str, ...]

    def places_of(self, metric: str) -> int:
        """Return how many places a metric rests on: where it averages classes, those of the class that is in the fewest."""
        return int((self.tiles > 0).sum(axis=1).min()) if METRICS[metric].by_class else self.places

    def effective_places(self, metric: str) -> float:
        """Return how many places of equal size say as much as the ones that a metric rests on: (sum n)^2 / sum n^2 of n tiles.

        With a few large places and many small ones, a mean over tiles rests on the large ones (Carter, Schnepel and
        Steigerwald, Review of Economics and Statistics 99, 2017). It is 2 or more, as for a class that is in one place only:
        that the others vary is known still. It is 1 where places were not drawn, and say nothing of how they vary.
        """
        if not self.places_drawn:
            return 1.0
        tiles = self.tiles if METRICS[metric].by_class else self.tiles.sum(axis=0, keepdims=True)
        return max(float((tiles.sum(axis=1) ** 2 / (tiles**2).sum(axis=1)).min()), 2.0)


def resample(
    predictions: Predictions,
    support: Mapping[tuple[int, int], Hashable] | None = None,
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Bootstrap:
    """Compute the metrics of each trial again for redrawn places.

    Parameters
    ----------
    predictions : Predictions
        Of each trial, the tiles of all its folds are taken together.
    support : mapping, optional
        What tells support sets apart, by shots and trial. Default: each trial has its own.
    replicates : int
    seed : int
        Of the draws.

    Notes
    -----
    Places are drawn anew for replicates that lack a class, so that all metrics have the same ones. Should most draws lack one,
    as where each of many classes is in one place only, there are fewer replicates. Where there is nothing to draw, as with one
    place or one trial, replicates differ in the other alone. Notes say so.
    """
    rng = np.random.default_rng(seed_of("bootstrap", seed))
    tiles = _tiles_by_class(predictions)
    held = tiles > 0
    drawn = _draw_places(rng, held, replicates)
    weights = drawn if len(drawn) else np.ones((replicates, held.shape[1]))
    trials = {n: sorted({cell.trial for cell in predictions.cells if cell.n == n}) for n in predictions.shots}
    names = sorted({trial for of in trials.values() for trial in of})
    position = {trial: number for number, trial in enumerate(names)}
    sets = {n: _sets(n, trials[n], support or {}) for n in predictions.shots}
    uniform = rng.random((len(weights), len(names)))
    draws = np.stack([_draw_trials(uniform, [position[of[0]] for of in sets[n]]) for n in predictions.shots])

    observed = np.full((len(predictions.arms), len(predictions.shots), len(names), len(METRICS)), np.nan)
    redrawn = np.full((*observed.shape, len(weights)), np.nan)
    with_all = np.vstack([np.ones(len(predictions.places)), weights])
    for cell in predictions.whole_trials():
        at = predictions.arms.index(cell.arm), predictions.shots.index(cell.n), position[cell.trial]
        place, target = predictions.place[cell.rows], predictions.target[cell.rows]
        sums = PlaceSums.of(place, target, predictions.probabilities[cell.rows], len(predictions.places))
        for number, metric in enumerate(METRICS.values()):
            found = metric.value(sums, with_all)
            observed[(*at, number)], redrawn[(*at, number)] = found[0], found[1:]
    counts = np.isfinite(observed).any(axis=3).astype(np.intp)
    for number, n in enumerate(predictions.shots):
        for first, *others in ([position[trial] for trial in of] for of in sets[n]):
            if others:
                for of in (observed, redrawn):
                    of[:, number, first] = _mean(of[:, number, [first, *others]])
                    of[:, number, others] = np.nan
                counts[:, number, first] += counts[:, number, others].sum(axis=1)
                counts[:, number, others] = 0
    return Bootstrap(
        arms=predictions.arms,
        shots=predictions.shots,
        metrics=tuple(METRICS),
        observed=observed,
        redrawn=redrawn,
        trial_draws=draws,
        trials=counts,
        places=len(predictions.places),
        tiles=tiles,
        places_drawn=len(predictions.places) > 1 and len(drawn) > 0,
        notes=(*predictions.notes(), *_notes(predictions, sets, len(drawn), replicates)),
    )


def _sets(n: int, trials: list[int], support: Mapping[tuple[int, int], Hashable]) -> list[list[int]]:
    """Return the trials of each support set of a number of shots."""
    sets: dict[Hashable, list[int]] = {}
    for trial in trials:
        sets.setdefault(support.get((n, trial), ("trial", trial)), []).append(trial)
    return list(sets.values())


def _mean(values: Floats) -> Floats:
    """Return the mean over the second axis of what there is; NaN where there is nothing."""
    there = np.isfinite(values)
    count = there.sum(axis=1)
    return np.asarray(np.where(count > 0, np.where(there, values, 0).sum(axis=1) / np.maximum(count, 1), np.nan))


def _tiles_by_class(predictions: Predictions) -> Floats:
    """Return how many tiles of a class there are in a place, over all cells, shape (classes that are tested, places)."""
    classes, places = len(predictions.classes), len(predictions.places)
    tiles = np.bincount(predictions.target * places + predictions.place, minlength=classes * places).reshape(classes, places)
    return tiles[tiles.any(axis=1)].astype(np.float64)


def _draw_places(rng: np.random.Generator, held: NDArray[np.bool_], replicates: int) -> Floats:
    """Return how often each replicate draws each place, shape (replicates or fewer, places); each has tiles of all classes."""
    places = held.shape[1]
    found = np.empty((0, places))
    for _ in range(ROUNDS):
        draws = rng.multinomial(places, np.full(places, 1 / places), size=replicates).astype(np.float64)
        found = np.vstack([found, draws[(draws @ held.T > 0).all(axis=1)]])
        if len(found) >= replicates:
            break
    return found[:replicates]


def _draw_trials(uniform: Floats, positions: list[int]) -> Floats:
    """Return how often each replicate draws each trial of a number of shots; shots of the same trials draw the same."""
    draws = np.zeros(uniform.shape)
    picks = np.asarray(positions)[(uniform[:, : len(positions)] * len(positions)).astype(np.intp)]
    np.add.at(draws, (np.arange(len(uniform))[:, None], picks), 1)
    return draws


def _notes(predictions: Predictions, sets: Mapping[int, list[list[int]]], drawn: int, replicates: int) -> list[str]:
    notes = []
    places = len(predictions.places)
    if places == 1:
        notes.append("All test tiles are of one place: intervals show the scatter of trials alone, not that of places.")
    elif not drawn:
        notes.append(f"No draw of the {places} test places has all classes: intervals show the scatter of trials alone.")
    elif drawn < replicates:
        notes.append(f"Most draws of the {places} test places lack a class: intervals are of {drawn} draws, not {replicates}.")
    for n, of in sets.items():
        if (count := sum(map(len, of))) > len(of):
            have, as_many = ("one support set", "one") if len(of) == 1 else (f"{len(of)} different support sets", "so many")
            notes.append(f"The {count} trials at n = {shots_name(n)} have {have} among them, and count as {as_many}.")
    if alone := [shots_name(n) for n in predictions.shots if len(sets[n]) == 1]:
        notes.append(
            f"There is one support set at n = {', '.join(alone)}: intervals there show the scatter of places alone, "
            "not that of support sets or of training."
        )
    for number, name in enumerate(predictions.classes):
        count = len(np.unique(predictions.place[predictions.target == number]))
        if not count:
            notes.append(f"No test tile is {name}.")
        elif count < min(FEW_PLACES, places):
            notes.append(f"{name} was tested in {count} of {places} places: what is said of it stands on little ground.")
    return notes
