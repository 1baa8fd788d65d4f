"""A survey: a folder with a ``survey.toml`` that says what was flown where, so that commands need no arguments."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from spurgekit.dataset.dataset_options import DatasetOptions
from spurgekit.errors import InputError, OutputExistsError, known_names, spelled
from spurgekit.image_names import ImageName
from spurgekit.imagery import slug
from spurgekit.options import Options, kinds_of, without_none
from spurgekit.reading import check_classes, read_toml
from spurgekit.record_table import RecordTable, Taxon
from spurgekit.text import is_line, shown
from spurgekit.tiles.tile_options import PlotOptions, TileOptions

FILE_NAME = "survey.toml"
SPURGE_CLASSES = ("no spurge", "leafy spurge")
"""Of a survey that names none: it is leafy spurge that the project was begun for."""

SCHEMA_VERSION = 1

Table = TypeVar("Table", bound=Options)


@dataclass(frozen=True, kw_only=True)
class Site(Options):
    """One imaged place.

    Attributes
    ----------
    name : str
        Starts the ids of its tiles: letters, digits, ``_`` and ``-``.
    image : pathlib.Path
        Orthomosaic; relative to the survey's folder, or another name that GDAL reads, such as an address.
    date : datetime.date, optional
        Day of its flight. Default: that of the survey.
    """

    name: str
    image: ImageName
    date: dt.date | None = None

    def __post_init__(self) -> None:
        Options.__post_init__(self)
        _check_date(self.date)
        if slug(self.name) != self.name:
            raise InputError(f"`name`: use letters, digits, '_' and '-' only, e.g. {slug(self.name)!r}")


@dataclass(frozen=True, kw_only=True)
class Survey(Options):
    """What ``survey.toml`` says, with the folder that it is in.

    Attributes
    ----------
    folder : pathlib.Path
        Where it lies; paths that it names are seen from there.
    schema_version : int
        Version of the file's layout.
    name : str
        Name of the survey.
    date : datetime.date, optional
        Day of the flight.
    classes : tuple of str
        In the order of their numbers, absence first.
    crs : str, optional
        CRS of imagery that does not say its own, or to reproject to.
    image_crs : str, optional
        CRS that the imagery's coordinates are in, where its files do not say it or say it wrongly.
    labels : pathlib.Path, optional
        Points or polygons with the class of the ground, or a raster of the classes' numbers.
    tiles : TileOptions
        How it is tiled.
    plots : PlotOptions
        How its plots are laid out and where they come from.
    dataset : DatasetOptions
        How its dataset is labelled and split.
    record : RecordTable, optional
        What its records for weed databases say besides what is on the map.
    sites : tuple of Site
        Places that were flown over, each with its image.
    """

    folder: Path = Path()
    schema_version: int = SCHEMA_VERSION
    name: str
    date: dt.date | None = None
    classes: tuple[str, ...] = SPURGE_CLASSES
    crs: str | None = None
    image_crs: str | None = None
    labels: Path | None = None
    tiles: TileOptions = field(default_factory=TileOptions)
    plots: PlotOptions = field(default_factory=PlotOptions)
    dataset: DatasetOptions = field(default_factory=DatasetOptions)
    record: RecordTable | None = None
    sites: tuple[Site, ...] = ()

    def __post_init__(self) -> None:
        Options.__post_init__(self)
        if self.schema_version != SCHEMA_VERSION:
            raise InputError(f"`schema_version={self.schema_version}` is of another spurgekit; this one knows {SCHEMA_VERSION}")
        _check_date(self.date)
        if not is_line(self.name):
            raise InputError(f"`name={shown(self.name)}` is no line of text; name the survey")
        try:
            check_classes(self.classes)
        except InputError as error:
            raise InputError(f"`classes`: {error}") from error
        names = [site.name for site in self.sites]
        if len(set(names)) < len(names):
            raise InputError("two sites have the same name")
        for name in self.record.taxa if self.record else ():
            if name not in self.classes[1:]:
                raise InputError(f"record.taxa: {shown(name)} is no class but the first{known_names(name, self.classes[1:])}")

    def date_of(self, site: str) -> dt.date | None:
        """Return the day of the flight over a site, as far as the survey says it."""
        return next((one.date for one in self.sites if one.name == site and one.date), self.date)

    def path(self, path: Path) -> Path:
        """Return a path of the survey's file as seen from here."""
        return self.folder / path

    def seen_from_here(self, options: Table) -> Table:
        """Return options of the survey's file with their paths as seen from here."""
        paths = {
            name: getattr(options, name) for name, kind in kinds_of(type(options)).items() if without_none(kind)[0] is Path
        }
        seen = {name: self.path(path) for name, path in paths.items() if path is not None}
        return replace(options, **seen)  # type: ignore[type-var]

    @property
    def images(self) -> dict[str, ImageName]:
        """The image of each site by its name."""
        return {site.name: self.path(site.image) if isinstance(site.image, Path) else site.image for site in self.sites}


