"""``spurgekit build-dataset``: tiles and labels in, an imagefolder split by place out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd

from spurgekit.dataset.dataset_card import write_card, write_cards_together
from spurgekit.dataset.dataset_options import DatasetOptions
from spurgekit.dataset.few_shot import FILE_NAME as FEW_SHOT
from spurgekit.dataset.few_shot import possible_shots, support_sets
from spurgekit.dataset.gather import Gathered, gather
from spurgekit.dataset.imagefolder import SQUARE
from spurgekit.dataset.places import place_column_in
from spurgekit.dataset.reader import (
    CROP,
    DATASET,
    MASKS,
    METADATA,
    SPLITS,
    UNCLEAR,
    DatasetInfo,
    SurveyInfo,
    UnclearInfo,
    Unlabelled,
)
from spurgekit.dataset.sources import IMAGE, TileSource, read_source
from spurgekit.dataset.splits import TOO_CLOSE, Split, choose_split, close_pairs
from spurgekit.dataset.tile_masks import write_masks
from spurgekit.dataset.unclear import beside_split
from spurgekit.dataset.write import check_duplicates, copy_images, metadata_rows, unlabelled_rows, write_tables
from spurgekit.errors import InputError
from spurgekit.outputs import output_folder
from spurgekit.progress import Progress, silent
from spurgekit.tables import check_texts
from spurgekit.tiles.index import PARQUET
from spurgekit.tiles.tile_options import CONTEXT, UNLABELLED
from spurgekit.vectors import split_layer

GSD_TOLERANCE = 0.02


def build_dataset(
    tiles: str | Path | TileSource | Sequence[str | Path | TileSource],
    out: str | Path,
    options: DatasetOptions | None = None,
    *,
    overwrite: bool = False,
    progress: Progress = silent,
) -> DatasetInfo:
    """Label tiles and split them by place into an imagefolder dataset, as Hugging Face ``datasets`` and timm read it.

    What was decided in a review is honoured. Tiles of plots are held out by plot, of points by cluster, others by blocks of
    ground, unless an option says otherwise; no test tile may touch a training tile. Where the tiles have a context, two
    datasets are built, ``crop`` and ``context``, of the same places under the same ids, each without training tiles that touch
    a test tile of its own.

    Parameters
    ----------
    tiles : path or TileSource, or a sequence of them
        Folders that :func:`spurgekit.tile_images` made; datasets; folders of images. Of several surveys, one dataset is made.
    out : str or pathlib.Path
        Folder to make.
    options : DatasetOptions, optional
    overwrite : bool
        Replace a folder that spurgekit made before.
    progress : Progress

    Returns
    -------
    DatasetInfo
        Classes, counts, and what was left out.

    Raises
    ------
    InputError
        If labels are missing, a class is missing from a split, tiles have several sizes on the ground, or an option is for
        folders of images and there is none.
    LeakageError
        If a test tile touches a training tile.
    OutputExistsError
        If the folder is there already.

    Examples
    --------
    >>> options = DatasetOptions(labels="weed.gpkg", classes=("absent", "present"), block_m=20)  # doctest: +SKIP
    >>> build_dataset("tiles", "dataset", options).counts  # doctest: +SKIP
    {'train': {'absent': 131, 'present': 44}, 'test': {'absent': 58, 'present': 19}}
    """
    options = options or DatasetOptions()
    several = [tiles] if isinstance(tiles, (str, Path, TileSource)) else tiles
    how = {name: getattr(options, name) for name in ("gsd_m", "crs", "group_pattern", "crop_px")}
    sources = [one if isinstance(one, TileSource) else read_source(Path(one), **how) for one in several]
    if not any(source.of_images for source in sources):
        for name, value in how.items():
            if value is not None:
                raise InputError(f"`{name}` is for folders of images, and {sources[0].path} says it itself; leave it out")
    folders = [source.path for source in sources]
    gathered = gather(sources, options)
    where = " and ".join(str(path) for path in folders)
    _one_size(gathered.index, where)
    context = gathered.configs.get(CONTEXT)
    reach = _reach(gathered.index, context)
    shown = gathered.index if context is None else context
    tile_m, name = float((shown["size_px"] * shown["gsd_m"]).max()), Path(out).resolve().name
    split = choose_split(gathered.drawn, gathered.drawn["kept"], options, tile_m)
    around = split if context is None else split.of_context(reach, options)
    if count := int((split.keep & ~around.keep).sum()):
        note = (
            f"context/ lacks {count:,} of {int((split.keep & ~split.is_test).sum()):,} training tiles, whose context of "
            f"{tile_m:.3g} m is too close to that of a test tile; crop/ has them, as its tiles show their own ground alone"
        )
        split, around = (replace(one, notes=(*one.notes, note)) for one in (split, around))
    plan, plan_around = _plan(gathered, split, name), _plan(gathered, around, name)
    unclear = beside_split(gathered.unclear, plan.index, place_column_in(plan.index, split.info)) if context is None else None
    unlabelled = _free(gathered.configs.get(UNLABELLED), (gathered.index.geometry, reach[split.is_test]))
    inputs = [*folders, *_inputs(sources, options)]
    with output_folder(out, "dataset", parameters=options.parameters(), inputs=inputs, overwrite=overwrite) as folder:
        total = (
            len(plan.index)
            + (0 if context is None else len(plan_around.index))
            + (0 if unlabelled is None else len(unlabelled))
            + (0 if unclear is None else len(unclear))
        )
        with progress("copying tiles", total) as advance:
            if unlabelled is not None:
                _write_beside(_made(folder / UNLABELLED), unlabelled, unlabelled_rows(unlabelled), advance)
            if unclear is not None and len(unclear):
                _write_beside(_made(folder / UNCLEAR), unclear, unlabelled_rows(unclear, "cover", "split", "place"), advance)
            writer = _Writer(plan, options, unlabelled, unclear, advance, progress)
            if context is None:
                info = writer.write(folder, plan.index)
            else:
                info = writer.write(_made(folder / CROP), plan.index, above="../")
                writer = replace(writer, plan=plan_around)
                rows = _of_the_same_places(plan_around.index, context)
                info_around = writer.write(_made(folder / CONTEXT), rows, above="../", is_context=True)
                write_cards_together(folder, plan.name, {CROP: info, CONTEXT: info_around})
    return info


# -- what goes into it ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """The tiles of a dataset, with their split in a column, and what is to be said of it."""

    name: str
    index: gpd.GeoDataFrame
    gathered: Gathered
    split: Split
    left_out: Mapping[str, int]
    examples: Mapping[str, str]


def _plan(gathered: Gathered, split: Split, name: str) -> _Plan:
    index = gathered.index
    if split.cluster is not None:
        index = index.assign(**{"block" if "cluster" in index and split.info.of_blocks else "cluster": split.cluster})
    left_out, examples = {**gathered.left_out, TOO_CLOSE: int((~split.keep).sum())}, dict(gathered.examples)
    if left_out[TOO_CLOSE]:
        examples[TOO_CLOSE] = str(index["tile_id"][~split.keep].iloc[0])
    index = index.assign(split=np.where(split.is_test, "test", "train"))[split.keep].reset_index(drop=True)
    counts = _counts(index, gathered.classes)
    for side, of_class in counts.items():
        for label, count in of_class.items():
            if count == 0:
                raise InputError(
                    f"no tile of class {label!r} is left in the {side} split"
                    + (f", and {left_out[TOO_CLOSE]:,} {TOO_CLOSE} are left out" if left_out[TOO_CLOSE] else "")
                    + "; hold out other groups, or use smaller blocks, buffers or contexts"
                )
    return _Plan(name, index, gathered, split, {why: count for why, count in left_out.items() if count}, examples)


def _counts(index: gpd.GeoDataFrame, classes: Sequence[str]) -> dict[str, dict[str, int]]:
    table = pd.crosstab(index["split"], index["class"]).reindex(index=SPLITS, columns=list(classes), fill_value=0)
    return {str(side): {str(name): int(count) for name, count in row.items()} for side, row in table.iterrows()}


def _reach(index: gpd.GeoDataFrame, context: gpd.GeoDataFrame | None) -> gpd.GeoSeries:
    """Return the ground that each tile shows, its context included."""
    if context is None:
        return index.geometry
    return gpd.GeoSeries(_of_the_same_places(index, context).geometry.to_numpy(), index=index.index, crs=index.crs)


def _of_the_same_places(index: gpd.GeoDataFrame, config: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return the rows of a config for the tiles of an index, with what is known of those tiles."""
    by_id = config.set_index("tile_id")
    if missing := [tile for tile in index["tile_id"] if tile not in by_id.index]:
        raise InputError(f"{len(missing)} tiles have no context, e.g. {missing[0]}; tile again with `context_px`")
    own = ["size_px", "gsd_m", "valid_fraction", IMAGE]
    same = by_id.loc[index["tile_id"]]
    frame = index.assign(**{name: same[name].to_numpy() for name in own})
    return gpd.GeoDataFrame(frame.set_geometry(same.geometry.to_numpy()), crs=index.crs)


