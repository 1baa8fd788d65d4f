"""``spurgekit build-dataset``: tiles and labels in, an imagefolder split by place out."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rasterio.crs import CRS

from spurgekit.dataset.card import write_card
from spurgekit.dataset.folder import DATASET, FIELDS, METADATA, DatasetInfo, class_folder
from spurgekit.dataset.labels import BACKGROUND, labels_from_column, labels_from_vector, order_classes
from spurgekit.dataset.splits import block_numbers, check_leakage, choose_groups, close_pairs, draw_test_groups
from spurgekit.errors import InputError
from spurgekit.outputs import output_folder, write_provenance
from spurgekit.progress import Progress, silent
from spurgekit.tiles.index import PARQUET, read_index
from spurgekit.vectors import read_vector, split_layer

TILES_PER_BLOCK = 4
"""Side of a block in tiles, where no size is given."""

GSD_TOLERANCE = 0.02


@dataclass(frozen=True, slots=True)
class DatasetOptions:
    """How to label and split.

    Attributes
    ----------
    labels : pathlib.Path, optional
        Points or polygons with classes. Default: a column of the tiles' index.
    labels_crs : str, optional
        CRS of that file, where it does not say it.
    label_column : str, optional
        Column of the class, ``label`` by default.
    classes : tuple of str, optional
        Class names in order, absence first.
    min_cover : float
        Least share of a tile that polygons must cover.
    group_column : str, optional
        Column of the tiles' index (site, cluster, ...) whose groups are held out whole. Default: blocks of ground.
    test_groups : tuple of str, optional
        Groups held out; drawn by ``seed`` if not given.
    block_m : float, optional
        Side of a block in metres; four tiles by default.
    buffer_m : float, optional
        Training tiles within this distance of a test tile are left out; 0 leaves out those that touch one. Default: 0 for
        blocks, and for groups nothing is left out: touching tiles are an error.
    test_share : float
        Share of tiles to hold out where groups or blocks are drawn.
    seed : int
    """

    labels: Path | None = None
    labels_crs: str | None = None
    label_column: str | None = None
    classes: tuple[str, ...] | None = None
    min_cover: float = 0.05
    group_column: str | None = None
    test_groups: tuple[str, ...] | None = None
    block_m: float | None = None
    buffer_m: float | None = None
    test_share: float = 0.3
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.test_share < 1:
            raise InputError(f"--test-share {self.test_share} is not a share; pass a number between 0 and 1")
        if not 0 <= self.min_cover <= 1:
            raise InputError(f"--min-cover {self.min_cover} is not a share; pass a number from 0 to 1")
        if self.block_m is not None and not self.block_m > 0:
            raise InputError(f"--block {self.block_m} is not a size; pass metres")
        if self.buffer_m is not None and not self.buffer_m >= 0:
            raise InputError(f"--buffer {self.buffer_m} is not a distance; pass metres")
        if self.seed < 0:
            raise InputError(f"--seed {self.seed} is negative; pass 0 or more")
        if self.test_groups and not self.group_column:
            raise InputError("--test-groups needs --group-column, the column that the groups are in")
        if self.group_column and self.block_m:
            raise InputError("--group-column and --block are two ways to split; pass one of them")


@dataclass(frozen=True, slots=True)
class _Split:
    is_test: NDArray[np.bool_]
    cluster: NDArray[np.generic] | None
    how: dict[str, object] = field(default_factory=dict)


def build_dataset(
    tiles: Path, out: Path, options: DatasetOptions = DatasetOptions(), *, overwrite: bool = False, progress: Progress = silent
) -> DatasetInfo:
    """Build a dataset from a tiles folder.

    Parameters
    ----------
    tiles : pathlib.Path
        Folder that ``spurgekit tile`` made.
    out : pathlib.Path
        Folder to make.

    Returns
    -------
    DatasetInfo
        Classes, counts, and what was left out.

    Raises
    ------
    InputError
        If labels are missing, a class is missing from a split, tiles have several sizes on the ground, ...
    LeakageError
        If a test tile touches a training tile.
    """
    index = read_index(tiles).reset_index(drop=True)
    size_px, gsd_m = _one_size(index, tiles)
    labels = _read_labels(index, tiles, options)
    classes = order_classes(labels, options.classes)
    left_out = {"without a label": int(labels.isna().sum())}
    index["label"] = labels
    index = index[index["label"].notna()].reset_index(drop=True)

    split = _split(index, options, size_px * gsd_m)
    keep = np.ones(len(index), np.bool_)
    unit_m = _metres_per_unit(index)
    buffer_m = options.buffer_m if options.buffer_m is not None else (None if options.group_column else 0.0)
    if buffer_m is not None:
        keep[close_pairs(index.geometry, split.is_test, buffer_m / unit_m)[:, 0]] = False
        left_out["training tiles too close to a test tile"] = int((~keep).sum())
    is_test = split.is_test[keep]
    if split.cluster is not None:
        index["cluster"] = split.cluster
    index = index[keep].reset_index(drop=True)
    check_leakage(index.geometry, is_test, index["tile_id"].tolist())
    index["split"] = np.where(is_test, "test", "train")
    counts = {
        name: {label: int(((index["split"] == name) & (index["label"] == label)).sum()) for label in classes}
        for name in ("train", "test")
    }
    _check_counts(counts)

    inputs = [Path(tiles) / PARQUET, *([split_layer(options.labels)[0]] if options.labels else [])]
    with output_folder(out, overwrite=overwrite, inputs=inputs) as folder:
        rows = _metadata(index, classes)
        with progress("copying tiles", len(rows)) as advance:
            for name in ("train", "test"):
                mine = (index["split"] == name).to_numpy()
                _copy(rows[mine], index["file_name"][mine], Path(tiles), folder / name, advance)
        index.to_parquet(folder / PARQUET)
        info = DatasetInfo(
            name=Path(out).resolve().name,
            classes=classes,
            size_px=size_px,
            gsd_m=gsd_m,
            crs=":".join(index.crs.to_authority() or ()) or index.crs.to_wkt(),
            split={**split.how, "buffer_m": buffer_m},
            counts=counts,
            left_out={why: count for why, count in left_out.items() if count},
        )
        (folder / DATASET).write_text(info.model_dump_json(indent=2) + "\n", encoding="utf-8")
        write_card(folder, info, index)
        parameters = {name: getattr(options, name) for name in options.__slots__}
        write_provenance(folder, parameters=parameters, inputs=inputs)
    return info


def _one_size(index: gpd.GeoDataFrame, where: Path) -> tuple[int, float]:
    """Return side and ground sample distance of the tiles, which all must share: a model sees pixels, not metres."""
    sizes, gsd = sorted(set(index["size_px"])), index["gsd_m"]
    if len(sizes) > 1:
        raise InputError(f"{where} holds tiles of {sizes[0]} px and of {sizes[-1]} px; make them again with one --size")
    if gsd.max() / gsd.min() - 1 > GSD_TOLERANCE:
        raise InputError(
            f"{where} holds tiles of {100 * gsd.min():.2f} cm and of {100 * gsd.max():.2f} cm a pixel; "
            f"tile with --gsd {gsd.max():.4f}"
        )
    return int(sizes[0]), float(gsd.median())


def _read_labels(index: gpd.GeoDataFrame, tiles: Path, options: DatasetOptions) -> pd.Series:
    if options.labels is None:
        return labels_from_column(index, options.label_column, Path(tiles) / PARQUET)
    crs = CRS.from_wkt(index.crs.to_wkt())
    shapes = read_vector(options.labels, crs, declared_crs=options.labels_crs, crs_option="--labels-crs")
    labels = labels_from_vector(
        index,
        shapes,
        column=options.label_column,
        classes=options.classes or (BACKGROUND, "present"),
        min_cover=options.min_cover,
        where=options.labels,
    )
    if not labels.notna().any():
        raise InputError(f"{options.labels}: none of its {len(shapes)} shapes lies on a tile; check its CRS")
    return labels


def _metres_per_unit(index: gpd.GeoDataFrame) -> float:
    return float(CRS.from_wkt(index.crs.to_wkt()).linear_units_factor[1])


def _split(index: gpd.GeoDataFrame, options: DatasetOptions, tile_m: float) -> _Split:
    labels = index["label"].to_numpy()
    if options.group_column is None:
        block_m = options.block_m or TILES_PER_BLOCK * tile_m
        unit_m = _metres_per_unit(index)
        centres = index.geometry.centroid
        groups = block_numbers(centres.x.to_numpy() * unit_m, centres.y.to_numpy() * unit_m, block_m)
        held_out = draw_test_groups(groups, labels, test_share=options.test_share, seed=options.seed)
        how = {"by": "blocks", "block_m": block_m, "test_share": options.test_share, "seed": options.seed}
        return _Split(np.isin(groups, held_out), groups, how)
    if options.group_column not in index:
        columns = ", ".join(str(c) for c in index.columns if c != index.geometry.name)
        raise InputError(f"the tiles have no column {options.group_column!r} ({columns}); pass another --group-column")
    column = index[options.group_column]
    if column.isna().any():
        raise InputError(
            f"column {options.group_column!r} is empty for {int(column.isna().sum())} tiles; fill it, or split by blocks"
        )
    if options.test_groups:
        is_test = choose_groups(column, options.test_groups, options.group_column)
        test_groups = list(options.test_groups)
    else:
        drawn = draw_test_groups(column.to_numpy(), labels, test_share=options.test_share, seed=options.seed)
        is_test = np.isin(column.to_numpy(), drawn)
        test_groups = [str(name) for name in drawn]
    return _Split(is_test, None, {"by": options.group_column, "test_groups": test_groups})


def _check_counts(counts: dict[str, dict[str, int]]) -> None:
    for name, of_class in counts.items():
        for label, count in of_class.items():
            if count == 0:
                raise InputError(
                    f"no tile of class {label!r} is left in the {name} split; "
                    "hold out other groups, or use smaller blocks or buffers"
                )


def _metadata(index: gpd.GeoDataFrame, classes: tuple[str, ...]) -> pd.DataFrame:
    """Return the rows of ``metadata.csv``, in the order of the tiles."""
    centres = index.geometry.centroid
    degrees = centres.to_crs("EPSG:4326")
    rows = pd.DataFrame(index.drop(columns=index.geometry.name))
    number = {label: i for i, label in enumerate(classes)}
    rows["file_name"] = [
        f"{class_folder(number[label], label)}/{Path(name).name}"
        for label, name in zip(rows["label"], rows["file_name"], strict=True)
    ]
    rows["longitude"], rows["latitude"] = degrees.x.round(8), degrees.y.round(8)
    rows["easting"], rows["northing"] = centres.x.round(3), centres.y.round(3)
    if "idx" not in rows:
        rows["idx"] = range(len(rows))
    return rows.reindex(columns=list(FIELDS))


def _copy(rows: pd.DataFrame, sources: pd.Series, tiles: Path, folder: Path, advance: object) -> None:
    for file_name, source in zip(rows["file_name"], sources, strict=True):
        target = folder / file_name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(tiles / source, target)
        except FileNotFoundError as error:
            raise InputError(f"{tiles / source} is listed in {PARQUET} but is not there; make the tiles again") from error
        advance(1)  # type: ignore[operator]
    rows.to_csv(folder / METADATA, index=False)
