"""Which synthetic tiles are made from which real ones, for which support set: decided before any is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from spurgekit.augment.augment_options import AugmentOptions
from spurgekit.augment.manifest import soft_share
from spurgekit.augment.methods import METHODS
from spurgekit.augment.support_sets import SupportSetKey, SupportSets
from spurgekit.dataset import Dataset
from spurgekit.dataset.columns import CENTRES, PLACES
from spurgekit.dataset.reader import class_folder
from spurgekit.dataset.shots import ALL_SHOTS
from spurgekit.diffusion.render import Edit, EditUnit
from spurgekit.errors import InputError
from spurgekit.seeds import seed_of

KEPT = (*CENTRES, "gsd_m", *PLACES)
"""Columns of the real tile that its synthetic ones keep."""

SUFFIX = ".png"
"""Of images, whatever their tiles are: JPEG would add its own marks to those of the model."""


@dataclass(frozen=True)
class Plan:
    """What is to be made.

    Attributes
    ----------
    rows : pandas.DataFrame
        The manifest to be, but for weights: a row for each image in each support set. Where images do not depend on the
        support set, several rows name one file.
    units : tuple of EditUnit
        The images, each once, in batches of one strength; ids are file names without their suffix.
    """

    rows: pd.DataFrame
    units: tuple[EditUnit, ...]

    @property
    def sources(self) -> dict[str, Path]:
        """The real tiles, by id."""
        edits = {f"{edit.id}{SUFFIX}": edit for unit in self.units for edit in unit.edits}
        return {tile: edits[name].source for tile, name in zip(self.rows["tile_id"], self.rows["file_name"], strict=True)}

    @property
    def images(self) -> int:
        """How many images are made."""
        return sum(len(unit.edits) for unit in self.units)

    def left(self, done: Set[str]) -> list[EditUnit]:
        """Return the units of which an image is not among those that are done."""
        return [unit for unit in self.units if not {edit.id for edit in unit.edits} <= done]


def make_plan(
    dataset: Dataset,
    sets: SupportSets,
    options: AugmentOptions,
    *,
    embedding: Callable[[SupportSetKey, str], Path] | None = None,
    masks: Mapping[str, Path] | None = None,
) -> Plan:
    """Decide on all images.

    An image's seed comes from its own name and the options' seed, so it does not depend on what else is made. Where no class
    was learned, an image depends on its real tile alone (and on the shots, where strengths do): it is made once and listed for
    each support set that holds the tile.

    Parameters
    ----------
    dataset : Dataset
    sets : mapping of SupportSetKey to pandas.DataFrame
        From :func:`spurgekit.augment.support_sets.choose_sets`.
    options : AugmentOptions
    embedding : callable, optional
        Where what was learned for a support set and a class lies.
    masks : mapping, optional
        By tile: where it may change. Tiles without one are left out.

    Raises
    ------
    InputError
        If a class has no tiles or no prompt, or a strength is too small for one step.
    """
    rows: list[dict[str, object]] = []
    edits: dict[str, tuple[float, Edit]] = {}
    for key, tiles in sets.items():
        concepts = () if embedding is None else tuple(embedding(key, name) for name in dataset.info.classes)
        for row, strength, edit in _Set(key, dataset.info.classes, options, concepts, masks).images(tiles):
            rows.append(row)
            edits.setdefault(edit.id, (strength, edit))
    if not rows:
        raise InputError("no tile is left to make synthetic ones from; do the masks name tiles of this dataset?")
    return Plan(pd.DataFrame(rows), tuple(_units(edits, options)))


@dataclass(frozen=True)
class _Set:
    """A support set, and what its images have in common."""

    key: SupportSetKey
    classes: tuple[str, ...]
    options: AugmentOptions
    concepts: tuple[Path, ...]
    masks: Mapping[str, Path] | None

    @property
    def scope(self) -> str:
        """What an image depends on beside its tile: the support set where something was learned from it."""
        if self.concepts or not METHODS[self.options.method].shares_images:
            return self.key.name
        return f"n{self.key.n:02d}" if self.options.schedule.depends_on_shots and self.key.n != ALL_SHOTS else "tiles"

    @property
    def count(self) -> int:
        """Images of each tile."""
        return self.options.images_per_tile

    @cached_property
    def prompts(self) -> dict[str, list[str]]:
        """Prompts of each class; nothing where no model reads them."""
        if self.options.mode == "roundtrip":
            return {name: [""] for name in self.classes}
        return {name: self.options.prompts_of(name, self.classes) for name in self.classes}

    @cached_property
    def negatives(self) -> dict[str, str]:
        """The negative prompt of each class."""
        return {name: self.options.negative_of(name, self.classes) for name in self.classes}

    def images(self, tiles: pd.DataFrame) -> Iterator[tuple[dict[str, object], float, Edit]]:
        """Yield the images of tiles: a row of the manifest, the strength, and what the renderer is told."""
        kept = [name for name in KEPT if name in tiles]
        for _, tile in tiles.iterrows():
            if self.masks is None or tile["tile_id"] in self.masks:
                for number, strength in enumerate(self._strengths(tile)):
                    to = self._painted_as(tile, number)
                    edit = self._edit(tile, to, number)
                    yield {**self._row(tile, to, number, strength, edit), **{name: tile[name] for name in kept}}, strength, edit

    def _names(self, tile: pd.Series) -> tuple[object, ...]:
        """Return what the chance of a tile's images derives from."""
        return (self.options.seed, self.options.method, self.scope, tile["tile_id"])

    def _strengths(self, tile: pd.Series) -> list[float]:
        if self.options.mode != "edit":
            return [1.0 if self.options.mode == "text" else 0.0] * self.count
        return self.options.schedule.at(self.key.n).draw(self.count, self.options.steps, *self._names(tile))

    def _painted_as(self, tile: pd.Series, number: int) -> str:
        """Return the class of an image: its tile's, or another one of the last few where edits cross classes."""
        others = [name for name in self.classes if name != tile["class"]]
        if not others or number < self.count - round(self.options.cross * self.count):
            return str(tile["class"])
        return others[(number + seed_of("class", *self._names(tile))) % len(others)]

    def _edit(self, tile: pd.Series, to: str, number: int) -> Edit:
        names = self._names(tile)
        prompts = self.prompts[to]
        return Edit(
            id=f"{self.scope}/{class_folder(self.classes.index(to), to)}/{tile['tile_id']}_{number:03d}",
            source=tile["path"],
            prompt=prompts[(number + seed_of("prompt", *names)) % len(prompts)],
            negative=self.negatives[to],
            seed=seed_of("image", *names, number),
            concepts=self.concepts,
            mask=None if self.masks is None else self.masks[tile["tile_id"]],
            concept_scale=self.options.concept_scale,
            concept_noise=self.options.concept_noise,
        )

    def _row(self, tile: pd.Series, to: str, number: int, strength: float, edit: Edit) -> dict[str, object]:
        return {
            "id": f"{self.key.name}/{tile['tile_id']}_{number:03d}",
            "file_name": f"{edit.id}{SUFFIX}",
            "tile_id": tile["tile_id"],
            "method": self.options.method,
            "strength": strength,
            "prompt": edit.prompt,
            "negative": edit.negative,
            "seed": edit.seed,
            "trial": None if self.key.n == ALL_SHOTS else self.key.trial,  # as a manifest says that it is of no one support set
            "n": None if self.key.n == ALL_SHOTS else self.key.n,
            "fold": self.key.fold or None,
            "class": to,
            "source_class": tile["class"],
            "share": 1.0 if to == tile["class"] else soft_share(strength, self.options.gamma),
        }


def _units(edits: Mapping[str, tuple[float, Edit]], options: AugmentOptions) -> Iterator[EditUnit]:
    """Yield the images in batches of one strength, those of a tile near each other: it is encoded once."""
    strengths = np.array([strength for strength, _ in edits.values()])
    ordered = list(edits.values())
    for strength in sorted(set(strengths.tolist()), reverse=True):
        alike = [edit for own, edit in ordered if own == strength]
        for start in range(0, len(alike), options.batch_size):
            yield EditUnit(tuple(alike[start : start + options.batch_size]), options.mode, strength)
