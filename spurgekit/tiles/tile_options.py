"""How to tile: what the command's options and a survey's entries come to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from spurgekit.errors import InputError
from spurgekit.imagery.target_grid import check_gsd
from spurgekit.markers.families import DEFAULT_FAMILY, DEFAULT_SIZE_M
from spurgekit.plots import PlotProtocol
from spurgekit.tiles.plot_layout import Quarters

Layout = Literal["auto", "plots", "grid", "points"]

CONTEXT, UNLABELLED = "context", "unlabelled"
"""Folders inside a tiles folder: larger tiles around the same points, and a grid over the whole site."""

CLEAR_OF_MARKER = 0.75
"""Inset in sides of a marker: half of its diagonal is 0.71 of them, so that it stays outside however it is turned."""


@dataclass(frozen=True, slots=True)
class PlotOptions:
    """Where plots come from and how they are quartered.

    Attributes
    ----------
    file : pathlib.Path, optional
        Corners or polygons, as :func:`spurgekit.plots.plot_file.read_plots` reads them. Default: the lattice of markers in the
        image.
    protocol : PlotProtocol
        The lattice. The size of plots that a file gives is its corners', unless ``size_m`` was set.
    family : str, optional
        Family of the markers, ``cross`` by default.
    marker_size_m : float, optional
        Their side or diameter, 0.45 m by default.
    marker_color : tuple of int, optional
        Red, green and blue of plain markers.
    snap_m : float, optional
        Move the corners of a file to markers within this many metres.
    field_sheet : pathlib.Path, optional
        Table with what is known of the plots; see :func:`spurgekit.plots.field_sheet.join_field_sheet`.
    gcp : pathlib.Path, optional
        Points of known coordinates, as :func:`spurgekit.markers.gcp_placement.read_control` reads them: the image is
        georeferenced by the markers on them before anything else.
    gcp_crs : str, optional
        Their CRS, where the file does not say it.
    quarters : {"crop", "full", "grid"}
        See :func:`spurgekit.tiles.plot_layout.plots_layout`.
    inset_m : float, optional
        What is kept out of tiles along the edges of plots. Default: three quarters of a marker's side, and nothing where plots
        come from a file and no size of markers is given.
    """

    file: Path | None = None
    protocol: PlotProtocol = field(default_factory=PlotProtocol)
    family: str | None = None
    marker_size_m: float | None = None
    marker_color: tuple[int, int, int] | None = None
    snap_m: float | None = None
    field_sheet: Path | None = None
    gcp: Path | None = None
    gcp_crs: str | None = None
    quarters: Quarters = "crop"
    inset_m: float | None = None

    def __post_init__(self) -> None:
        if self.snap_m is not None and self.file is None:
            raise InputError("--snap moves corners that a file gives to markers; it needs --plots FILE")
        if self.snap_m is not None and not self.snap_m > 0:
            raise InputError(f"--snap {self.snap_m} is not a distance; pass metres")
        if self.gcp_crs is not None and self.gcp is None:
            raise InputError("--gcp-crs is the CRS of --gcp FILE; pass that, too")

    @property
    def marker_family(self) -> str:
        """The family of markers that is looked for."""
        return self.family or DEFAULT_FAMILY

    @property
    def marker_side_m(self) -> float:
        """The side or diameter of the markers that are looked for."""
        return DEFAULT_SIZE_M if self.marker_size_m is None else self.marker_size_m

    @property
    def margin_m(self) -> float:
        """The inset that is used."""
        if self.inset_m is not None:
            return self.inset_m
        if self.file is not None and self.snap_m is None and self.marker_size_m is None:
            return 0.0
        return CLEAR_OF_MARKER * self.marker_side_m

    @property
    def size_m(self) -> float | None:
        """The side of the plots, where it is known beforehand."""
        return self.protocol.size_m if self.file is None or "size_m" in self.protocol.model_fields_set else None

    @property
    def inputs(self) -> list[Path]:
        """The files that it names."""
        return [path for path in (self.file, self.field_sheet, self.gcp) if path is not None]


@dataclass(frozen=True, slots=True)
class TileOptions:
    """How to tile.

    Attributes
    ----------
    layout : {"auto", "plots", "grid", "points"}
        ``auto`` is ``points`` where a file of points is given, ``plots`` where a file of plots is given or ground markers make
        the protocol's lattice, else ``grid``.
    points : pathlib.Path, optional
        Vector file or CSV whose points the tiles are centred on.
    points_crs : str, optional
        CRS of the points, the plots or the area of interest, where their file does not say it.
    size_px, overlap_px : int
        Side of a tile and what neighbours share, in pixels.
    gsd_m : float, optional
        Ground sample distance to resample to, in metres. With it, tiles of different flights cover the same ground.
    image_gsd_m : float, optional
        What a pixel of a photo measures on the ground that does not say where it was taken.
    min_valid : float
        Least share of valid pixels of a tile that is kept.
    aoi : pathlib.Path, optional
        Polygons; grid tiles that do not touch them are left out.
    bands : sequence of int, optional
        1-based bands.
    crs : str, optional
        See :func:`spurgekit.imagery.open_raster`.
    file_format : {"auto", "png", "jpg", "tif"}
        ``auto`` is PNG where the pixels fit into it, else GeoTIFF.
    plots : PlotOptions
        Where plots come from and how they are quartered.
    context_px : int, optional
        Side of a second, larger tile around each point, which shows what lies around it.
    unlabelled_px : int, optional
        Side of the tiles of a grid over the whole site, for what is learned without labels; only tiles without gaps.
    """

    layout: Layout = "auto"
    points: Path | None = None
    points_crs: str | None = None
    size_px: int = 250
    overlap_px: int = 0
    gsd_m: float | None = None
    image_gsd_m: float | None = None
    min_valid: float = 0.0
    aoi: Path | None = None
    bands: tuple[int, ...] | None = None
    crs: str | None = None
    file_format: str = "auto"
    plots: PlotOptions = PlotOptions()
    context_px: int | None = None
    unlabelled_px: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.min_valid <= 1:
            raise InputError(f"--min-valid {self.min_valid} is not a share; pass a number from 0 to 1")
        if self.gsd_m is not None:
            check_gsd(self.gsd_m)
        if self.layout == "points" and self.points is None:
            raise InputError("--layout points needs --points FILE")
        if self.layout == "grid" and self.points is not None:
            raise InputError("--layout grid does not go with --points; drop one of them")
        if self.plots.file is not None and self.chosen_layout != "plots":
            raise InputError(f"--plots goes with --layout plots, not with {self.chosen_layout}; drop one of them")
        if self.chosen_layout in ("points", "plots") and (self.overlap_px or self.aoi):
            raise InputError("--overlap and --aoi go with --layout grid only")
        if self.context_px is not None and self.chosen_layout != "points":
            raise InputError("--context is what lies around points; it needs --points FILE")
        if self.context_px is not None and self.context_px <= self.size_px:
            raise InputError(
                f"a context of {self.context_px} px shows no more than a tile of {self.size_px}; pass a larger one"
            )
        if self.unlabelled_px is not None and self.chosen_layout == "grid":
            raise InputError("a grid covers the whole site already; --unlabelled goes with points and plots")

    @property
    def chosen_layout(self) -> Layout:
        """The layout; ``auto`` where it takes a look at the image to choose it."""
        if self.layout != "auto":
            return self.layout
        if self.points is not None:
            return "points"
        if self.plots.file is not None:
            return "plots"
        return "grid" if self.overlap_px or self.aoi is not None else "auto"

    @property
    def configs(self) -> dict[str, TileOptions]:
        """How the further tiles of the same images are made, by the folder inside the tiles' own that they go to."""
        alone = replace(self, context_px=None, unlabelled_px=None)
        found = {}
        if self.context_px is not None:
            found[CONTEXT] = replace(alone, size_px=self.context_px)
        if self.unlabelled_px is not None:
            placed = PlotOptions(
                family=self.plots.family, marker_size_m=self.plots.marker_size_m, gcp=self.plots.gcp, gcp_crs=self.plots.gcp_crs
            )
            found[UNLABELLED] = replace(
                alone, layout="grid", points=None, size_px=self.unlabelled_px, min_valid=1.0, plots=placed
            )
        return found
