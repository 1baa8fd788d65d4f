"""Masks from images, polygons and rasters, laid over tiles as these lie on the ground."""

import shutil
from io import BytesIO
from pathlib import Path

import cv2
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from affine import Affine
from PIL import Image
from rasterio.features import rasterize
from shapely import Point, Polygon
from shapely.affinity import affine_transform, rotate

from spurgekit.augment.edit_masks import grow
from spurgekit.augment.mask_options import MaskOptions
from spurgekit.augment.mask_sources import MaskSource, encode_masks
from spurgekit.dataset import DatasetOptions, build_dataset, open_dataset
from spurgekit.dataset.reader import Dataset
from spurgekit.errors import InputError
from spurgekit.tiles import PlotOptions, TileOptions, tile_images
from tests.conftest import CORNER
from tests.dataset import add_columns
from tests.tiles import ramp, read_tile

GSD = 0.1
HEIGHT, WIDTH, TILE = 120, 240, 40
"""The site: 3 x 6 tiles of 40 px of 10 cm."""

NORTH_UP = Affine(GSD, 0, CORNER[0], 0, -GSD, CORNER[1])
TURNED = NORTH_UP @ Affine.rotation(28)
OUTLINE = [(-22, -25), (17, -25), (17, -13), (-8, -13), (-8, -3), (9, -3), (9, 9), (-22, 24)]
WEED = [Polygon(np.add(OUTLINE, (col + 0.13, row - 0.29))) for col, row in [(60, 60), (180, 60)]]
"""Two shapes that are not the same turned or mirrored, in pixels of the site."""


def on_ground(shapes, transform=NORTH_UP):
    """Shapes in pixels of the site, as a layer on the map."""
    t = transform
    placed = [affine_transform(shape, (t.a, t.b, t.d, t.e, t.c, t.f)) for shape in shapes]
    return gpd.GeoDataFrame(geometry=placed, crs="EPSG:32612")


def is_weed(height=HEIGHT, width=WIDTH):
    return rasterize(WEED, (height, width), dtype=np.uint8) > 0


