"""The published Light Stable Representations (Doherty et al. 2024): the same ground at 10, 12 and 15 o'clock, without labels.

On the Hugging Face Hub it is ``mpg-ranch/drone-lsr``, of which the config ``default`` is taken: ``data/train-*.parquet`` and
``data/test-*.parquet`` with the columns of :data:`COLUMNS`. A row is a square of a grid, called ROW_COLUMN from the north-west.
They are laid together to a mosaic of each time on one grid of pixels, as a model maps it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import rasterio
from affine import Affine
from numpy.typing import NDArray
from pyarrow import parquet
from rasterio.io import DatasetWriter

from spurgekit.dataset.publish import local_copy
from spurgekit.errors import InputError, first_line
from spurgekit.imagery import Window
from spurgekit.imagery.limits import open_picture
from spurgekit.outputs import output_folder
from spurgekit.progress import Progress, silent
from spurgekit.tables import csv_of
from spurgekit.text import shown

REPOSITORY = "mpg-ranch/drone-lsr"
TIMES = {"t0": "10:00", "t1": "12:00", "t2": "15:00"}
HEIGHT = "canopy_height"
COLUMNS = ("idx", *(f"image_{time}" for time in TIMES), HEIGHT)

GSD_M = 0.012
"""As its card says, to two digits."""

PLACE = re.compile(r"(\d{1,3})_(\d{1,3})")
"""What ``idx`` is: three digits at most, so that no damaged one asks for a mosaic of any size."""

NO_HEIGHT = np.iinfo(np.int32).min
"""Stands where no canopy height is known; others are in centimetres."""

CRS_WKT = 'LOCAL_CS["drone-lsr, metres from its lower left corner",UNIT["metre",1]]'
NOTE = f"a pixel is taken for {GSD_M * 100:g} cm, as the card says; nothing says where on Earth the ground lies"
REMEDY = f"pass a copy of {REPOSITORY}, or another revision of it"

TIFF = {
    "driver": "GTiff",
    "crs": CRS_WKT,
    "tiled": True,
    "blockxsize": 512,
    "blockysize": 512,
    "compress": "deflate",
    "zlevel": 4,
    "bigtiff": "if_safer",
    "sparse_ok": True,  # squares that are missing take no room
}

RGB_ALPHA = {"count": 4, "dtype": "uint8", "predictor": 2, "photometric": "RGB", "alpha": "yes"}

CARD = """# {name}

