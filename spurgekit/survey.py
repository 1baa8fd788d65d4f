"""A survey: a folder with a ``survey.toml`` that says what was flown where, so that commands need no arguments."""

from __future__ import annotations

import datetime as dt
import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from spurgekit.errors import InputError, OutputExistsError
from spurgekit.imagery import slug
from spurgekit.plots import PlotProtocol

FILE_NAME = "survey.toml"
SPURGE_CLASSES = ("no spurge", "leafy spurge")
"""Of a survey that names none: it is leafy spurge that the project was begun for."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Site(_Table):
    """One imaged place.

    Attributes
    ----------
    name : str
        Starts the ids of its tiles: letters, digits, ``_`` and ``-``.
    image : pathlib.Path
        Orthomosaic; relative to the survey's folder.
    """

    name: str
    image: Path

    @field_validator("name")
    @classmethod
    def _is_slug(cls, name: str) -> str:
        if slug(name) != name:
            raise ValueError(f"use letters, digits, '_' and '-' only, e.g. {slug(name)!r}")
        return name


class TileTable(_Table):
    """How the survey is tiled.

    Attributes
    ----------
    size_px : int
    gsd_m : float, optional
        Ground sample distance to resample to, so that flights at different heights are comparable.
    points : pathlib.Path, optional
        Points to centre tiles on, instead of a grid.
    context_px, unlabelled_px : int, optional
        Sides of larger tiles around the same points, and of a grid over the whole site.
    """

    size_px: int = Field(default=250, ge=1)
    gsd_m: float | None = Field(default=None, gt=0)
    points: Path | None = None
    context_px: int | None = Field(default=None, ge=1)
    unlabelled_px: int | None = Field(default=None, ge=1)


class PlotTable(_Table):
    """How the survey's plots are laid out and where they come from; see :class:`spurgekit.plots.PlotProtocol`.

    Attributes
    ----------
    rows, columns : int
    size_m : float, optional
        Side of a plot; 10 m, or what a file of plots says.
    gaps_m : tuple of float
        Space between columns and between rows of plots.
    family : str, optional
        Of the ground markers.
    marker_size_m : float, optional
        Their side or diameter.
    marker_color : tuple of int, optional
        Red, green and blue of plain panels and discs; by default they are brighter than the ground.
    marker_ids : tuple of int
        What coded markers say, node by node.
    file : pathlib.Path, optional
        Corners or polygons of the plots, in place of markers.
    snap_m : float, optional
        Move corners of that file to markers within this distance.
    field_sheet : pathlib.Path, optional
        Table with what is known of the plots.
    gcp : pathlib.Path, optional
        Points of known coordinates, to georeference the images by the markers on them.
    gcp_crs : str, optional
        Their CRS, where that file does not say it.
    quarters : {"crop", "full", "grid"}
    inset_m : float, optional
        What is kept out of tiles along the edges of plots.
    """

    rows: int = Field(default=3, ge=1)
    columns: int = Field(default=3, ge=1)
    size_m: float | None = Field(default=None, gt=0)
    gaps_m: tuple[float, float] = (0.0, 0.0)
    family: str | None = None
    marker_size_m: float | None = Field(default=None, gt=0)
    marker_color: tuple[int, int, int] | None = None
    marker_ids: tuple[int, ...] = ()
    file: Path | None = None
    snap_m: float | None = Field(default=None, gt=0)
    field_sheet: Path | None = None
    gcp: Path | None = None
    gcp_crs: str | None = None
    quarters: Literal["crop", "full", "grid"] = "crop"
    inset_m: float | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _makes_a_protocol(self) -> PlotTable:
        entries = self.model_dump(include=set(PlotProtocol.model_fields), exclude_none=True)
        try:
            PlotProtocol(**entries)
        except ValidationError as error:
            raise ValueError(error.errors()[0]["msg"].removeprefix("Value error, ")) from error
        return self


class DatasetTable(_Table):
    """How the survey's dataset is labelled and split.

    Attributes
    ----------
    record : pathlib.Path, optional
        Table with what the botanists found in each plot, or in each quarter of it.
    label_column : str, optional
        Column of the class, in whatever the labels come from.
    group_column : str, optional
        Column whose groups are held out whole.
    test_groups : tuple of str, optional
        The groups to hold out.
    buffer_m : float, optional
        Training tiles within this distance of a test tile are left out.
    licence : str, optional
        Of the dataset, as the Hugging Face Hub names it, e.g. ``cc-by-4.0``.
    """

    record: Path | None = None
    label_column: str | None = None
    group_column: str | None = None
    test_groups: tuple[str, ...] | None = None
    buffer_m: float | None = Field(default=None, ge=0)
    licence: str | None = None


class Survey(_Table):
    """What ``survey.toml`` says, with the folder that it is in.

    Attributes
    ----------
    folder : pathlib.Path
    name : str
    date : datetime.date, optional
    classes : tuple of str
        In the order of their numbers, absence first.
    crs : str, optional
        CRS of imagery that does not say its own, or to reproject to.
    labels : pathlib.Path, optional
        Points or polygons with the class of the ground.
    tiles : TileTable
    plots : PlotTable
    dataset : DatasetTable
    sites : tuple of Site
    """

    folder: Path = Field(default=Path(), exclude=True)
    schema_version: int = Field(default=1, ge=1, le=1)
    name: str
    date: dt.date | None = None
    classes: tuple[str, ...] = SPURGE_CLASSES
    crs: str | None = None
    labels: Path | None = None
    tiles: TileTable = TileTable()
    plots: PlotTable = PlotTable()
    dataset: DatasetTable = DatasetTable()
    sites: tuple[Site, ...] = ()

    @field_validator("classes")
    @classmethod
    def _are_classes(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        if len(classes) < 2 or len(set(classes)) < len(classes) or not all(name.strip() for name in classes):
            raise ValueError("name two or more different classes, absence first")
        return classes

    @model_validator(mode="after")
    def _sites_differ(self) -> Survey:
        names = [site.name for site in self.sites]
        if len(set(names)) < len(names):
            raise ValueError("two sites have the same name")
        return self

    def path(self, path: Path) -> Path:
        """Return a path of the survey's file as seen from here."""
        return self.folder / path

    @property
    def images(self) -> list[tuple[str, Path]]:
        """Name and image of each site."""
        return [(site.name, self.path(site.image)) for site in self.sites]


