"""What is in a dataset, as lines of text."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from spurgekit.dataset.columns import SITE, WITHIN_SITE
from spurgekit.dataset.reader import MASKS, SPLITS, Dataset, UnclearInfo

MOST_PLACES = 40
"""Groups of a column that are listed."""


def unclear_words(unclear: UnclearInfo, min_cover: float) -> str:
    """Return what is said of tiles with too little cover for a class."""
    return (
        f"{unclear.train:,} tiles among the training tiles and {unclear.test:,} among the test tiles hold some of a class, "
        f"on less than {100 * min_cover:g} % of them"
    )


def describe_dataset(dataset: Dataset) -> Iterator[str]:
    """Yield what ``spurgekit dataset info`` prints."""
    info = dataset.info
    ground = "" if info.gsd_m is None else f", {info.size_px * info.gsd_m:.2f} m at {100 * info.gsd_m:.2f} cm a pixel"
    yield f"dataset    {dataset.path} ({info.name})"
    yield f"tiles      {info.size_px} x {info.size_px} px{ground}"
    surveys = [f"{survey.name} ({survey.date or 'no date'}): {survey.tiles:,}" for survey in info.surveys]
    yield f"surveys    {', '.join(surveys) or 'unknown'}"
    yield f"labels     {', '.join(f'{count:,} by {origin}' for origin, count in info.label_from.items()) or 'unknown'}"
    yield f"split      {info.split.describe()}"
    if info.shots:
        yield f"few-shot   {info.trials} support sets of each of {', '.join(map(str, info.shots))} tiles a class"
    if info.unlabelled is not None:
        yield f"unlabelled {info.unlabelled.tiles:,} tiles of {info.unlabelled.size_px} px in {info.unlabelled.folder}"
    if info.unclear is not None:
        yield f"unclear    {unclear_words(info.unclear, info.min_cover or 0)}"
    if info.masks:
        yield f"masks      of {sum(1 for _ in (dataset.path / MASKS).glob('*.png')):,} tiles in {MASKS}"
    if info.left_out:
        yield f"left out   {'; '.join(f'{count:,} {why}' for why, count in info.left_out.items())}"
    for note in info.notes:
        yield f"note       {note}"
    yield ""
    counts = pd.DataFrame({side: info.counts[side] for side in SPLITS}).reindex(info.classes)
    yield from counts.rename_axis("class").reset_index().to_string(index=False).splitlines()
    index = dataset.index()
    if index is None:
        return
    for column in (SITE, *WITHIN_SITE):
        if column in index and 1 < len(set(index[column].dropna())) <= MOST_PLACES:
            yield ""
            table = pd.crosstab([index[column].astype(str), index["split"]], index["class"]).reindex(columns=list(info.classes))
            yield from table.reset_index().to_string(index=False).splitlines()
