"""The dataset card: what is in the dataset, where it came from, how it was split, and what was checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd

from spurgekit.dataset.contact_sheet import draw_contact_sheet
from spurgekit.dataset.reader import MASKS, METADATA, SPLITS, UNCLEAR, UNKNOWN, DatasetInfo, class_folder
from spurgekit.imagery import name_crs, parse_crs
from spurgekit.text import listed, markdown

CARD, SHEET = "README.md", "contact_sheet.png"

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
"""Categories of the Hugging Face Hub."""

ORIGINS = {
    "column": "a column of the tiles' table",
    "points": "points surveyed on the ground",
    "polygons": "polygons drawn on the imagery",
    "raster": "a raster of class codes",
    "quarter": "what was recorded of their quarter of a plot",
    "plot": "what was recorded of their whole plot",
    "folder": "the folders of the images",
    "review": "people who looked at them",
}
"""Where labels come from, in words."""

CHECKED = (
    "Checked when it was built: {leakage}; every image is whole; all are of one size. `spurgekit dataset validate` looks again."
)
BY_PLACE = "no test tile's footprint touches a training tile's"
BY_CONTENT = "no image is in both splits, byte for byte (nobody knows where the ground lies that they show)"

FILES = (
    "`train/` and `test/` hold a folder of images for each class and `metadata.csv`; "
    '`datasets.load_dataset("imagefolder", data_dir=...)` and timm read them. `tiles.parquet` (GeoParquet) has the ground '
    "that each tile covers; `dataset.json` says the above to programs; `provenance.json` says how it was made."
)

MASKED = (
    f" `{MASKS}/` has the mask of each tile, `TILE_ID.png`, as polygons or a raster say it of its ground: its pixels are "
    f"numbers of classes, {UNKNOWN} where nobody knows."
)

MOST_ROWS = 40
"""Places that the card lists one by one."""


def write_card(folder: Path, info: DatasetInfo, index: gpd.GeoDataFrame) -> None:
    """Write ``README.md`` with the YAML header that the Hugging Face Hub reads, and the contact sheet that it shows.

    Parameters
    ----------
    folder : pathlib.Path
        Of the dataset, with its images in place.
    info : DatasetInfo
    index : geopandas.GeoDataFrame
        Its tiles, with columns split, class, site and, where there are some, cluster.
    """
    draw_contact_sheet(_groups(folder, info), folder / SHEET)
    configs = {"default": _config({side: f"{side}/**" for side in SPLITS}, info, folder / "train" / METADATA)}
    if info.unlabelled is not None and not info.unlabelled.folder.startswith(".."):
        configs["unlabelled"] = _config(
            {"train": f"{info.unlabelled.folder}/**"}, None, folder / info.unlabelled.folder / METADATA
        )
    if info.unclear is not None:
        configs[UNCLEAR] = _config({"train": f"{UNCLEAR}/**"}, None, folder / UNCLEAR / METADATA)
    total = len(index)
    lines = [*_header(info, configs, total), f"# {markdown(info.name)}", "", _what(info, index), "", *_counts(info, index)]
    lines += ["## Labels", "", _labels(info), "", f"![Tiles of each class]({SHEET})", ""]
    lines += ["## Split", "", info.split.describe(), "", *_places(info, index)]
    lines += [CHECKED.format(leakage=BY_PLACE if index.crs is not None else BY_CONTENT), ""]
    if info.left_out:
        lines += ["Left out: " + "; ".join(f"{count:,} {why}" for why, count in info.left_out.items()) + ".", ""]
    if info.notes:
        lines += ["## To keep in mind", "", *(f"- {note[0].upper()}{markdown(note[1:])}." for note in info.notes), ""]
    lines += ["## Files", "", FILES + (MASKED if info.masks else ""), ""]
    (folder / CARD).write_text("\n".join(lines), encoding="utf-8", newline="\n")


def write_cards_together(folder: Path, name: str, infos: Mapping[str, DatasetInfo]) -> None:
    """Write the card of a folder that holds several datasets of the same places; each has a card of its own."""
    first = next(iter(infos.values()))
    configs = {
        config: _config({side: f"{config}/{side}/**" for side in SPLITS}, info, folder / config / "train" / METADATA)
        for config, info in infos.items()
    }
    if first.unlabelled is not None:
        configs["unlabelled"] = _config({"train": "unlabelled/**"}, None, folder / "unlabelled" / METADATA)
    lines = _header(first, configs, sum(first.counts[side][label] for side in SPLITS for label in first.classes), name)
    lines += [f"# {markdown(name)}", "", "The same places, shown at several sizes:", ""]
    for config, info in infos.items():
        lines.append(f"- [`{config}/`]({config}/{CARD}): {_size(info)}")
    if first.unlabelled is not None:
        lines.append(f"- `unlabelled/`: {first.unlabelled.tiles:,} tiles of {first.unlabelled.size_px} px without labels")
    lines += ["", f"![Tiles of each class]({next(iter(infos))}/{SHEET})", ""]
    (folder / CARD).write_text("\n".join(lines), encoding="utf-8", newline="\n")


# -- header -----------------------------------------------------------------------------------------------------------


def _header(info: DatasetInfo, configs: Mapping[str, Mapping[str, Any]], total: int, name: str | None = None) -> list[str]:
    from huggingface_hub import DatasetCardData  # brings an HTTP client, which reading a dataset does without

    header = DatasetCardData(
        pretty_name=name or info.name,
        license=info.licence,
        task_categories=["image-classification"],
        tags=["drone", "vegetation", "spurgekit"],
        size_categories=[next((label for most, label in SIZES if total < most), "n>1M")],
        configs=[{"config_name": key, "data_files": config["data_files"]} for key, config in configs.items()],
        dataset_info=[{"config_name": key, "features": config["features"]} for key, config in configs.items()],
    )
    return ["---", str(header), "---", ""]


def _config(paths: Mapping[str, str], info: DatasetInfo | None, metadata: Path) -> dict[str, Any]:
    """Return what the Hub is to know of one way to load a folder: which files, and what type each column has."""
    rows = pd.read_csv(metadata)
    kinds = {"i": "int64", "f": "float64", "b": "bool"}
    features: list[dict[str, Any]] = []
    for name in rows.columns:
        if name == "file_name":
            features.append({"name": "image", "dtype": "image"})
        elif name == "label" and info is not None:
            names = {str(number): label for number, label in enumerate(info.classes)}
            features.append({"name": "label", "dtype": {"class_label": {"names": names}}})
        else:
            features.append({"name": name, "dtype": kinds.get(rows[name].dtype.kind, "string")})
    return {"data_files": [{"split": split, "path": path} for split, path in paths.items()], "features": features}


# -- text -------------------------------------------------------------------------------------------------------------


def _groups(folder: Path, info: DatasetInfo) -> list[tuple[str, list[Path]]]:
    groups = []
    for side in SPLITS:
        for number, label in enumerate(info.classes):
            paths = sorted((folder / side / class_folder(number, label)).iterdir())
            groups.append((f"{side}: {label} ({len(paths):,})", paths))
    return groups


def _size(info: DatasetInfo) -> str:
    side = f"{info.size_px} x {info.size_px} px"
    if info.gsd_m is None:
        return f"tiles of {side}"
    size_m = info.size_px * info.gsd_m
    middle = ", of which the label is that of the middle alone" if info.context else ""
    return f"tiles of {side} ({size_m:.2f} x {size_m:.2f} m on the ground, {100 * info.gsd_m:.2f} cm a pixel){middle}"


def _what(info: DatasetInfo, index: gpd.GeoDataFrame) -> str:
    sites = sorted(set(index["site"].astype(str)))
    where = listed([markdown(site) for site in sites], MOST_ROWS)
    text = f"{_size(info).capitalize()} from {where}."
    if info.crs is not None:
        text += f" Coordinates are in {name_crs(parse_crs(info.crs))}."
    of = [f"{markdown(survey.name)} ({survey.date or 'no date'}, {survey.tiles:,} tiles)" for survey in info.surveys]
    if len(of) > 1 or any(survey.date for survey in info.surveys):
        text += f" Surveys: {', '.join(of)}."
    if info.unlabelled is not None:
        text += (
            f" {info.unlabelled.tiles:,} tiles of {info.unlabelled.size_px} px without labels, which touch no labelled one, "
            f"are in `{info.unlabelled.folder}/`."
        )
    return text


def _counts(info: DatasetInfo, index: gpd.GeoDataFrame) -> list[str]:
    rows = [f"| {markdown(label)} | {info.counts['train'][label]} | {info.counts['test'][label]} |" for label in info.classes]
    lines = ["| class | train | test |", "| --- | ---: | ---: |", *rows, ""]
    if len(set(index["site"])) > 1:
        lines += _table(index, "site", info)
    return lines


def _places(info: DatasetInfo, index: gpd.GeoDataFrame) -> list[str]:
    """Return a table of the groups that are held out or not; blocks are too many to mean anything."""
    column = next((name for name in (info.split.by, "cluster") if name in index and index[name].notna().all()), None)
    return [] if column is None or info.split.of_blocks else _table(index, column, info)


def _table(index: gpd.GeoDataFrame, column: str, info: DatasetInfo) -> list[str]:
    """Return a table of how many tiles of each class a place has, and in which split it is."""
    counts = pd.crosstab(index[column].astype(str), index["class"]).reindex(columns=list(info.classes), fill_value=0)
    sides = index.groupby(index[column].astype(str))["split"].agg(lambda split: " and ".join(sorted(set(split), reverse=True)))
    lines = [
        f"| {column} | {' | '.join(map(markdown, info.classes))} | split |",
        f"| --- |{' ---: |' * len(info.classes)} --- |",
    ]
    names = sorted(counts.index, key=lambda name: (len(name), name))  # 2 before 10
    lines += [
        f"| {markdown(name)} | {' | '.join(str(n) for n in counts.loc[name])} | {sides[name]} |" for name in names[:MOST_ROWS]
    ]
    if len(counts) > MOST_ROWS:
        lines.append(f"| {len(counts) - MOST_ROWS} more | {' | '.join('' for _ in info.classes)} | |")
    return [*lines, ""]


def _labels(info: DatasetInfo) -> str:
    of = [f"{count:,} tiles by {ORIGINS.get(origin, origin)}" for origin, count in info.label_from.items()]
    text = f"The classes are {', '.join(f'{number}: {markdown(name)}' for number, name in enumerate(info.classes))}. "
    text += f"Labelled: {'; '.join(of)}." if of else ""
    if info.shots:
        text += (
            f" `few_shot.parquet` names {info.trials} support sets of each of {', '.join(map(str, info.shots))} training tiles "
            "a class, nested within a trial and spread over clusters, so that every method can be tried on the same ones."
        )
    return text