def read_survey(folder: str | Path) -> Survey:
    """Read the ``survey.toml`` of a folder.

    Parameters
    ----------
    folder : str or pathlib.Path

    Returns
    -------
    Survey

    Raises
    ------
    InputError
        If it is missing or says something that it cannot; the message names the entry.
    """
    file = Path(folder) / FILE_NAME
    if not file.is_file():
        raise InputError(f"{file}: no such file; make a survey with 'spurgekit init NAME'")
    entries = read_toml(file, "save it as text in UTF-8")
    try:
        for name, kind in (("tiles", TileOptions), ("plots", PlotOptions), ("dataset", DatasetOptions)):
            if name in entries:
                entries[name] = _read_table(kind, entries[name], name)
        if "record" in entries:
            entries["record"] = _read_record(entries["record"])
        sites = entries.get("sites", [])
        if not isinstance(sites, list):
            raise InputError(f"sites: these are tables, [[sites]], not {shown(sites)}")
        entries["sites"] = [_read_table(Site, entry, f"sites.{number}") for number, entry in enumerate(sites)]
        return _read_table(Survey, {**entries, "folder": Path(folder)}, "")
    except InputError as error:
        raise InputError(f"{file}: {error}") from error


def find_survey(folder: str | Path = Path()) -> Survey | None:
    """Return the survey of a folder, or None if it is not one's."""
    return read_survey(folder) if (Path(folder) / FILE_NAME).is_file() else None


def _read_record(entries: object) -> RecordTable:
    """Return what the table ``[record]`` says, with those of its taxa."""
    if isinstance(entries, Mapping) and isinstance(taxa := entries.get("taxa"), Mapping):
        read = {name: _read_table(Taxon, entry, f"record.taxa.{shown(name, quotes=False)}") for name, entry in taxa.items()}
        entries = {**entries, "taxa": read}
    elif isinstance(entries, Mapping) and "taxa" in entries:
        raise InputError('record.taxa: these are tables, such as [record.taxa."leafy spurge"]')
    return _read_table(RecordTable, entries, "record")


def _check_date(date: object) -> None:
    if date is not None and not isinstance(date, dt.date):
        raise InputError(f"`date={date!r}` is not a date such as 2026-06-14")


def _read_table(cls: type[Table], entries: object, where: str) -> Table:
    """Return the options that a table of the file stands for; messages name its entries as ``table.entry``."""
    start = f"{where}." if where else ""
    if not isinstance(entries, Mapping):
        raise InputError(f"{where}: this is a table, not {shown(entries)}")
    fields = {entry.name: entry for entry in dataclasses.fields(cls)}  # type: ignore[arg-type]
    known = [name for name in fields if not (cls is TileOptions and name == "plots") and name != "folder"]
    for name in entries:
        if name not in known and name != "folder":
            raise InputError(f"{start}{name}: there is no such entry{known_names(name, known)}")
    for name, entry in fields.items():
        if name not in entries and entry.default is entry.default_factory is dataclasses.MISSING:
            raise InputError(f"{start}{name}: this entry is missing")
    try:
        return cls(**entries)
    except InputError as error:
        raise InputError(_in_toml(str(error), where)) from error


