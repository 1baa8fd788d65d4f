"""Images that are tied to the ground by points alone: ground control points, or a sensor's polynomials (RPCs)."""

from __future__ import annotations

import numpy as np
from affine import Affine
from rasterio.io import DatasetReader

from spurgekit.image_names import ImageName
from spurgekit.imagery.nadir_frame import FramePlacement
from spurgekit.imagery.pixel_grid import PixelGrid
from spurgekit.text import counted

FEWEST = 3
"""Points that it takes for an affine map."""

MEETS_PX = 0.5
"""How far an affine map may be from its points to be the map that they stand for."""

SAME = 1e-9
"""Parts of an affine map that are this much smaller than its largest come from rounding."""


def tied_grid(path: ImageName, dataset: DatasetReader) -> FramePlacement | None:
    """Place an image by the points that its file ties it to the ground by; None where it has none.

    Parameters
    ----------
    path : pathlib.Path or GdalName
    dataset : rasterio.io.DatasetReader
        Has no geotransform.

    Returns
    -------
    FramePlacement or None
        On the affine map that meets all points to half a pixel, else without a place and with what to do.
    """
    nowhere = PixelGrid(dataset.width, dataset.height, Affine.identity())
    points, crs = dataset.gcps
    if not points:
        if dataset.rpcs is None:
            return None
        warp = f"gdalwarp -rpc -t_srs EPSG:32612 {path.name} NEW.tif"
        return FramePlacement(nowhere, unplaced=f"is tied to the ground by RPCs alone; warp it first, e.g. {warp}")
    said = f"tied to the ground by {counted(len(points), 'ground control point')} alone"
    warp = f"gdalwarp -tps {path.name} NEW.tif"
    if crs is None:
        how = f"gdal_translate -a_srs EPSG:32612 {path.name} NEW.tif"
        return FramePlacement(nowhere, unplaced=f"is {said}, which say no CRS; say it, e.g. {how}")
    pixels = np.array([[point.col, point.row, 1.0] for point in points])
    places = np.array([[point.x, point.y] for point in points])
    middle = places.mean(axis=0)
    fitted, _, rank, _ = np.linalg.lstsq(pixels, places - middle, rcond=None)
    if rank < FEWEST:
        return FramePlacement(nowhere, unplaced=f"is {said}, which lie on a line and do not place it; georeference it first")
    fitted[:2][np.abs(fitted[:2]) < SAME * np.abs(fitted[:2]).max()] = 0  # what rounding makes of an image that is not turned
    (a, d), (b, e), (c, f) = fitted.tolist()
    transform = Affine(a, b, c + middle[0], d, e, f + middle[1])
    if transform.is_degenerate:
        return FramePlacement(nowhere, unplaced=f"is {said}, which do not place it; georeference it first, e.g. in QGIS")
    cols, rows = ~transform @ tuple(places.T)
    off_px = float(np.hypot(cols - pixels[:, 0], rows - pixels[:, 1]).max())
    if off_px > MEETS_PX:
        why = f"no grid meets to less than {off_px:.1f} px; warp it first: {warp}"
        return FramePlacement(nowhere, unplaced=f"is {said}, which {why}")
    return FramePlacement(PixelGrid(dataset.width, dataset.height, transform, crs), how=f"{said}, met to {off_px:.2f} px")