The same ground in three lights, laid together from [{repository}](https://huggingface.co/datasets/{repository}): Light Stable
Representations, by Kyle Doherty, Erik Samose, Max Gurinas, Brandon Trabucco and Ruslan Salakhutdinov, MPG Ranch, 2024.
Licence: CC BY 4.0. Changed: squares were laid together, heights are in metres.

| File | What it is |
| --- | --- |
{times}
| `canopy_height.tif` | canopy height in metres, NaN where it is not known |
| `places.csv` | the {places:,} squares of {size_px:,} px: `idx`, `row`, `column`, and the publisher's `split` |

{notes}
"""


@dataclass(frozen=True, slots=True)
class LightSeries:
    """Mosaics of the same ground in several lights.

    Attributes
    ----------
    folder : pathlib.Path
    times : dict of str
        What o'clock it was, by mosaic: ``t0`` is the file ``t0.tif``.
    places : int
        Squares that each mosaic is made of.
    size_px : int
        Side of a square.
    gsd_m : float
        Metres a pixel.
    notes : tuple of str
        Which commit was fetched, what was assumed.
    """

    folder: Path
    times: dict[str, str]
    places: int
    size_px: int
    gsd_m: float
    notes: tuple[str, ...]


def is_light_series(source: str | Path) -> bool:
    """Whether a source is the light series: by its name on the Hub, or by the Parquet files of a local copy."""
    folder = Path(source)
    return any((folder / "data").glob("*.parquet")) if folder.is_dir() else str(source) == REPOSITORY


def fetch_light_series(
    source: str | Path,
    out: str | Path,
    *,
    revision: str | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> LightSeries:
    """Lay the published Light Stable Representations together: a mosaic of each time, to map and compare.

    It has no labels. Where on Earth it lies is not published, so that its CRS is a local one.

    Parameters
    ----------
    source : str or pathlib.Path
        A local copy of the repository, or its name on the Hub.
    out : str or pathlib.Path
        Folder to make: ``t0.tif``, ``t1.tif`` and ``t2.tif`` (RGB and alpha), ``canopy_height.tif`` (float32, metres) on the
        same grid of pixels, ``places.csv``, ``README.md``.
    revision : str, optional
        Of the repository: a commit gives the same mosaics always.
    overwrite : bool
        Replace a folder that spurgekit made before.
    progress : Progress

    Returns
    -------
    LightSeries

    Raises
    ------
    InputError
        If the files are not laid out as those of the repository.
    HubError
        If the Hub cannot be reached, and its cache does not hold it.
    OutputExistsError
        If the folder is there already.
    """
    parameters = {"source": str(source), "revision": revision}
    inputs = [Path(source)] if Path(source).is_dir() else []
    # The folder comes before the download, which is of gigabytes: whether it may be made is known at once.
    with output_folder(out, "light series", parameters=parameters, inputs=inputs, overwrite=overwrite) as folder:
        copy, fetched = local_copy(source, ["data/*.parquet"], revision)
        shards = sorted((copy / "data").glob("*.parquet"))
        if not shards:
            raise InputError(f"{copy} holds no data/*.parquet; {REMEDY}")
        places = _places(shards)
        notes = (*fetched, NOTE)
        size_px = _write_mosaics(folder, shards, places, progress)
        table = csv_of(places, "places.csv")
        (folder / "places.csv").write_text(table, encoding="utf-8", newline="\n")
        times = "\n".join(f"| `{name}.tif` | at {clock} |" for name, clock in TIMES.items())
        said = "\n".join(f"- {note}" for note in notes)
        card = CARD.format(
            name=Path(out).resolve().name,
            repository=REPOSITORY,
            times=times,
            places=len(places),
            size_px=size_px,
            notes=said,
        )
        (folder / "README.md").write_text(card, encoding="utf-8", newline="\n")
    return LightSeries(Path(out), dict(TIMES), len(places), size_px, GSD_M, notes)


# -- reading ----------------------------------------------------------------------------------------------------------


def _places(shards: list[Path]) -> pd.DataFrame:
    """Return the squares, in the order of the files: idx, row, column, split."""
    rows = []
    for shard in shards:
        for batch in _batches(shard, ["idx"], 1024):
            for idx in batch.column("idx").to_pylist():
                found = PLACE.fullmatch(str(idx))
                if found is None:
                    raise InputError(f"{shard}: idx {shown(idx)} is not ROW_COLUMN; {REMEDY}")
                rows.append((idx, int(found[1]), int(found[2]), shard.name.partition("-")[0]))
    places = pd.DataFrame(rows, columns=["idx", "row", "column", "split"])
    if places.empty:
        raise InputError(f"{shards[0].parent} holds no rows; {REMEDY}")
    if (twice := places.duplicated(["row", "column"])).any():
        raise InputError(f"{shards[0].parent} has the idx {shown(places['idx'][twice].iloc[0])} twice; {REMEDY}")
    return places


def _batches(shard: Path, columns: list[str], size: int) -> Iterator[pa.RecordBatch]:
    """Yield some columns of a Parquet file, so many rows at a time."""
    try:
        with parquet.ParquetFile(shard, buffer_size=1 << 20) as file:
            if missing := [name for name in COLUMNS if name not in file.schema_arrow.names]:
                raise InputError(f"{shard} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}; {REMEDY}")
            for batch in file.iter_batches(size, columns=columns):
                batch.validate(full=True)
                yield batch
    except (InputError, MemoryError):
        raise
    except Exception as error:  # of a damaged file each library on the way raises errors of its own
        raise InputError(f"{shard} is not a Parquet file ({shown(first_line(error), quotes=False)}); {REMEDY}") from error


def _picture(row: dict[str, Any], time: str, shard: Path) -> NDArray[np.uint8]:
    """Return the image of a time as RGB and alpha, shape (4, side, side)."""
    where = Path(f"{shard}: image_{time} of {row['idx']}")
    cell = row[f"image_{time}"]
    data = cell.get("bytes") if isinstance(cell, dict) else None
    if not isinstance(data, bytes):
        raise InputError(f"{where} is no image; {REMEDY}")
    with open_picture(where, data) as image:
        pixels = np.asarray(image.convert("RGBA"))
    if pixels.shape[0] != pixels.shape[1]:
        raise InputError(f"{where} is {pixels.shape[1]} x {pixels.shape[0]} px, no square; {REMEDY}")
    return pixels.transpose(2, 0, 1)


def _height(column: pa.Array, size_px: int, where: str) -> NDArray[np.float32]:
    """Return canopy heights in metres, shape (1, side, side), of a column of one row of whole centimetres."""
    if isinstance(column, pa.ExtensionArray):  # where `datasets` has been imported
        column = column.storage
    while isinstance(column, (pa.ListArray, pa.LargeListArray, pa.FixedSizeListArray)):
        column = column.flatten()
    if not pa.types.is_integer(column.type) or len(column) != size_px**2:
        raise InputError(f"{where} is no grid of {size_px} x {size_px} whole centimetres; {REMEDY}")
    stored = column.fill_null(NO_HEIGHT).to_numpy().reshape(1, size_px, size_px)
    return np.where(stored == NO_HEIGHT, np.nan, stored / 100).astype(np.float32)


# -- writing ----------------------------------------------------------------------------------------------------------


def _write_mosaics(folder: Path, shards: list[Path], places: pd.DataFrame, progress: Progress) -> int:
    """Write the mosaics and the heights, a square at a time; return its side in pixels."""
    size_px = 0
    files: dict[str, DatasetWriter] = {}
    at = iter(places.itertuples())
    with ExitStack() as stack, progress("laying squares", len(places)) as advance:
        for shard in shards:
            for batch in _batches(shard, list(COLUMNS), 1):
                (row,) = batch.select(COLUMNS[:-1]).to_pylist()
                pictures = {time: _picture(row, time, shard) for time in TIMES}
                if not files:
                    size_px = pictures["t0"].shape[1]
                    files = _create(folder, places, size_px, stack)
                if odd := next((time for time, pixels in pictures.items() if pixels.shape[1] != size_px), None):
                    raise InputError(
                        f"{shard}: image_{odd} of {row['idx']} is {pictures[odd].shape[1]} px wide, others {size_px}; {REMEDY}"
                    )
                height = _height(batch.column(HEIGHT), size_px, f"{shard}: {HEIGHT} of {row['idx']}")
                place = next(at)
                window = Window(place.column * size_px, place.row * size_px, size_px, size_px).to_rasterio()
                for name, pixels in {**pictures, HEIGHT: height}.items():
                    files[name].write(pixels, window=window)
                advance(1)
    return size_px


def _create(folder: Path, places: pd.DataFrame, size_px: int, stack: ExitStack) -> dict[str, DatasetWriter]:
    width, height = (int(places[name].max() + 1) * size_px for name in ("column", "row"))
    grid = {"width": width, "height": height, "transform": Affine(GSD_M, 0, 0, 0, -GSD_M, height * GSD_M)}
    kinds: dict[str, dict[str, Any]] = {
        **dict.fromkeys(TIMES, RGB_ALPHA),
        HEIGHT: {"count": 1, "dtype": "float32", "predictor": 3, "nodata": np.nan},
    }
    return {
        name: stack.enter_context(rasterio.open(folder / f"{name}.tif", "w", **TIFF, **grid, **kind))
        for name, kind in kinds.items()
    }