def build(folder, *, plots=None, transform=NORTH_UP, file_format="png"):
    """The dataset of a site on which weed is bright: of its grid, or of its plots' quarters."""
    image = folder / "site.tif"
    options = TileOptions(size_px=TILE, file_format=file_format)
    if plots is not None:
        plots.to_file(folder / "plots.gpkg")
        options = TileOptions(size_px=20, layout="plots", plots=PlotOptions(file=folder / "plots.gpkg"))
    tile_images([image], folder / "tiles", options)
    index = gpd.read_parquet(folder / "tiles" / "tiles.parquet")
    in_test = index["col"] >= 4 if plots is None else index["plot"].astype(str) == "2"
    add_columns(folder / "tiles", label=["sand", "weed"] * (len(index) // 2), split=np.where(in_test, "test", "train"))
    build_dataset(folder / "tiles", folder / "dataset", DatasetOptions(split_column="split", buffer_m=0.0))
    return open_dataset(folder / "dataset")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def site(folder, make_tif):
    """Build the dataset: ``site(transform=TURNED)``."""

    def make(**how):
        drawn = np.where(is_weed(), 180, 10) + ramp(3, HEIGHT, WIDTH) % 40  # no two tiles are the same
        make_tif(folder / "site.tif", drawn.astype(np.uint8), transform=how.get("transform", NORTH_UP))
        return build(folder, **how)

    return make


def rows_of(dataset):
    return pd.concat([dataset.split("train"), dataset.split("test")], ignore_index=True)


def bright(row):
    """Where the picture of a tile itself shows weed."""
    return read_tile(Path(row["path"]))[0] > 125


def assert_as_in_the_pictures(source, rows, off_px=0):
    """Masks are what the tiles show, but for a strip along the edges of the weed."""
    assert len(rows) > 4
    seen = 0
    for _, row in rows.iterrows():
        shown, mask = bright(row), source.mask(row)
        assert mask.shape == shown.shape
        sure = ~(grow(shown, off_px) & grow(~shown, off_px)) if off_px else np.ones_like(shown)
        assert (mask == shown)[sure].all(), row["tile_id"]
        seen += shown.any()
    assert seen > 4


class TestPolygons:
    @pytest.mark.parametrize("transform", [NORTH_UP, TURNED], ids=["north up", "turned"])
    def test_lie_where_the_site_shows_them(self, folder, site, transform):
        dataset = site(transform=transform)
        on_ground(WEED, transform).to_file(folder / "weed.gpkg")
        assert_as_in_the_pictures(MaskSource.open(folder / "weed.gpkg", dataset), rows_of(dataset))

    def test_lie_where_plots_that_are_turned_show_them(self, folder, site):
        plots = on_ground([rotate(shapely.box(c - 26, 34, c + 26, 86), angle) for c, angle in ((60, 31), (180, 200))])
        dataset = site(plots=plots)
        on_ground(WEED).to_file(folder / "weed.gpkg")
        assert_as_in_the_pictures(MaskSource.open(folder / "weed.gpkg", dataset), rows_of(dataset), off_px=1)

    @pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:32613"])
    def test_in_another_crs(self, folder, site, crs):
        dataset = site()
        on_ground(WEED).to_crs(crs).to_file(folder / "weed.gpkg")
        assert_as_in_the_pictures(MaskSource.open(folder / "weed.gpkg", dataset), rows_of(dataset))

    def test_of_a_layer_that_is_named(self, folder, site):
        dataset = site()
        on_ground(WEED).to_file(folder / "a.gpkg", layer="weed")
        on_ground(WEED[:1]).to_file(folder / "a.gpkg", layer="trail")
        assert_as_in_the_pictures(MaskSource.open(Path(f"{folder / 'a.gpkg'}|layername=weed"), dataset), rows_of(dataset))

    def test_with_holes_and_edges_that_cross(self, folder, site):
        dataset = site()
        ring = shapely.box(5, 5, 35, 35).difference(shapely.box(15, 15, 25, 25))
        bow_tie = Polygon([(40, 0), (80, 40), (80, 0), (40, 40)])
        on_ground([ring, bow_tie]).to_file(folder / "weed.gpkg")
        source, rows = MaskSource.open(folder / "weed.gpkg", dataset), rows_of(dataset).set_index("tile_id", drop=False)
        assert source.mask(rows.loc["site_r00000_c00000"]).sum() == 30**2 - 10**2
        assert source.mask(rows.loc["site_r00000_c00001"]).sum() == pytest.approx(2 * 20**2, abs=TILE)
        assert not source.mask(rows.loc["site_r00001_c00000"]).any()  # which it touches

    @pytest.mark.filterwarnings("ignore:'crs' was not provided")
    def test_whose_crs_is_declared(self, folder, site):
        dataset = site()
        on_ground(WEED).set_crs(None, allow_override=True).to_file(folder / "weed.shp")
        with pytest.raises(InputError, match=r"weed\.shp does not say its CRS; pass `mask_crs`"):
            MaskSource.open(folder / "weed.shp", dataset)
        assert_as_in_the_pictures(MaskSource.open(folder / "weed.shp", dataset, crs="EPSG:32612"), rows_of(dataset))


class TestPlacesOfTiles:
    def imagefolder(self, folder, table=None, **options):
        """A dataset of images that spurgekit did not cut, in folders of their classes."""
        for side in ("train", "test"):
            shutil.copytree(folder / "dataset" / side, folder / "images" / side, ignore=shutil.ignore_patterns("*.csv"))
        if table is not None:
            table.to_csv(folder / "images" / "metadata.csv", index=False)
        chosen = DatasetOptions(split_column="split", buffer_m=0.0, **options)
        build_dataset(folder / "images", folder / "again", chosen)
        return open_dataset(folder / "again")

    def test_of_geotiffs_are_their_own(self, folder, site):
        site(transform=TURNED, file_format="tif")
        dataset = self.imagefolder(folder)
        assert dataset.info.crs is None
        on_ground(WEED, TURNED).to_crs("EPSG:4326").to_file(folder / "weed.gpkg")
        assert_as_in_the_pictures(MaskSource.open(folder / "weed.gpkg", dataset), rows_of(dataset))

    @pytest.mark.parametrize("with_index", [True, False])
    def test_of_other_images_are_squares_around_their_coordinates(self, folder, site, with_index):
        rows = rows_of(site())
        table = rows[["easting", "northing"]].assign(
            file_name=[path.relative_to(folder / "dataset").as_posix() for path in rows["path"]]
        )
        dataset = self.imagefolder(folder, table, gsd_m=GSD, crs="EPSG:32612")
        if not with_index:  # as on the Hub
            (dataset.path / "tiles.parquet").unlink()
        on_ground(WEED).to_file(folder / "weed.gpkg")
        assert_as_in_the_pictures(MaskSource.open(folder / "weed.gpkg", dataset), rows_of(dataset))

    def test_that_are_squares_of_feet(self, folder, site):
        dataset = site()
        on_ground(WEED).to_file(folder / "weed.gpkg")
        rows = rows_of(dataset)
        places = gpd.points_from_xy(rows["easting"], rows["northing"], crs=32612).to_crs(2256)  # Montana in international feet
        (dataset.path / "tiles.parquet").unlink()
        in_feet = Dataset(dataset.path, dataset.info.model_copy(update={"crs": "EPSG:2256"}))
        rows = rows.assign(easting=places.x, northing=places.y)
        # Its north is 1.1 degrees off, which at the corner of a tile is half a pixel.
        assert_as_in_the_pictures(MaskSource.open(folder / "weed.gpkg", in_feet), rows, off_px=1)

    def test_that_nobody_knows(self, folder, site):
        site()
        dataset = self.imagefolder(folder)
        on_ground(WEED).to_file(folder / "weed.gpkg")
        with pytest.raises(
            InputError, match=r"again does not say where its tiles lie, .* pass a folder of masks named by tile"
        ):
            MaskSource.open(folder / "weed.gpkg", dataset)

    def test_of_a_plot_whose_turn_nobody_knows(self, folder, site):
        dataset = site(plots=on_ground([shapely.box(c - 26, 34, c + 26, 86) for c in (60, 180)]))
        (dataset.path / "tiles.parquet").unlink()
        on_ground(WEED).to_file(folder / "weed.gpkg")
        source = MaskSource.open(folder / "weed.gpkg", dataset)
        with pytest.raises(InputError, match=r"tile site_1_NW is of plot 1, and nothing says which way that is turned"):
            source.mask(dataset.split("train").iloc[0])


class TestRasters:
    def write(self, folder, make_tif, **how):
        return make_tif(folder / "mask.tif", is_weed()[None].astype(np.uint8), **{"transform": NORTH_UP, **how})

    @pytest.mark.parametrize("transform", [NORTH_UP, TURNED], ids=["north up", "turned"])
    def test_of_the_sites_own_pixels(self, folder, site, make_tif, transform):
        dataset = site(transform=transform)
        path = self.write(folder, make_tif, transform=transform, nodata=0)
        assert_as_in_the_pictures(MaskSource.open(path, dataset), rows_of(dataset))

    def test_below_plots_that_are_turned(self, folder, site, make_tif):
        plots = on_ground([rotate(shapely.box(c - 26, 34, c + 26, 86), angle) for c, angle in ((60, 31), (180, 200))])
        dataset = site(plots=plots)
        assert_as_in_the_pictures(MaskSource.open(self.write(folder, make_tif), dataset), rows_of(dataset), off_px=2)

    def test_coarser_in_another_crs_and_smaller_than_the_site(self, folder, site, make_tif):
        """Pixels of 2 m in degrees, of which one holds 20 x 20 of the tiles'."""
        dataset = site()
        corner = gpd.GeoSeries([Point(CORNER)], crs=32612).to_crs(4326)[0]
        east = gpd.GeoSeries([Point(CORNER[0] + 2, CORNER[1])], crs=32612).to_crs(4326)[0].x - corner.x
        south = corner.y - gpd.GeoSeries([Point(CORNER[0], CORNER[1] - 2)], crs=32612).to_crs(4326)[0].y
        cells = np.array([[[0, 7, 255], [3, 0, 0]]], np.uint8)
        path = make_tif(
            folder / "m.tif", cells, crs="EPSG:4326", transform=Affine(east, 0, corner.x, 0, -south, corner.y), nodata=255
        )
        source, rows = MaskSource.open(path, dataset), rows_of(dataset).set_index("tile_id", drop=False)
        first = source.mask(rows.loc["site_r00000_c00000"])
        assert first[:20, 20:].all()
        assert first[20:, :20].all()
        assert first.sum() == 2 * 20 * 20
        assert not source.mask(rows.loc["site_r00000_c00001"]).any()  # no data, and beyond the raster

    def test_that_cannot_be_masks(self, folder, site, make_tif):
        dataset = site()
        path = self.write(folder, make_tif, crs=None)
        with pytest.raises(InputError, match=r"mask\.tif does not say its CRS; pass `mask_crs`"):
            MaskSource.open(path, dataset)
        assert_as_in_the_pictures(MaskSource.open(path, dataset, crs="EPSG:32612"), rows_of(dataset))
        with pytest.raises(InputError, match=r"site\.tif has 3 bands, and a mask one"):
            MaskSource.open(folder / "site.tif", dataset)
        Image.new("L", (40, 40)).save(folder / "m.png")
        with pytest.raises(InputError, match=r"m\.png is not georeferenced; georeference it, or pass a folder of masks"):
            MaskSource.open(folder / "m.png", dataset)
        path.write_bytes(path.read_bytes()[:100])
        with pytest.raises(InputError, match=r"mask\.tif is not an image that GDAL can read"):
            MaskSource.open(path, dataset)


class TestImages:
    @pytest.fixture
    def masks(self, folder, site):
        """A dataset and a folder of masks: 1 pixel, all pixels, none."""
        dataset = site()
        (folder / "masks").mkdir()
        for row, value in zip(dataset.split("train").itertuples(), (1, TILE), strict=False):
            mask = np.zeros((TILE, TILE), np.uint8)
            mask[:value, :value] = 255
            Image.fromarray(mask).save(folder / "masks" / f"{row.tile_id}.png")
        return dataset, folder / "masks"

    def test_are_found_by_the_names_of_tiles(self, masks):
        dataset, path = masks
        source, rows = MaskSource.open(path, dataset), dataset.split("train")
        assert [int(source.mask(row).sum()) for _, row in rows.iloc[:3].iterrows()] == [1, TILE**2, 0]

    def test_are_in_where_brighter_than_half(self, masks):
        dataset, path = masks
        row = dataset.split("train").iloc[0]
        grey = np.arange(TILE**2).reshape(TILE, TILE) % 256
        for mode in ("L", "RGB", "RGBA"):
            Image.fromarray(grey.astype(np.uint8)).convert(mode).save(path / f"{row['tile_id']}.png")
            assert (MaskSource.open(path, dataset).mask(row) == (grey > 127)).all()

    @pytest.mark.parametrize(
        ("image", "message"),
        [
            (
                np.full((TILE, TILE), 1, np.uint8),
                "is no brighter than 1; write masks with 255 where the mask is, and 0 elsewhere",
            ),
            (np.full((30, 20), 255, np.uint8), "is 20 x 30 px, and its tile 40 px; make it of the tile's size"),
            (np.full((TILE, TILE), 65535, np.uint16), "is not of 8 bit; write masks as 8-bit images, 255 where the mask is"),
            (None, "is damaged or no image; write it again"),
        ],
    )
    def test_that_cannot_be_masks(self, masks, image, message):
        dataset, path = masks
        row = dataset.split("train").iloc[0]
        file = path / f"{row['tile_id']}.png"
        file.write_bytes(b"\x89PNG\r\n" if image is None else cv2.imencode(".png", image)[1])
        with pytest.raises(InputError) as error:
            MaskSource.open(path, dataset).mask(row)
        assert str(error.value) == f"{file} {message}"

    def test_that_are_of_other_tiles(self, masks):
        dataset, path = masks
        for file in path.iterdir():
            file.rename(path / f"mask_{file.name}")
        with pytest.raises(
            InputError, match=r"masks holds no mask of a tile of .*dataset; name masks by tile, such as site_r00000"
        ):
            MaskSource.open(path, dataset)


class TestOpening:
    def test_nothing(self, folder, site):
        with pytest.raises(InputError, match=r"a\.gpkg: no such file or folder; a mask is a folder of images, a file of poly"):
            MaskSource.open(folder / "a.gpkg", site())

    def test_a_layer_without_rows(self, folder, site):
        on_ground(WEED).iloc[:0].to_file(folder / "a.gpkg")
        with pytest.raises(InputError, match=r"a\.gpkg holds no geometries"):
            MaskSource.open(folder / "a.gpkg", site())

    def test_points(self, folder, site):
        on_ground([*WEED, Point(3, 4)]).to_file(folder / "a.geojson")
        with pytest.raises(
            InputError, match=r"a\.geojson holds Points, and a mask is of polygons; draw polygons, or buffer them"
        ):
            MaskSource.open(folder / "a.geojson", site())

    def test_a_file_that_is_cut_off(self, folder, site):
        on_ground(WEED).to_file(folder / "a.gpkg")
        (folder / "a.gpkg").write_bytes((folder / "a.gpkg").read_bytes()[:50])
        with pytest.raises(InputError, match=r"a\.gpkg is not a vector file that can be read"):
            MaskSource.open(folder / "a.gpkg", site())


class TestWriting:
    @pytest.fixture
    def drawn(self, folder, site):
        """A source with weed on the middle rows of tiles, and one tile all weed; and the rows of tiles."""
        dataset = site()
        on_ground([*WEED, shapely.box(-9, -9, 40, 40)]).to_file(folder / "weed.gpkg")
        rows = rows_of(dataset)
        return MaskSource.open(folder / "weed.gpkg", dataset), rows.set_index("tile_id", drop=False)

    def read(self, encoded):
        with Image.open(BytesIO(encoded)) as image:
            assert image.mode == "L"
            return np.asarray(image)

    def test_what_may_change(self, drawn):
        source, rows = drawn
        row = rows.loc["site_r00001_c00001"]
        made = encode_masks(source, rows.loc[[row["tile_id"]]], MaskOptions(dilate_px=3, feather_px=2))
        assert list(made) == ["site_r00001_c00001"]
        written = self.read(made[row["tile_id"]])
        assert ((written > 0) == grow(bright(row), 3)).all()
        assert set(np.unique(written)) >= {0, 85, 255}

    def test_grown_as_published(self, drawn):
        source, rows = drawn
        options = MaskOptions(where="outside", dilate_px=None)
        made = encode_masks(source, rows.loc[["site_r00001_c00001"]], options)
        weed = bright(rows.loc["site_r00001_c00001"])
        assert (self.read(made["site_r00001_c00001"]) == 255 * ~grow(weed, 1)).all()  # 16 px of 512 are 1.25 of 40

    def test_of_support_sets_that_share_tiles_once(self, drawn):
        source, rows = drawn
        twice = rows.loc[["site_r00001_c00001"] * 3]
        assert len(encode_masks(source, twice, MaskOptions())) == 1

    def test_tiles_that_it_misses(self, folder, drawn):
        source, rows = drawn
        asked = rows.loc[["site_r00001_c00001", "site_r00000_c00002", "site_r00002_c00002"]]
        with pytest.raises(InputError) as error:
            encode_masks(source, asked, MaskOptions())
        assert str(error.value) == (
            f"the mask {folder / 'weed.gpkg'} misses tile site_r00000_c00002 and 1 more; "
            "change it, or leave such tiles out by `skip_unmasked`"
        )
        assert list(encode_masks(source, asked, MaskOptions(skip_unmasked=True))) == ["site_r00001_c00001"]

    def test_tiles_of_which_nothing_is_left(self, drawn):
        source, rows = drawn
        asked = rows.loc[["site_r00001_c00001", "site_r00000_c00000"]]
        with pytest.raises(
            InputError, match=r"leaves nothing to change outside of it, dilated by 2 px, in tile site_r00000_c00000;"
        ):
            encode_masks(source, asked, MaskOptions(where="outside", dilate_px=2))
        with pytest.raises(
            InputError, match=r"leaves nothing to change inside of it, dilated by -30 px, in tile site_r00001_c00001;"
        ):
            encode_masks(source, asked, MaskOptions(dilate_px=-30))
        skipping = MaskOptions(where="outside", dilate_px=2, skip_unmasked=True)
        assert list(encode_masks(source, asked, skipping)) == ["site_r00001_c00001"]

    @pytest.mark.parametrize("skip", [False, True])
    def test_all_tiles_that_it_misses(self, drawn, skip):
        source, rows = drawn
        asked = rows.loc[["site_r00000_c00002", "site_r00002_c00002"]]
        with pytest.raises(InputError, match=r"misses all 2 tiles; check its CRS, and whether it is of that site"):
            encode_masks(source, asked, MaskOptions(skip_unmasked=skip))

    def test_options_that_cannot_be(self):
        with pytest.raises(InputError, match="a rim of -2 px cannot be"):
            MaskOptions(feather_px=-2)
        with pytest.raises(InputError, match=r"`where='around'` cannot be; known are inside, outside"):
            MaskOptions(where="around")
