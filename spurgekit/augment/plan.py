"""Which synthetic tiles are made from which real ones, for which support set: decided before any is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from spurgekit.augment.manifest import soft_share
from spurgekit.augment.options import AugmentOptions
from spurgekit.augment.sets import SetKey, tiles_of
from spurgekit.dataset import Dataset
from spurgekit.dataset.folder import class_folder
from spurgekit.diffusion.render import Edit, EditUnit
from spurgekit.errors import InputError
from spurgekit.seeds import seed_of

PLACE = ("easting", "northing", "longitude", "latitude", "gsd_m", "cluster", "site", "plot", "group")
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


def make_plan(
    dataset: Dataset,
    sets: Sequence[SetKey],
    options: AugmentOptions,
    *,
    embedding: Callable[[SetKey, str], Path] | None = None,
    masks: Mapping[str, Path] | None = None,
) -> Plan:
    """Decide on all images.

    An image's seed comes from its own name and the options' seed, so it does not depend on what else is made. Where no class
    was learned, an image depends on its real tile alone (and on the shots, where strengths do): it is made once and listed for
    each support set that holds the tile.

    Parameters
    ----------
    dataset : Dataset
    sets : sequence of SetKey
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
    for key, tiles in tiles_of(dataset, sets):
        concepts = () if embedding is None else tuple(embedding(key, name) for name in dataset.info.classes)
        for row, edit, strength in _of_set(dataset, key, tiles, options, concepts, masks):
            rows.append(row)
            edits.setdefault(edit.id, (strength, edit))
    if not rows:
        raise InputError("no tile is left to make synthetic ones from; do the masks name tiles of this dataset?")
    return Plan(pd.DataFrame(rows), tuple(_units(edits, options)))


def _of_set(
    dataset: Dataset,
    key: SetKey,
    tiles: pd.DataFrame,
    options: AugmentOptions,
    concepts: tuple[Path, ...],
    masks: Mapping[str, Path] | None,
) -> Iterator[tuple[dict[str, object], Edit, float]]:
    classes = dataset.info.classes
    prompts = {name: [""] if options.mode == "roundtrip" else options.prompts_of(name, classes) for name in classes}
    # What an image depends on, beside its tile.
    scope = key.name if concepts else f"n{key.n:02d}" if options.strengths.depends_on_shots and key.n is not None else "tiles"
    count = 1 if options.mode == "roundtrip" else options.images
    kept = [name for name in PLACE if name in tiles]
    for _, tile in tiles.iterrows():
        if masks is not None and tile["tile_id"] not in masks:
            continue
        names = (options.seed, options.method, scope, tile["tile_id"])
        strengths = _strengths(options, key, count, names)
        crossed = round(options.cross * count)
        for number in range(count):
            other = [name for name in classes if name != tile["label"]]
            to = (
                other[(number + seed_of("class", *names)) % len(other)]
                if number >= count - crossed and other
                else tile["label"]
            )
            of_class = prompts[to]
            folder = class_folder(classes.index(to), to)
            edit = Edit(
                id=f"{scope}/{folder}/{tile['tile_id']}_{number:03d}",
                source=tile["path"],
                prompt=of_class[(number + seed_of("prompt", *names)) % len(of_class)],
                negative=options.negative,
                seed=seed_of("image", *names, number),
                concepts=concepts,
                mask=None if masks is None else masks[tile["tile_id"]],
                concept_scale=options.concept_scale,
                concept_noise=options.concept_noise,
            )
            strength = strengths[number]
            yield (
                {
                    "id": f"{key.name}/{tile['tile_id']}_{number:03d}",
                    "file_name": f"{edit.id}{SUFFIX}",
                    "tile_id": tile["tile_id"],
                    "method": options.method,
                    "strength": strength,
                    "prompt": edit.prompt,
                    "negative": edit.negative,
                    "seed": edit.seed,
                    "trial": key.trial,
                    "n": key.n,
                    "class": to,
                    "source_class": tile["label"],
                    "share": 1.0 if to == tile["label"] else soft_share(strength, options.gamma),
                    **{name: tile[name] for name in kept},
                },
                edit,
                strength,
            )


def _strengths(options: AugmentOptions, key: SetKey, count: int, names: tuple[object, ...]) -> list[float]:
    if options.mode != "edit":
        return [1.0 if options.mode == "text" else 0.0] * count
    return options.strengths.at(key.n).draw(count, options.steps, *names)


def _units(edits: Mapping[str, tuple[float, Edit]], options: AugmentOptions) -> Iterator[EditUnit]:
    """Yield the images in batches of one strength, those of a tile near each other: it is encoded once."""
    strengths = np.array([strength for strength, _ in edits.values()])
    ordered = list(edits.values())
    for strength in sorted(set(strengths.tolist()), reverse=True):
        alike = [edit for own, edit in ordered if own == strength]
        for start in range(0, len(alike), options.batch_size):
            yield EditUnit(tuple(alike[start : start + options.batch_size]), options.mode, strength)