def _in_toml(message: str, where: str) -> str:
    """Return a message of options as one about entries of the file: ``tiles.size_px: 0 leaves nothing``.

    >>> _in_toml("`size_px=0` leaves nothing; pass 1 or more", "tiles")
    'tiles.size_px: 0 leaves nothing; pass 1 or more'
    >>> _in_toml("`snap_m` needs `file`", "plots")
    'plots: snap_m needs file'
    """
    start = f"{where}." if where else ""
    if match := re.match(r"`(\w+)(?:=([^`]*)`|`:) ?", message):
        rest = message[match.end() :]
        message = f"{start}{match[1]}: {f'{match[2]} ' if match[2] else ''}{rest}"
    elif where:
        message = f"{where}: {message}"
    return spelled(message, lambda name, value: name if value is None else f"{name} = {value}")


TEMPLATE = """\
# A survey for spurgekit. Commands run in this folder take what is said here:
#   spurgekit tile;  spurgekit build-dataset;  spurgekit train;  spurgekit map --model models/probe
schema_version = 1
name = "{name}"
# date = 2026-06-14

# The classes, absence first.
classes = ["no spurge", "leafy spurge"]

# Where it is known what grows: points, or polygons drawn in QGIS. With a column "label" that holds one of the classes;
# polygons without one are all of the second class, and ground without a polygon is of the first. Or a raster: 0, 1, ...
# labels = "weed.gpkg"

# The coordinate reference system of imagery that does not say its own, or that is in degrees.
# crs = "EPSG:32612"
# The one that its coordinates are in, where its files do not say it or say it wrongly.
# image_crs = "EPSG:4326"

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

# What records for weed databases say besides what is on the map ('spurgekit export MAP --for records'). Names of taxa are those
# of the flora that you go by; of several weed classes, each has a table of its own: [record.taxa."leafy spurge"]
# [record]
# scientific_name = "Genus species Author"
# taxon_id = "https://www.gbif.org/species/0"
# taxon_rank = "species"
# kingdom = "Plantae"
# observer = "Ada Field"
# organisation = "Bear Creek Weed District"
# country = "United States"
# country_code = "US"
# state = "Montana"
# county = "Gallatin"
# habitat = "rangeland"
# land_owner = "private"
# How far off places of the orthomosaic may be, by check points; without it records do not say how well they are placed.
# positional_accuracy_m = 0.05
# rights_holder = "Bear Creek Weed District"

# One entry for each orthomosaic. Paths are relative to this folder.
# [[sites]]
# name = "north-pasture"
# image = "north-pasture.tif"
# date = 2026-06-14
"""

GITIGNORE = "tiles/\ndataset/\naugmented/\nmodels/\nmaps/\n"


def init_survey(folder: str | Path) -> Path:
    """Make a folder with a commented ``survey.toml`` and a ``.gitignore`` for what the commands make.

    Parameters
    ----------
    folder : str or pathlib.Path
        One that is there is taken as it is, unless it has such a file.

    Returns
    -------
    pathlib.Path
        The ``survey.toml``.

    Raises
    ------
    OutputExistsError
        If there is one already, or the folder is a file.
    """
    folder = Path(folder)
    file = folder / FILE_NAME
    if file.exists():
        raise OutputExistsError(f"{file} exists already; edit it, or pass another name")
    if folder.exists() and not folder.is_dir():
        raise OutputExistsError(f"{folder} is a file; pass another name")
    folder.mkdir(parents=True, exist_ok=True)
    name = folder.resolve().name.replace("\\", "\\\\").replace('"', '\\"')
    file.write_text(TEMPLATE.format(name=name), encoding="utf-8", newline="\n")
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text(GITIGNORE, encoding="utf-8", newline="\n")
    return file
