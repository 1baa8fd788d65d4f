"""Labels from rasters of class codes, on a row of three tiles of 4 px of 1 m."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import rasterio.warp
from affine import Affine
from shapely import Polygon

from spurgekit.dataset.raster_labels import is_raster, labels_from_raster
from spurgekit.dataset.reader import UNKNOWN
from spurgekit.errors import InputError

CRS = "EPSG:32612"
X, Y = 500_000.0, 5_000_000.0
CLASSES = ("sand", "weed")
LOCAL = 'LOCAL_CS["site grid",UNIT["metre",1]]'


def square(west, north=4, side=4):
    """Ground with its upper left corner first."""
    corners = [(west, north), (west + side, north), (west + side, north - side), (west, north - side)]
    return Polygon([(X + x, Y + y) for x, y in corners])


TILES = gpd.GeoDataFrame(
    {"tile_id": ["a", "b", "c"], "size_px": 4, "gsd_m": 1.0}, geometry=[square(x) for x in (0, 4, 8)], crs=CRS
)
CODES = np.array([[0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 1]] + [[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]] * 3, np.uint8)
"""Of 16 px none of the first tile is weed, 4 of the second, 1 of the third."""


@pytest.fixture
def write(tmp_path):
    """Writes codes as a raster whose upper left corner is that of the first tile."""

    def write(codes=CODES, *, name="weed.tif", gsd=1.0, transform=None, crs=CRS, nodata=None, mask=None, **profile):
        codes = np.asarray(codes)
        bands = codes[None] if codes.ndim == 2 else codes
        transform = transform or Affine(gsd, 0, X, 0, -gsd, Y + 4)
        profile = {"driver": "GTiff", "dtype": codes.dtype, "crs": crs, "transform": transform, "nodata": nodata, **profile}
        count, height, width = bands.shape
        with rasterio.open(tmp_path / name, "w", count=count, height=height, width=width, **profile) as file:
            file.write(bands)
            if mask is not None:
                file.write_mask(mask)
        return tmp_path / name

    return write


def labels(path, *, classes=CLASSES, min_cover=0.1, index=TILES, **options):
    return labels_from_raster(index, path, classes=classes, min_cover=min_cover, **options)


def said(found):
    return [None if pd.isna(name) else name for name in found.names], found.cover.tolist()


def masks(found, classes=CLASSES):
    return [mask.tolist() for mask in found.ground.draw([0, 1, 2], classes)]


@pytest.fixture
def refused(write):
    """Whether a raster is refused with these words."""

    def refused(match, codes=CODES, *, options=None, **how):
        with pytest.raises(InputError, match=match) as refusal:
            labels(write(codes, **how), **(options or {}))
        assert "\n" not in str(refusal.value)

    return refused


class TestClasses:
    def test_by_the_share_of_pixels(self, write):
        found = labels(write())
        assert said(found) == (["sand", "weed", None], [0, 4 / 16, 1 / 16])
        assert found.unclear.tolist() == [False, False, True]
        assert masks(found)[1] == [[1] * 4, [0] * 4, [0] * 4, [0] * 4]
        assert found.names.notna().tolist() == found.origin.eq("raster").tolist()

    def test_two_classes_that_cover_as_much_dispute_it(self, write):
        codes = np.hstack([np.zeros((4, 4)), np.ones((4, 2)), np.full((4, 2), 2), np.ones((4, 1)), np.full((4, 3), 2)])
        found = labels(write(codes.astype(np.uint8)), classes=("sand", "weed", "shrub"))
        assert said(found) == (["sand", None, "shrub"], [0, 1, 1])
        assert found.disputed.tolist() == [False, True, False]

    @pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint16", "int32", "uint32", "float32", "float64"])
    def test_whole_numbers_of_any_kind(self, write, dtype):
        assert said(labels(write(CODES.astype(dtype))))[0] == ["sand", "weed", None]


class TestUnknownGround:
    """Of the second tile the first of four rows is weed, and the last row or more is not known."""

    @staticmethod
    def without(rows):
        known = np.ones(CODES.shape, bool)
        known[4 - rows :, 4:8] = False
        return known

    @pytest.mark.parametrize(("rows", "expected"), [(1, ("weed", 4 / 12)), (2, ("weed", 4 / 8))])
    @pytest.mark.parametrize("how", ["nodata", "mask", "alpha", "NaN"])
    def test_shares_are_of_what_is_known(self, write, how, rows, expected):
        known = self.without(rows)
        if how == "nodata":
            path = write(np.where(known, CODES, 9), nodata=9)
        elif how == "mask":
            path = write(CODES, mask=known)
        elif how == "alpha":
            path = write(np.stack([CODES, np.where(known, 255, 0)]).astype(np.uint8), photometric="minisblack", alpha="yes")
        else:
            path = write(np.where(known, CODES, np.nan).astype(np.float32))
        found = labels(path)
        assert (found.names[1], found.cover[1]) == expected
        assert masks(found)[1] == [[1] * 4, *[[0] * 4] * (3 - rows), *[[UNKNOWN] * 4] * rows]
        assert found.notes == ()

    def test_with_more_than_half_of_it_there_is_no_label(self, write):
        found = labels(write(CODES, mask=self.without(3)))
        assert pd.isna(found.names[1])
        assert pd.isna(found.cover[1])
        assert not found.unclear[1]
        assert found.notes == ("1 tile of which weed.tif knows less than half has no label",)

    def test_ground_outside_of_the_raster(self, write):
        found = labels(write(CODES[:3, :10]))
        assert said(found)[0] == ["sand", "weed", None]
        assert masks(found)[2] == [[0, 0, UNKNOWN, UNKNOWN]] * 3 + [[UNKNOWN] * 4]

    def test_none_at_all_is_known(self, refused):
        refused(r"weed\.tif knows no pixel of any tile; look at its nodata value", np.zeros((4, 12), np.uint8), nodata=0)


class TestGrids:
    def test_coarser_than_the_tiles(self, write):
        found = labels(write(np.array([[0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0]], np.uint8), gsd=2))
        assert masks(found)[1] == [[1, 1, 0, 0], [1, 1, 0, 0], [0] * 4, [0] * 4]
        assert found.notes == ("pixels of weed.tif are 2 times as wide as those of tiles, and so are steps in masks",)

    def test_finer_than_the_tiles_the_pixel_under_the_centre_counts(self, write):
        codes = np.zeros((12, 36), np.uint8)
        codes[1::3, 1::3] = CODES  # the middle of each 3 x 3
        found = labels(write(codes, gsd=1 / 3))
        assert said(found)[1] == [0, 4 / 16, 1 / 16]
        assert found.notes == ()

    def test_turned_and_elsewhere(self, write):
        # Rows of the raster run to the south: it is the ground's transpose, mirrored.
        found = labels(write(np.ascontiguousarray(CODES.T), transform=Affine(0, 1, X, -1, 0, Y + 4)))
        assert said(found)[1] == [0, 4 / 16, 1 / 16]
        assert masks(found) == masks(labels(write(name="upright.tif")))

    def test_a_tile_that_lies_aslant(self, write):
        index = TILES.iloc[[1]].reset_index(drop=True)
        corners = list(index.geometry[0].exterior.coords)[:4]
        index.geometry = [Polygon(corners[1:] + corners[:1])]  # its image has the east above
        (mask,) = labels(write(), index=index).ground.draw([0], CLASSES)
        assert mask.tolist() == [[1, 0, 0, 0]] * 4

    def test_in_another_crs(self, write):
        there = "EPSG:32613"
        bounds = rasterio.warp.transform_bounds(CRS, there, X, Y, X + 12, Y + 4)
        grid = Affine(0.05, 0, bounds[0], 0, -0.05, bounds[3])
        moved = np.full((int((bounds[3] - bounds[1]) / 0.05) + 1, int((bounds[2] - bounds[0]) / 0.05) + 1), 9, np.uint8)
        rasterio.warp.reproject(
            CODES,
            moved,
            src_transform=Affine(1, 0, X, 0, -1, Y + 4),
            src_crs=CRS,
            dst_transform=grid,
            dst_crs=there,
            dst_nodata=9,
        )
        path = write(moved, transform=grid, crs=there, nodata=9)
        assert masks(labels(path)) == masks(labels(write(name="same.tif")))

    def test_whose_crs_is_said_by_the_user(self, write):
        path = write(crs=None)
        with pytest.raises(InputError, match=r"does not say its CRS; pass `declared_crs`"):
            labels(path)
        assert said(labels(path, declared_crs=CRS))[1] == [0, 4 / 16, 1 / 16]

    def test_of_a_site_without_a_place_on_earth(self, write):
        index = TILES.set_crs(LOCAL, allow_override=True)
        assert said(labels(write(crs=None), index=index))[1] == [0, 4 / 16, 1 / 16]
        with pytest.raises(InputError, match="has no place on Earth, so nothing says where it lies"):
            labels(write(), index=index)


class TestNames:
    @staticmethod
    def named(path, xml):
        path.with_name(f"{path.name}.aux.xml").write_text(
            f'<PAMDataset><PAMRasterBand band="1">{xml}</PAMRasterBand></PAMDataset>'
        )
        return path

    @staticmethod
    def categories(*names):
        return f"<CategoryNames>{''.join(f'<Category>{name}</Category>' for name in names)}</CategoryNames>"

    def test_categories_that_are_the_classes_say_which_is_which(self, write):
        path = self.named(write(1 - CODES), self.categories("Weed", "sand"))
        assert said(labels(path))[1] == [0, 4 / 16, 1 / 16]

    def test_a_table_as_qgis_writes_it(self, write):
        fields = "".join(
            f'<FieldDefn index="{i}"><Name>{name}</Name><Type>{kind}</Type><Usage>{usage}</Usage></FieldDefn>'
            for i, (name, kind, usage) in enumerate([("Value", 0, 5), ("Red", 0, 6), ("Class", 2, 2)])
        )
        rows = '<Row index="0"><F>7</F><F>0</F><F>sand</F></Row><Row index="1"><F>3</F><F>9</F><F>weed</F></Row>'
        table = f'<GDALRasterAttributeTable tableType="thematic">{fields}{rows}</GDALRasterAttributeTable>'
        found = labels(self.named(write(np.where(CODES, 3, 7).astype(np.uint8)), table))
        assert said(found)[1] == [0, 4 / 16, 1 / 16]

    def test_other_names_are_said_and_codes_are_numbers(self, write):
        found = labels(self.named(write(), self.categories("bare", "knapweed")))
        assert said(found)[1] == [0, 4 / 16, 1 / 16]
        assert found.notes == (
            "the categories of weed.tif (0: bare, 1: knapweed) are not the classes, and its codes are taken for "
            "0: sand, 1: weed",
        )

    def test_names_that_contradict_the_numbers(self, write):
        with pytest.raises(InputError, match=r"calls its code 0 'weed', which is class number 1 of sand, weed; name each"):
            labels(self.named(write(), self.categories("weed", "other")))


class TestRefused:
    def test_codes_beyond_the_classes(self, refused):
        codes = CODES.copy()
        codes[0, 0], codes[3, 11] = 7, 9
        refused(
            r"weed\.tif: 1 pixel of tiles has the code 7 and 1 other code, and the classes are 0: sand, 1: weed; name all "
            r"`classes`, or mark what nobody knows as nodata \(gdal_edit -a_nodata 7\)",
            np.where(np.arange(48).reshape(4, 12) == 0, 7, np.where(np.arange(48).reshape(4, 12) == 47, 9, CODES)).astype(
                "uint8"
            ),
        )

    def test_numbers_that_are_not_whole(self, refused):
        refused(r"weed\.tif holds 0\.5 on tiles, and codes of classes are whole numbers", CODES.astype("float32") / 2)

    def test_several_bands(self, refused):
        refused(r"weed\.tif has 3 bands; labels are in a raster of one band", np.stack([CODES] * 3))

    def test_no_numbers(self, refused):
        refused("holds complex64, and codes of classes are whole numbers", CODES.astype("complex64"))

    def test_beside_all_tiles(self, refused):
        refused(
            r"weed\.tif: none of the 3 tiles lies on it; pass `declared_crs`", transform=Affine(1, 0, X + 900, 0, -1, Y + 4)
        )

    def test_without_a_place(self, write):
        path = write(name="weed.png", driver="PNG")
        path.with_name("weed.png.aux.xml").unlink()
        with pytest.raises(InputError, match=r"does not say where its pixels lie; georeference it first"):
            labels(path)

    def test_pixels_of_no_size(self, refused):
        tiny = Affine(1e-310, 0, X + 2, 0, -1.0, Y + 4)
        refused("weed.tif: its pixels lie nowhere, or are of no size beside tiles; georeference it again", transform=tiny)

    def test_cut_off(self, write):
        path = write(np.random.default_rng(0).integers(0, 2, (400, 1200)).astype("uint8"), gsd=0.01)
        path.write_bytes(path.read_bytes()[:200_000])
        assert is_raster(path)
        with pytest.raises(InputError, match=r"rows \d+ to \d+ cannot be decoded; the file is damaged or was cut off"):
            labels(path)


def test_what_is_a_raster(write, tmp_path):
    shapes = gpd.GeoDataFrame(geometry=[square(0)], crs=CRS)
    shapes.to_file(tmp_path / "a.gpkg")
    shapes.to_file(tmp_path / "a.geojson")
    (tmp_path / "a.csv").write_text("longitude,latitude,label\n0,0,a\n")
    (tmp_path / "nonsense.gpkg").write_bytes(b"nonsense")
    for name in ("a.gpkg", "a.geojson", "a.csv", "nonsense.gpkg", "missing.tif"):
        assert not is_raster(tmp_path / name), name
    write(name="b.png", driver="PNG")
    write(name="raster.gpkg", driver="GPKG")
    write()
    for name in ("weed.tif", "b.png", "raster.gpkg"):
        assert is_raster(tmp_path / name), name