def read_survey(folder: Path) -> Survey:
    """Read the ``survey.toml`` of a folder.

    Raises
    ------
    InputError
        If it is missing or says something that it cannot; the message names the entry.
    """
    file = Path(folder) / FILE_NAME
    if not file.is_file():
        raise InputError(f"{file}: no such file; make a survey with 'spurgekit init NAME'")
    try:
        entries = tomllib.loads(file.read_text(encoding="utf-8"))
        return Survey.model_validate({**entries, "folder": Path(folder)})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{file} is not valid TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise InputError(f"{file}: {where}: {first['msg'].removeprefix('Value error, ')}") from error


def find_survey(folder: Path = Path()) -> Survey | None:
    """Return the survey of a folder, or None if it is not one's."""
    return read_survey(folder) if (Path(folder) / FILE_NAME).is_file() else None


TEMPLATE = """\
# A survey for spurgekit. Commands run in this folder take what is said here:
#   spurgekit tile;  spurgekit build-dataset;  spurgekit train;  spurgekit map --model models/probe
schema_version = 1
name = "{name}"
# date = 2026-06-14

# The classes, absence first.
classes = ["no spurge", "leafy spurge"]

# Where it is known what grows: points, or polygons drawn in QGIS. With a column "label" that holds one of the classes;
# polygons without one are all of the second class, and ground without a polygon is of the first.
# labels = "weed.gpkg"

# The coordinate reference system of imagery that does not say its own, or that is in degrees.
# crs = "EPSG:32612"

[tiles]
size_px = 250
# Resample to one ground sample distance (metres a pixel), so that flights at different heights are comparable.
# gsd_m = 0.014
# Tiles around points instead of a grid over the whole site:
# points = "points.gpkg"
# More of the ground around each point, and a grid of tiles over the whole site, for what is learned without labels:
# context_px = 1024
# unlabelled_px = 250

# How the plots were laid out, and the markers at their corners. Without markers in an image it is tiled on a grid.
[plots]
rows = 3
columns = 3
# size_m = 10.0
# Space between columns and between rows of plots; without one, neighbours share their corner markers.
# gaps_m = [2.0, 2.0]
# family = "cross"
# marker_size_m = 0.45
# marker_color = [200, 60, 40]
# Corners by GNSS (points with columns plot and corner) or polygons, in place of markers or (snap_m) to be moved to them:
# file = "corners.csv"
# What was seen in each plot: a table with a column "plot", or "row" and "column". Its columns go along with the tiles.
# field_sheet = "field_sheet.csv"
# Points of known coordinates with a marker on them, to georeference the images by: ODM's gcp_list.txt, or a vector file
# or CSV (a column "id" is the marker's code, "name" the point's name):
# gcp = "gcps.csv"
# Four tiles around the centre of each plot (crop), its four quarters (full), or a grid of tiles (grid):
# quarters = "crop"
# inset_m = 0.34

[dataset]
# What the botanists found: a table with a column "plot" (and "site", "quarter" where they differ) and "label".
# record = "record.csv"
# label_column = "label"
# Which places are held out to test on: groups of a column of the tiles, such as site, plot or cluster.
# group_column = "site"
# test_groups = ["north-pasture"]
# licence = "cc-by-4.0"

# One entry for each orthomosaic. Paths are relative to this folder.
# [[sites]]
# name = "north-pasture"
# image = "north-pasture.tif"
"""

GITIGNORE = "tiles/\ndataset/\naugmented/\nmodels/\nmaps/\n"


def init_survey(folder: Path) -> Path:
    """Make a folder with a commented ``survey.toml`` and a ``.gitignore`` for what the commands make; return the file."""
    folder = Path(folder)
    file = folder / FILE_NAME
    if file.exists():
        raise OutputExistsError(f"{file} exists already; edit it, or pass another name")
    if folder.exists() and not folder.is_dir():
        raise OutputExistsError(f"{folder} is a file; pass another name")
    folder.mkdir(parents=True, exist_ok=True)
    name = folder.resolve().name.replace("\\", "\\\\").replace('"', '\\"')
    file.write_text(TEMPLATE.format(name=name), encoding="utf-8")
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text(GITIGNORE, encoding="utf-8")
    return file
