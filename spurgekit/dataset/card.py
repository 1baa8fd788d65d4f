"""The dataset card: what is in the dataset, where it came from, how it was split."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas as gpd

from spurgekit.dataset.folder import DatasetInfo
from spurgekit.imagery import name_crs, parse_crs


def write_card(folder: Path, info: DatasetInfo, index: gpd.GeoDataFrame) -> None:
    """Write ``README.md`` with the YAML header that the Hugging Face Hub reads."""
    sites = ", ".join(sorted(set(index["site"].astype(str))))
    size_m = info.size_px * info.gsd_m
    header = {
        "pretty_name": info.name,
        "task_categories": ["image-classification"],
        "tags": ["drone", "vegetation", "spurgekit"],
    }
    # JSON is YAML, and needs no quoting rules of its own.
    lines = ["---", *(f"{key}: {json.dumps(value)}" for key, value in header.items()), "---", "", f"# {info.name}", ""]
    lines += [
        f"Tiles of {info.size_px} x {info.size_px} px ({size_m:.2f} x {size_m:.2f} m on the ground, "
        f"{100 * info.gsd_m:.2f} cm a pixel) from {sites}. Coordinates are in {name_crs(parse_crs(info.crs))}.",
        "",
        "| class | train | test |",
        "| --- | ---: | ---: |",
        *(f"| {label} | {info.counts['train'][label]} | {info.counts['test'][label]} |" for label in info.classes),
        "",
        "## Split",
        "",
        describe_split(info.split),
        "",
        "Checked: no test tile's footprint touches a training tile's.",
        "",
    ]
    if info.left_out:
        lines += ["Left out: " + "; ".join(f"{count} {why}" for why, count in info.left_out.items()) + ".", ""]
    lines += [
        "## Files",
        "",
        "`train/` and `test/` hold a folder of images for each class and `metadata.csv`; "
        '`datasets.load_dataset("imagefolder", data_dir=...)` and timm read them. `tiles.parquet` (GeoParquet) has the ground '
        "that each tile covers; `dataset.json` says the above to programs; `provenance.json` says how it was made.",
        "",
    ]
    (folder / "README.md").write_text("\n".join(lines), encoding="utf-8")


def describe_split(split: dict[str, Any]) -> str:
    """Return a sentence or two on how places were held out, from the ``split`` of a dataset's or model's description."""
    if split["by"] == "blocks":
        text = f"By place: square blocks of {split['block_m']:g} m are held out whole, drawn with seed {split['seed']}"
    else:
        text = f"By place: whole groups of `{split['by']}` are held out ({', '.join(split['test_groups'])})"
    if split["buffer_m"] is not None:
        distance = f"lie within {split['buffer_m']:g} m of" if split["buffer_m"] else "touch"
        text += f"; training tiles that {distance} a test tile are left out"
    return text + "."