def _free(unlabelled: gpd.GeoDataFrame | None, taken: Sequence[gpd.GeoSeries]) -> gpd.GeoDataFrame | None:
    """Return the unlabelled tiles that touch none of some shapes; None where there are no unlabelled tiles."""
    if unlabelled is None:
        return None
    touching = np.zeros(len(unlabelled), np.bool_)
    for shapes in taken:
        both = np.concatenate([unlabelled.geometry.to_numpy(), shapes.to_numpy()])
        is_labelled = np.arange(len(both)) >= len(unlabelled)
        touching[close_pairs(both, is_labelled)[:, 0]] = True
    return unlabelled[~touching].reset_index(drop=True)


def _inputs(sources: Sequence[TileSource], options: DatasetOptions) -> list[Path]:
    files = [path for source in sources for path in (*source.inputs, source.labels, source.record) if path]
    files += [path for path in (options.labels, options.record) if path]
    return list(dict.fromkeys(split_layer(path)[0] for path in files))


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _write_beside(folder: Path, index: gpd.GeoDataFrame, rows: pd.DataFrame, advance: Callable[[int], None]) -> None:
    """Write tiles that are in neither split."""
    write_tables({folder: rows})
    copy_images(index, [folder / name for name in rows["file_name"]], advance)


# -- one dataset folder -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Writer:
    """Writes a config of the planned tiles as a dataset folder."""

    plan: _Plan
    options: DatasetOptions
    unlabelled: gpd.GeoDataFrame | None
    unclear: gpd.GeoDataFrame | None
    advance: object
    progress: Progress

    def write(self, folder: Path, index: gpd.GeoDataFrame, *, above: str = "", is_context: bool = False) -> DatasetInfo:
        plan, classes = self.plan, self.plan.gathered.classes
        size_px, gsd_m = _one_size(index, folder.name)
        rows = metadata_rows(index, classes)
        check_texts(rows, METADATA)  # before images are copied
        targets = [folder / side / name for side, name in zip(index["split"], rows["file_name"], strict=True)]
        digests = copy_images(index, targets, self.advance)  # type: ignore[arg-type]
        check_duplicates(digests, index)
        write_tables({folder / side: rows[(index["split"] == side).to_numpy()] for side in SPLITS})
        index.drop(columns=[IMAGE, SQUARE], errors="ignore").to_parquet(folder / PARQUET)
        shots = self._write_support_sets(folder, index)
        masks = 0 if is_context else self._write_masks(folder / MASKS, index)
        unlabelled = self.unlabelled
        info = DatasetInfo(
            name=plan.name if not above else f"{plan.name}-{folder.name}",
            classes=classes,
            size_px=size_px,
            gsd_m=gsd_m,
            crs=None if index.crs is None else ":".join(index.crs.to_authority() or ()) or index.crs.to_wkt(),
            split=plan.split.info,
            counts=_counts(index, classes),
            left_out=dict(plan.left_out),
            examples={why: plan.examples[why] for why in plan.left_out},
            label_from={str(name): int(count) for name, count in index["label_from"].value_counts().items()},
            surveys=_surveys(index),
            shots=shots,
            trials=self.options.trials if shots else 0,
            unlabelled=None
            if unlabelled is None or unlabelled.empty
            else Unlabelled(folder=above + UNLABELLED, tiles=len(unlabelled), size_px=int(unlabelled["size_px"].iloc[0])),
            unclear=self._unclear(),
            min_cover=self.options.min_cover if "cover" in index and index["cover"].notna().any() else None,
            masks=masks > 0,
            context=is_context,
            licence=self.options.licence,
            notes=(*plan.gathered.notes, *plan.split.notes),
        )
        (folder / DATASET).write_text(info.model_dump_json(indent=2) + "\n", encoding="utf-8", newline="\n")
        write_card(folder, info, index)
        return info

    def _write_masks(self, folder: Path, index: gpd.GeoDataFrame) -> int:
        ids = {*index["tile_id"], *(() if self.unclear is None else self.unclear["tile_id"])}
        masks, classes = self.plan.gathered.masks, self.plan.gathered.classes
        if not masks:
            return 0
        with self.progress("drawing masks", sum(len(one.rows(ids)) for one in masks)) as advance:
            return write_masks(folder, masks, ids, classes, advance)

    def _unclear(self) -> UnclearInfo | None:
        if self.unclear is None or self.unclear.empty:
            return None
        counts = {side: int((self.unclear["split"] == side).sum()) for side in SPLITS}
        return UnclearInfo(**counts)

    def _write_support_sets(self, folder: Path, index: gpd.GeoDataFrame) -> tuple[int, ...]:
        train = index[index["split"] == "train"]
        place = next((name for name in ("cluster", "block", self.plan.split.info.by, "site") if name in train), None)
        clusters = None if place is None else train[place].astype(str).tolist()
        ids, labels, classes = train["tile_id"].tolist(), train["class"].tolist(), self.plan.gathered.classes
        sets = support_sets(
            ids, labels, clusters=clusters, classes=classes, shots=self.options.shots, trials=self.options.trials
        )
        sets.to_parquet(folder / FEW_SHOT)
        return possible_shots(labels, classes, self.options.shots)


