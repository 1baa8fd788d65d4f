"""Plants pasted onto other ground as a run of ``augment`` needs them: written for a model to edit, or as its images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from spurgekit.augment.augment_options import AugmentOptions
from spurgekit.augment.edit_masks import published_growth_px
from spurgekit.augment.grounds import Grounds
from spurgekit.augment.mask_options import MaskOptions
from spurgekit.augment.mask_sources import MaskSource, encode_masks
from spurgekit.augment.pasting import Pasting
from spurgekit.augment.plan import MASK, SUFFIX, Plan
from spurgekit.augment.support_sets import SupportSets
from spurgekit.dataset import Dataset, DatasetOptions
from spurgekit.diffusion.edits import EditUnit, Rendered
from spurgekit.outputs import output_file
from spurgekit.progress import Progress
from spurgekit.text import counted
from spurgekit.tiles.png import encode_png


def find_pasting(dataset: Dataset, sets: SupportSets, options: AugmentOptions, grounds: Grounds) -> Pasting:
    """Return what is cut out of the tiles of support sets, of all classes but the first, and what it is pasted onto.

    Parameters
    ----------
    dataset : Dataset
    sets : mapping of SupportSetKey to pandas.DataFrame
    options : AugmentOptions
    grounds : Grounds

    Raises
    ------
    InputError
        If nothing says where in tiles a class is, or masks miss tiles that are not to be skipped.
    """
    if options.mask is None:
        source = MaskSource.of_classes(dataset)
    else:
        source = MaskSource.open(options.mask, dataset, crs=options.mask_crs)
    background = dataset.info.classes[0]
    cut_out = MaskOptions(skip_unmasked=options.skip_unmasked)

    def cut(source: MaskSource, rows: pd.DataFrame) -> Mapping[str, bytes]:
        return encode_masks(source, rows[rows["class"] != background], cut_out)

    fitted = {key: source.fitted(rows) for key, rows in sets.items()}
    whole = cut(source, pd.concat(sets.values())) if source in fitted.values() else {}
    cuts = {key: whole if own is source else cut(own, sets[key]) for key, own in fitted.items()}
    known = options.min_cover if options.min_cover is not None else dataset.info.min_cover
    return Pasting(cuts, background, DatasetOptions().min_cover if known is None else known, grounds.rows)


def pasting_notes(plan: Plan, grounds: Grounds) -> Iterator[str]:
    """Yield what is to be said of what is pasted."""
    if grounds.note:
        yield grounds.note
    if plan.uncovered:
        every = counted(len(plan.rows), "plant")
        yield f"{plan.uncovered:,} of {every} cover too little of their ground (`min_cover`), and have weight 0"


def write_pasted(folder: Path, plan: Plan, units: Sequence[EditUnit], options: AugmentOptions, progress: Progress) -> None:
    """Write what a model is to edit in some units, and where: ``{id}.png`` and ``{id}_mask.png``."""
    names = [edit.id for unit in units for edit in unit.edits] if plan.pastes else []
    with progress("pasting", len(names)) as advance:
        for name in names:
            one = plan.pastes[name]
            picture = one.picture(options.feather_px)
            grow_px = published_growth_px(len(picture)) if options.dilate_px is None else options.dilate_px
            for suffix, image in (("", picture), (MASK, one.edit_mask(grow_px, options.feather_px))):
                with output_file(folder / f"{name}{suffix}{SUFFIX}") as partial:
                    partial.write_bytes(encode_png(image))
            advance(1)


def pasted_images(plan: Plan, unit: EditUnit, feather_px: int) -> Rendered:
    """Return the images of a unit that no model makes."""
    images = tuple(plan.pastes[edit.id].picture(feather_px) for edit in unit.edits)
    return Rendered(images, 0, len(images))
