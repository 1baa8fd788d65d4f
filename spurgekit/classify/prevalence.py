"""Prevalence: probabilities for ground where the classes are more or less common than they were in training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from spurgekit.errors import InputError

Real = TypeVar("Real", bound=np.floating[Any])

ROUNDING = 1e-6
"""How far from 1 shares that are all given may sum."""


def parse_prevalence(text: str, classes: Sequence[str]) -> tuple[float, ...]:
    """Return the expected share of each class, as an option says it.

    Parameters
    ----------
    text : str
        ``0.05``, of two classes the share of the second, or ``leafy spurge=0.05,cheatgrass=0.1``; the rest goes to the first
        class, which is absence.
    classes : sequence of str

    Returns
    -------
    tuple of float
        In the order of the classes; they sum to 1.

    Raises
    ------
    InputError
        If it is neither, names another class or not all of them, or shares are not from 0 to 1.

    Examples
    --------
    >>> parse_prevalence("0.25", ("no spurge", "leafy spurge"))
    (0.75, 0.25)
    """
    classes = tuple(classes)
    parts = [part.rpartition("=") for part in text.split(",")]
    if len(parts) == 1 and not parts[0][1]:
        if len(classes) != 2:
            raise InputError(f"prevalence {text!r} of {len(classes)} classes names none; write {_example(classes)}")
        parts = [(classes[1], "=", text)]
    given: dict[str, float] = {}
    for name, _, value in parts:
        name = name.strip()
        if name not in classes:
            raise InputError(f"prevalence {text!r} names no class {name!r}; the classes are {', '.join(classes)}")
        if name in given:
            raise InputError(f"prevalence {text!r} names {name!r} twice")
        given[name] = _share(value, text)
    if missing := [name for name in classes[1:] if name not in given]:
        raise InputError(f"prevalence {text!r} leaves out {missing[0]!r}; write {_example(classes)}, and 0 where there is none")
    rest = 1 - math.fsum(given.values())
    if classes[0] in given:
        if abs(rest) > ROUNDING:
            raise InputError(f"prevalence {text!r} sums to {1 - rest:g}, not 1; leave out {classes[0]!r}, which takes the rest")
        rest = given[classes[0]]
    if rest < 0:
        raise InputError(f"prevalence {text!r} sums to {1 - rest:g}; the shares of all classes make 1 together")
    return (rest, *(given[name] for name in classes[1:]))


def shift_prevalence(probabilities: NDArray[Real], trained: Mapping[str, float], expected: Sequence[float]) -> NDArray[Real]:
    """Return probabilities for ground with other shares of the classes.

    They are weighted by the ratio of the shares and scaled to sum to 1 again (Saerens et al. 2002, eq. 2.4). This supposes
    that each class looks the same on both grounds, and that the probabilities are calibrated.

    Parameters
    ----------
    probabilities : ndarray of float, shape (..., classes)
        NaN where there are none, which stays.
    trained : mapping of str to float
        Tiles, or shares, of each class in training, in the order of the classes.
    expected : sequence of float
        Share of each class on the ground.

    Returns
    -------
    ndarray, of the same shape and type
        Where the classifier was certain of a class that is not expected at all, the shares expected.

    Raises
    ------
    InputError
        If the counts of classes differ, or a class was not in training.
    """
    prior = _shares_of(trained, probabilities.shape[-1])
    new = np.asarray(expected, np.float64)
    if new.shape != prior.shape:
        raise InputError(f"{len(new)} shares are expected of {len(prior)} classes; pass one for each")
    weighted = probabilities * (new / prior)
    total = weighted.sum(axis=-1, keepdims=True)
    # Not "total > 0": NaN is to stay NaN.
    shifted = np.where(total == 0, new / new.sum(), weighted / np.where(total == 0, 1, total))
    return shifted.astype(probabilities.dtype)


def _share(value: str, text: str) -> float:
    try:
        share = float(value)
    except ValueError as error:
        raise InputError(f"prevalence {text!r}: {value.strip()!r} is not a number; write 0.05 for 5 %") from error
    if not 0 <= share <= 1:  # NaN fails both
        raise InputError(f"prevalence {text!r}: {value.strip()} is not from 0 to 1; write 0.05 for 5 %")
    return share


def _example(classes: Sequence[str]) -> str:
    return ",".join(f"{name}=0.05" for name in classes[1:])


def _shares_of(trained: Mapping[str, float], classes: int) -> NDArray[np.float64]:
    """Return the shares of the classes in training."""
    if len(trained) != classes:
        raise InputError(f"the shares in training are of {len(trained)} classes, the probabilities of {classes}")
    if absent := [name for name, count in trained.items() if not count > 0]:
        raise InputError(f"class {absent[0]!r} was not in training, so its prevalence cannot be corrected")
    counts = np.array(list(trained.values()), np.float64)
    return np.asarray(counts / counts.sum())
