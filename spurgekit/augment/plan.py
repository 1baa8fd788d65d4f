"""Which synthetic tiles are made from which real ones, for which support set: decided before any is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from spurgekit.augment.augment_options import AugmentOptions
from spurgekit.augment.manifest import soft_share
from spurgekit.augment.methods import METHODS
from spurgekit.augment.pasting import Paste, Pasting
from spurgekit.augment.support_sets import SupportSetKey, SupportSets
from spurgekit.dataset import Dataset
from spurgekit.dataset.columns import CENTRES, PLACES
from spurgekit.dataset.reader import class_folder
from spurgekit.dataset.shots import ALL_SHOTS
from spurgekit.diffusion.render import Edit, EditUnit
from spurgekit.errors import InputError
from spurgekit.seeds import seed_of

MASK = "_mask"
"""Before the suffix of the mask of what was pasted."""

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
        The manifest to be, but for duplicates: a row for each image in each support set. Where images do not depend on the
        support set, several rows name one file.
    units : tuple of EditUnit
        The images, each once, in batches of one strength; ids are file names without their suffix.
    sources : dict of str to pathlib.Path
        The real tiles, by id.
    pastes : dict of str to Paste
        What is pasted ahead of the model, or in its place, by the id of the image.
    """

    rows: pd.DataFrame
    units: tuple[EditUnit, ...]
    sources: dict[str, Path]
    pastes: dict[str, Paste] = field(default_factory=dict)

    @property
    def uncovered(self) -> int:
        """How many rows have no weight, as what was pasted covers too little."""
        return int((self.rows["weight"] == 0).sum())

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
    pasting: Pasting | None = None,
    pasted: Path = Path("pasted"),
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
    pasting : Pasting, optional
        What is pasted onto what, of a method that pastes: of tiles that it has no mask of nothing is made.
    pasted : pathlib.Path
        Folder in which a model finds what was pasted, and masks of it: ``{id}.png`` and ``{id}_mask.png``.

    Raises
    ------
    InputError
        If a class has no tiles or no prompt, or a strength is too small for one step.
    """
    rows: list[dict[str, object]] = []
    edits: dict[str, tuple[float, Edit]] = {}
    pastes: dict[str, Paste] = {}
    for key, tiles in sets.items():
        concepts = () if embedding is None else tuple(embedding(key, name) for name in dataset.info.classes)
        for image in _Set(key, dataset.info.classes, options, concepts, masks, pasting, pasted).images(tiles):
            rows.append(image.row)
            edits.setdefault(image.edit.id, (image.strength, image.edit))
            if image.paste is not None:
                pastes[image.edit.id] = image.paste
    if not rows:
        raise InputError("no tile is left to make synthetic ones from; do the masks name tiles of this dataset?")
    table = pd.DataFrame(rows)
    every = pd.concat(sets.values()).drop_duplicates("tile_id").set_index("tile_id")["path"]
    sources = {str(tile): every[tile] for tile in table["tile_id"].unique()}
    return Plan(table, tuple(_units(edits, options)), sources, pastes)


@dataclass(frozen=True)
class _Image:
    """An image to be: its row of the manifest, its strength, what the renderer is told, and what is pasted for it."""

    row: dict[str, object]
    strength: float
    edit: Edit
    paste: Paste | None


@dataclass(frozen=True)
class _Set:
    """A support set, and what its images have in common."""

    key: SupportSetKey
    classes: tuple[str, ...]
    options: AugmentOptions
    concepts: tuple[Path, ...]
    masks: Mapping[str, Path] | None
    pasting: Pasting | None
    pasted: Path

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
        if not self.options.reads_prompts:
            return {name: [""] for name in self.classes}
        return {name: self.options.prompts_of(name, self.classes) for name in self.classes}

    @cached_property
    def negatives(self) -> dict[str, str]:
        """The negative prompt of each class."""
        return {name: self.options.negative_of(name, self.classes) for name in self.classes}

    def images(self, tiles: pd.DataFrame) -> Iterator[_Image]:
        """Yield the images of tiles."""
        kept = [name for name in KEPT if name in tiles]
        ground = None if self.pasting is None else self.pasting.ground(self.key, tiles)
        known = self.masks if self.pasting is None else self.pasting.cuts[self.key]
        for _, tile in tiles.iterrows():
            if known is not None and tile["tile_id"] not in known:
                continue
            for number, strength in enumerate(self._strengths(tile)):
                paste = None
                if self.pasting is not None and ground is not None:
                    # The same for every method that pastes, so that one is the control of another.
                    seed = seed_of("paste", self.options.seed, self.key.name, tile["tile_id"], number)
                    paste = self.pasting.draw(self.key, tile, ground, seed)
                to = self._painted_as(tile, number)
                edit = self._edit(tile, to, number, is_pasted=paste is not None)
                row = {**self._row(tile, to, number, strength, edit), **{name: tile[name] for name in kept}}
                if paste is not None:
                    row |= {"ground": paste.ground_id, "cover": paste.cover, "weight": float(paste.is_enough)}
                yield _Image(row, strength, edit, paste)

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

    def _edit(self, tile: pd.Series, to: str, number: int, *, is_pasted: bool) -> Edit:
        names = self._names(tile)
        prompts = self.prompts[to]
        name = f"{self.scope}/{class_folder(self.classes.index(to), to)}/{tile['tile_id']}_{number:03d}"
        mask = None if self.masks is None else self.masks[tile["tile_id"]]
        return Edit(
            id=name,
            source=self.pasted / f"{name}{SUFFIX}" if is_pasted else tile["path"],
            prompt=prompts[(number + seed_of("prompt", *names)) % len(prompts)],
            negative=self.negatives[to],
            seed=seed_of("image", *names, number),
            concepts=self.concepts,
            mask=self.pasted / f"{name}{MASK}{SUFFIX}" if is_pasted else mask,
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
            "weight": 1.0,
            "share": 1.0 if to == tile["class"] else soft_share(strength, self.options.gamma),
        }


def _units(edits: Mapping[str, tuple[float, Edit]], options: AugmentOptions) -> Iterator[EditUnit]:
    """Yield the images in batches of one strength, those of a tile near each other: it is encoded once."""
    strengths = np.array([strength for strength, _ in edits.values()])
    ordered = list(edits.values())
    for strength in sorted(set(strengths.tolist()), reverse=True):
        alike = [edit for own, edit in ordered if own == strength]
        for start in range(0, len(alike), options.batch_size):
            mode = options.mode or "edit"  # where there is no model, none is told
            yield EditUnit(tuple(alike[start : start + options.batch_size]), mode, strength)