def _one_size(index: gpd.GeoDataFrame, where: str) -> tuple[int, float | None]:
    """Return side and ground sample distance of the tiles, which all must share: a model sees pixels, not metres."""
    sizes, gsd = sorted(set(index["size_px"])), index["gsd_m"].astype(float)
    if len(sizes) > 1:
        raise InputError(
            f"{where} holds tiles of {sizes[0]} px and of {sizes[-1]} px; make them again with one `size_px`, "
            "or pass `crop_px` where they are folders of images"
        )
    if gsd.max() / gsd.min() - 1 > GSD_TOLERANCE:
        raise InputError(
            f"{where} holds tiles of {100 * gsd.min():.2f} cm and of {100 * gsd.max():.2f} cm a pixel; "
            f"tile with `gsd_m={gsd.max():.4f}`"
        )
    if gsd.isna().any() and gsd.notna().any():
        raise InputError(f"{where}: of some tiles it is known what a pixel measures, of others not; pass `gsd_m`")
    return int(sizes[0]), None if gsd.isna().all() else float(gsd.median())


def _surveys(index: gpd.GeoDataFrame) -> tuple[SurveyInfo, ...]:
    return tuple(
        SurveyInfo(name=str(name), date=next((str(date) for date in of["date"] if pd.notna(date)), None), tiles=len(of))
        for name, of in index.groupby("survey", sort=False)
    )
