import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS

from spurgekit.errors import ImageryError
from spurgekit.imagery import Window, open_raster

PLACE = Affine(0.02, 0, 300_000, 0, -0.02, 5_180_000)
TURNED = PLACE @ Affine.rotation(30)
CORNERS = ((0, 0), (30, 0), (30, 20), (0, 20))


def tied(path, transform, *, crs="EPSG:32612", pixels=CORNERS, off_m=0.0):
    """Write an image of 30 x 20 px that is placed by points alone, the first of them in a wrong place by so many metres."""
    places = [transform @ pixel for pixel in pixels]
    points = [GroundControlPoint(row=r, col=c, x=x, y=y) for (c, r), (x, y) in zip(pixels, places, strict=True)]
    points[0].x += off_m
    drawn = np.arange(600, dtype=np.uint16).reshape(1, 20, 30)
    with rasterio.open(path, "w", driver="GTiff", width=30, height=20, count=1, dtype="uint16", gcps=points, crs=crs) as file:
        file.write(drawn)
    return path, drawn


@pytest.mark.parametrize("transform", [PLACE, TURNED])
def test_points_on_a_grid_place_it_there(tmp_path, transform):
    path, drawn = tied(tmp_path / "a.tif", transform)
    with open_raster(path) as raster:
        assert raster.grid.transform.almost_equals(transform, 1e-6)
        assert raster.grid.is_rotated == (transform is TURNED)
        assert raster.grid.crs == "EPSG:32612"
        assert raster.gsd_m == pytest.approx(0.02)
        assert raster.notes == ("tied to the ground by 4 ground control points alone, met to 0.00 px",)
        assert (raster.read(raster.grid.window)[0] == drawn).all()


def test_it_is_resampled_from_there(tmp_path):
    path, drawn = tied(tmp_path / "a.tif", PLACE)
    with open_raster(path, gsd_m=0.04) as raster:
        assert (raster.grid.width, raster.grid.height) == (15, 10)
        pixels, valid = raster.read(Window(0, 0, 15, 10))
    assert valid.all()
    assert pixels[0, 0, 0] == pytest.approx(drawn[0, :2, :2].mean(), abs=0.5)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        # Half of 0.2 m goes into the upper side, which the grid has 0.5 m long then; a quarter stays at each corner.
        ({"off_m": 0.2}, r"no grid meets to less than 3\.0 px; warp it first: gdalwarp -tps a.tif"),
        ({"crs": CRS()}, "which say no CRS"),
        ({"pixels": CORNERS[:2]}, "which lie on a line"),
    ],
)
def test_points_that_no_grid_is_made_of_say_so(tmp_path, change, why):
    path, _ = tied(tmp_path / "a.tif", PLACE, **change)
    with open_raster(path) as raster, pytest.raises(ImageryError, match=f"a.tif is tied to the ground by .*{why}"):
        raster.gsd_m  # noqa: B018
    with pytest.raises(ImageryError, match=why):
        open_raster(path, crs="EPSG:32612")
