"""Masks of tiles: what polygons say of each of their pixels."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
from affine import Affine
from PIL import Image
from rasterio.features import rasterize
from shapely import Polygon, box
from shapely.affinity import rotate, translate

from spurgekit.dataset import DatasetOptions, build_dataset, open_dataset, preview_tiles, read_mask, validate_dataset
from spurgekit.dataset.publish import own_files
from spurgekit.dataset.reader import UNKNOWN
from spurgekit.dataset.summary import describe_dataset
from spurgekit.dataset.tile_masks import DrawnGround
from spurgekit.errors import InputError
from spurgekit.imagery import PixelGrid
from spurgekit.simulate import SurveyOptions, simulate_survey
from spurgekit.tiles import PlotOptions, TileOptions, tile_images
from spurgekit.tiles.index import footprint_corners, read_tiles
from spurgekit.tiles.review_log import LOG, Decision, Opinion, append_decisions
from tests.dataset import X, Y, weed_polygons
from tests.tiles import ramp

CLASSES = ("sand", "weed", "shrub")
NORTH_UP = Polygon([(0, 4), (4, 4), (4, 0), (0, 0)])
"""Ground of a tile of 4 px of 1 m, its corners as in its image: upper left, upper right, lower right, lower left."""


def drawn(shapes, names, square=NORTH_UP, classes=CLASSES, size_px=4):
    tiles = gpd.GeoDataFrame({"size_px": [size_px]}, geometry=[square], crs="EPSG:32612")
    (mask,) = DrawnGround(tiles, np.array(shapes, object), names, classes[0]).draw([0], classes)
    return mask.tolist()


class TestPixels:
    def test_each_is_of_what_covers_its_centre(self):
        # From x 0.6 to 2.6 and y 2.4 to 4: the centres 1.5 and 2.5 of columns, and those of the two rows above.
        assert drawn([box(0.6, 2.4, 2.6, 4)], ["weed"]) == [[0, 1, 1, 0], [0, 1, 1, 0], [0] * 4, [0] * 4]

    def test_polygons_reach_beyond_the_tile_and_have_holes(self):
        ring = Polygon(box(-9, -9, 9, 9).exterior, [box(1, 1, 3, 3).exterior])
        assert drawn([ring], ["weed"]) == [[1] * 4, [1, 0, 0, 1], [1, 0, 0, 1], [1] * 4]

    def test_one_that_touches_with_a_side_covers_nothing(self):
        assert drawn([box(4, 0, 8, 4), box(-2, 4, 2, 5)], ["weed", "weed"]) == [[0] * 4] * 4

    def test_the_later_class_is_above_and_what_nobody_knows_above_all(self):
        shapes = [box(0, 0, 4, 1), box(1, 0, 4, 1), box(2, 0, 4, 1), box(3, 0, 4, 1)]
        for order in ([0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]):
            names = ["sand", "weed", "shrub", None]
            assert drawn([shapes[i] for i in order], [names[i] for i in order])[3] == [0, 1, 2, UNKNOWN]

    def test_a_class_that_the_dataset_does_not_have_is_unknown(self):
        assert drawn([box(0, 0, 1, 4)], ["moss"])[0] == [UNKNOWN, 0, 0, 0]

    def test_far_from_the_origin_of_coordinates(self):
        east, north = 499_999.7, 4_999_999.3
        away = translate(NORTH_UP, east, north)
        assert drawn([translate(box(0.6, 2.4, 2.6, 4), east, north)], ["weed"], away)[0] == [0, 1, 1, 0]


class TestTilesThatLieAslant:
    """An L of three pixels, upright in the image, wherever north is."""

    L_SHAPE = Polygon([(1, 0), (2, 0), (2, 1), (3, 1), (3, 2), (1, 2)])
    """In columns and rows of the image."""

    EXPECTED = ((0, 1, 0, 0), (0, 1, 1, 0), (0, 0, 0, 0), (0, 0, 0, 0))

    @staticmethod
    def on_ground(shape, angle, scale=0.25, mirrored=False):
        """Where pixels of a tile lie whose rows run at an angle to the east."""
        across = scale * np.array([math.cos(math.radians(angle)), math.sin(math.radians(angle))])
        down = np.array([across[1], -across[0]]) * (-1 if mirrored else 1)
        corner = np.array([X, Y])
        return Polygon([corner + col * across + row * down for col, row in shape.exterior.coords[:-1]])

    @pytest.mark.parametrize("angle", [0, 17, 45, 90, 133, 180, 270, -30])
    @pytest.mark.parametrize("mirrored", [False, True])
    def test_turned(self, angle, mirrored):
        square = self.on_ground(Polygon([(0, 0), (4, 0), (4, 4), (0, 4)]), angle, mirrored=mirrored)
        shape = self.on_ground(self.L_SHAPE, angle, mirrored=mirrored)
        assert drawn([shape], ["weed"], square) == [list(row) for row in self.EXPECTED]

    def test_seen_in_perspective(self):
        # The sides are 4 and 2 m long, so that what is the middle in the image lies at x = 8/3 m, where diagonals cross, and
        # a centre at u at 8 u / (1 + u): 0.89, 2.18, 3.08 and 3.73 m, rather than 0.5, 1.5, 2.5 and 3.5 m.
        square = Polygon([(0, 4), (4, 3), (4, 1), (0, 0)])
        assert drawn([box(0, -1, 2.2, 5)], ["weed"], square) == [[1, 1, 0, 0]] * 4
        assert drawn([box(0, -1, 2.1, 5)], ["weed"], square) == [[1, 0, 0, 0]] * 4


def test_corners_of_footprints_that_are_no_quadrilaterals():
    odd = [None, Polygon(), NORTH_UP.buffer(1), Polygon([(0, 0), (4, 0), (1, 1), (0, 4)]), box(0, 0, 1, 1).boundary]
    corners = footprint_corners(gpd.GeoSeries([NORTH_UP, *odd]))
    assert corners[0].tolist() == [[0, 4], [4, 4], [4, 0], [0, 0]]
    assert np.isnan(corners[1:]).all()


# -- in datasets ------------------------------------------------------------------------------------------------------

SHARES = (0.5, 0.02, 0.0)
"""Of tiles of 4 px under weed, on their west side, by their row and so on: two columns of pixels, too little for one, none."""

HALF = [[1, 1, 0, 0]] * 4
NOTHING = [[0] * 4] * 4


@pytest.fixture(scope="module")
def weedy(meadow, tmp_path_factory):
    """Polygons of weed over the meadow."""
    path = tmp_path_factory.mktemp("weedy") / "weed.gpkg"
    index = read_tiles(meadow)
    weed = [
        box(west, south, west + SHARES[row % 3] * (east - west), north)
        for row, (west, south, east, north) in zip(index["row"], index.geometry.bounds.to_numpy(), strict=True)
        if SHARES[row % 3]
    ]
    gpd.GeoDataFrame(geometry=weed, crs=index.crs).to_file(path)
    return path


def build(tiles, out, weedy, **options):
    return build_dataset(
        tiles, out, DatasetOptions(**{"labels": weedy, "classes": ("sand", "weed"), "block_m": 0.24, **options})
    )


@pytest.fixture(scope="module")
def built(meadow, weedy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("masks") / "dataset"
    return folder, build(meadow, folder, weedy)


@pytest.fixture
def own(built, tmp_path):
    """A copy of the dataset, to do with as one likes."""
    return Path(shutil.copytree(built[0], tmp_path / "dataset"))


def masks_of(folder, rows):
    return [None if path is None else read_mask(path, 4).tolist() for path in open_dataset(folder).masks(rows)]


class TestDataset:
    def test_every_tile_has_one_train_test_and_unclear(self, built):
        folder, info = built
        data = open_dataset(folder)
        assert info.masks
        count = 0
        for side in ("train", "test"):
            rows = data.split(side)
            assert masks_of(folder, rows) == [HALF if name == "weed" else NOTHING for name in rows["class"]]
            assert masks_of(folder, data.unclear(side)) == [NOTHING] * len(data.unclear(side))  # no pixel's centre is covered
            count += len(rows) + len(data.unclear(side))
        assert len(list((folder / "masks").iterdir())) == count
        assert validate_dataset(folder) == []
        assert f"masks      of {count} tiles in masks" in describe_dataset(data)
        assert "`masks/` has the mask of each tile" in (folder / "README.md").read_text()

    def test_again_they_are_the_same_bytes(self, built, meadow, weedy, tmp_path):
        build(meadow, tmp_path / "again", weedy)
        for mask in (built[0] / "masks").iterdir():
            assert mask.read_bytes() == (tmp_path / "again" / "masks" / mask.name).read_bytes()

    def test_of_labels_of_whole_tiles_there_are_none(self, meadow, tmp_path):
        info = build_dataset(meadow, tmp_path / "dataset", DatasetOptions(label_column="kind"))
        assert not info.masks
        assert not (tmp_path / "dataset" / "masks").exists()
        with pytest.raises(InputError, match="has no masks; label its tiles by polygons or a mask, and build it again"):
            open_dataset(tmp_path / "dataset").masks(pd.DataFrame({"tile_id": ["a"]}))

    def test_a_tile_without_one(self, built):
        rows = pd.DataFrame({"tile_id": ["nobody", "../train", "meadow_r00000_c00000"]})
        assert open_dataset(built[0]).masks(rows) == [None, None, built[0] / "masks" / "meadow_r00000_c00000.png"]

    def test_hugging_face_takes_them_for_no_images(self, tmp_path, make_tif, monkeypatch):
        """Even of a site that is called as splits are, whose masks have its name."""
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        datasets = pytest.importorskip("datasets")
        datasets.disable_progress_bars()
        tile_images([make_tif(tmp_path / "test.tif", ramp(3, 30, 80))], tmp_path / "tiles", TileOptions(size_px=10))
        weed_polygons().to_file(tmp_path / "weed.gpkg")
        info = build_dataset(tmp_path / "tiles", tmp_path / "dataset", DatasetOptions(labels=tmp_path / "weed.gpkg"))
        assert info.masks
        loaded = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "dataset"), cache_dir=str(tmp_path / "cache"))
        assert {side: split.num_rows for side, split in loaded.items()} == {
            side: sum(counts.values()) for side, counts in info.counts.items()
        }
        assert loaded["train"][0]["image"].mode == "RGB"
        hub = datasets.load_dataset(str(tmp_path / "dataset"), cache_dir=str(tmp_path / "cache"))
        assert {side: split.num_rows for side, split in hub.items()} == {s: split.num_rows for s, split in loaded.items()}

    def test_ground_of_a_class_that_no_tile_is_of_is_unknown_and_said(self, meadow, weedy, tmp_path):
        weed = gpd.read_file(weedy).assign(label="weed")
        west, _, _, north = read_tiles(meadow).geometry[2 * 20].bounds  # of the third row, which has no weed
        moss = gpd.GeoDataFrame({"label": ["moss"]}, geometry=[box(west, north - 0.01, west + 0.01, north)], crs=weed.crs)
        pd.concat([weed, moss]).to_file(tmp_path / "both.gpkg")
        info = build(meadow, tmp_path / "dataset", tmp_path / "both.gpkg", min_cover=0.1)
        assert "no tile is of 'moss', and its ground counts as unknown in masks" in info.notes
        (mask,) = masks_of(tmp_path / "dataset", pd.DataFrame({"tile_id": ["meadow_r00002_c00000"]}))
        assert mask == [[UNKNOWN, 0, 0, 0], *[[0] * 4] * 3]

    def test_a_dataset_built_of_it_has_them_still(self, built, tmp_path):
        info = build_dataset(built[0], tmp_path / "dataset", DatasetOptions(classes=("weed", "sand"), block_m=0.24))
        assert info.masks
        rows = open_dataset(tmp_path / "dataset").split("train")
        swapped = [[0, 0, 1, 1]] * 4  # as the classes are
        assert masks_of(tmp_path / "dataset", rows) == [swapped if name == "weed" else [[1] * 4] * 4 for name in rows["class"]]
        assert validate_dataset(tmp_path / "dataset") == []

    def test_of_several_surveys(self, meadow, weedy, tmp_path):
        """Two surveys of one name of tiles, in two CRSs: each mask is that of its own ground."""
        for name, epsg in (("north", 32612), ("south", 32611)):
            index = read_tiles(meadow)
            (tmp_path / name / "tiles").mkdir(parents=True)
            for image in meadow.glob("*.png"):
                (tmp_path / name / "tiles" / image.name).symlink_to(image)
            index = index if name == "north" else index.set_geometry(index.geometry.translate(100_000)).to_crs(f"EPSG:{epsg}")
            index.to_parquet(tmp_path / name / "tiles" / "tiles.parquet")
            weed = gpd.read_file(weedy)
            weed = weed if name == "north" else weed.set_geometry(weed.translate(100_000)).to_crs(f"EPSG:{epsg}")
            weed.to_file(tmp_path / name / "weed.gpkg")
            (tmp_path / name / "survey.toml").write_text(
                f'name = "{name}"\nlabels = "weed.gpkg"\nclasses = ["sand", "weed"]\n[[sites]]\nname = "x"\nimage = "x.tif"\n'
            )
        build_dataset(
            [tmp_path / name / "tiles" for name in ("north", "south")], tmp_path / "dataset", DatasetOptions(block_m=0.24)
        )
        rows = open_dataset(tmp_path / "dataset").split("train")
        assert set(rows["survey"]) == {"north", "south"}
        assert masks_of(tmp_path / "dataset", rows) == [HALF if name == "weed" else NOTHING for name in rows["class"]]

    def test_crops_have_them_and_their_context_has_not(self, tmp_path, make_tif):
        image = make_tif(tmp_path / "site.tif", ramp(3, 60, 60))
        x, y = np.array([(10, 10), (20, 10), (40, 40), (50, 40)]).T
        points = gpd.GeoDataFrame(geometry=gpd.points_from_xy(X + x * 0.01, Y - y * 0.01), crs="EPSG:32612")
        points.to_file(tmp_path / "points.gpkg")
        tile_images([image], tmp_path / "tiles", TileOptions(points=tmp_path / "points.gpkg", size_px=4, context_px=8))
        weed = [box(X + x * 0.01, Y - 0.6, X + (x + 5) * 0.01, Y) for x in (20, 50)]  # the right half of two crops
        gpd.GeoDataFrame(geometry=weed, crs="EPSG:32612").to_file(tmp_path / "weed.gpkg")
        options = DatasetOptions(labels=tmp_path / "weed.gpkg", cluster_distance_m=0.15)
        build_dataset(tmp_path / "tiles", tmp_path / "dataset", options)
        crop, context = (open_dataset(tmp_path / "dataset" / name) for name in ("crop", "context"))
        assert (crop.info.masks, context.info.masks) == (True, False)
        rows = crop.split("train")
        assert masks_of(crop.path, rows) == [[[0, 0, 1, 1]] * 4 if name == "present" else NOTHING for name in rows["class"]]
        assert not (context.path / "masks").exists()
        assert validate_dataset(tmp_path / "dataset") == []


class TestEveryKindOfTile:
    """What is painted on the ground is drawn as a polygon, too: a mask is where the tile shows it."""

    GROUND = PixelGrid(240, 240, Affine(0.01, 0, X, 0, -0.01, Y), rasterio.crs.CRS.from_epsg(32612))
    SHAPE = Polygon([(30, 20), (110, 20), (110, 60), (170, 60), (170, 200), (120, 200), (120, 110), (30, 110)])
    """In columns and rows of the ground: nothing is the same when it is turned or mirrored."""

    @pytest.fixture
    def painted(self, tmp_path, make_tif):
        pixels = np.full((3, 240, 240), 30, np.uint8) + rasterize([(self.SHAPE, 200)], (240, 240)).astype(np.uint8)
        pixels[:, ::40, ::40] += np.arange(3, dtype=np.uint8)[:, None, None]
        places = [self.GROUND.to_world(*place) for place in self.SHAPE.exterior.coords]
        gpd.GeoDataFrame(geometry=[Polygon(places)], crs="EPSG:32612").to_file(tmp_path / "weed.gpkg")
        return make_tif(tmp_path / "site.tif", pixels)

    def compared(self, tiles, out, **options):
        """The share of pixels of tiles that are bright where masks are not, or the other way round, and how many are bright."""
        build_dataset(tiles, out, DatasetOptions(labels=out.parent / "weed.gpkg", **options))
        rows = pd.concat([open_dataset(out).split(side) for side in ("train", "test")])
        bright = np.array([np.asarray(Image.open(path))[..., 0] > 120 for path in rows["path"]])
        masks = np.array([read_mask(path) == 1 for path in open_dataset(out).masks(rows)])
        assert bright.any(axis=(1, 2)).sum() > 2
        return (bright != masks).mean()

    def test_of_plots_that_lie_aslant(self, painted, tmp_path):
        plots = [rotate(box(X + x, Y - y - 0.7, X + x + 0.7, Y - y), angle) for x, y, angle in PLOTS]
        gpd.GeoDataFrame({"plot": list("abcd")}, geometry=plots, crs="EPSG:32612").to_file(tmp_path / "plots.gpkg")
        how = PlotOptions(file=tmp_path / "plots.gpkg", quarters="grid")
        tile_images([painted], tmp_path / "tiles", TileOptions(layout="plots", size_px=30, plots=how))
        assert self.compared(tmp_path / "tiles", tmp_path / "d", group_column="plot", test_groups=("a", "d")) < 0.02

    def test_of_an_image_whose_rows_run_aslant(self, painted, tmp_path):
        with rasterio.open(painted, "r+") as file:
            turn = Affine.rotation(25, pivot=(X + 1.2, Y - 1.2))
            file.transform = turn @ file.transform
        weed = gpd.read_file(tmp_path / "weed.gpkg")
        weed.geometry = weed.rotate(25, origin=(X + 1.2, Y - 1.2))
        weed.to_file(tmp_path / "weed.gpkg")
        tile_images([painted], tmp_path / "tiles", TileOptions(size_px=30))
        assert self.compared(tmp_path / "tiles", tmp_path / "d", block_m=0.6) < 1e-3

    def test_of_images_with_coordinates(self, painted, tmp_path):
        tile_images([painted], tmp_path / "tiles", TileOptions(size_px=30))
        index = read_tiles(tmp_path / "tiles")
        centres = index.geometry.centroid
        images = tmp_path / "images"
        images.mkdir()
        for name in index["file_name"]:
            shutil.copyfile(tmp_path / "tiles" / name, images / name)
        table = pd.DataFrame({"file_name": index["file_name"], "easting": centres.x, "northing": centres.y})
        table.to_csv(images / "metadata.csv", index=False)
        assert self.compared(images, tmp_path / "d", gsd_m=0.01, crs="EPSG:32612", block_m=0.6) < 1e-3


PLOTS = ((0.2, 0.2, 20), (1.4, 0.3, -35), (0.3, 1.4, 40), (1.4, 1.4, 10))
"""West and north edges of plots before they are turned, in metres from the corner of the ground, and by how many degrees."""


class TestReview:
    """What a review says of a tile may contradict what is drawn there: then nobody knows its cover and mask."""

    TOO_LITTLE, NONE, ENOUGH = ([f"meadow_r{row:05d}_c{col:05d}" for col in (3, 4)] for row in (1, 2, 3))

    def reviewed(self, meadow, weedy, tmp_path, said):
        tiles = Path(shutil.copytree(meadow, tmp_path / "tiles"))
        decisions = [
            Decision(who="ada", tile=tile, after=Opinion(verdict="accepted", label=name)) for tile, name in said.items()
        ]
        append_decisions(tiles / LOG, decisions)
        info = build(tiles, tmp_path / "dataset", weedy)
        rows = pd.concat([open_dataset(tmp_path / "dataset").split(side) for side in ("train", "test")]).set_index("tile_id")
        assert validate_dataset(tmp_path / "dataset") == []
        found = {}
        for tile in said:
            if tile in rows.index:
                (mask,) = masks_of(tmp_path / "dataset", pd.DataFrame({"tile_id": [tile]}))
                found[tile] = (rows.loc[tile, "cover"], mask)
        return info, found

    def test_another_class(self, meadow, weedy, tmp_path):
        info, found = self.reviewed(meadow, weedy, tmp_path, {self.NONE[0]: "weed", self.ENOUGH[0]: "sand"})
        assert found
        assert all(math.isnan(cover) and mask is None for cover, mask in found.values())
        assert (
            "cover and mask are not known of 2 tiles to which a review gave another class than labels have of their ground"
            in (info.notes)
        )

    def test_the_same_class(self, meadow, weedy, tmp_path):
        info, found = self.reviewed(meadow, weedy, tmp_path, {self.NONE[0]: "sand", self.ENOUGH[0]: "weed"})
        assert {self.NONE[0]: (0, NOTHING), self.ENOUGH[0]: (pytest.approx(0.5), HALF)}.items() >= found.items()
        assert found
        assert not any("mask" in note for note in info.notes)

    def test_of_a_tile_with_too_little(self, meadow, weedy, tmp_path):
        info, found = self.reviewed(meadow, weedy, tmp_path, dict(zip(self.TOO_LITTLE, ["weed", "sand"], strict=True)))
        weed, sand = self.TOO_LITTLE
        assert set(found) == {weed, sand}
        assert found[weed] == (pytest.approx(0.02), NOTHING)  # there is some
        assert math.isnan(found[sand][0])
        assert found[sand][1] is None
        assert any("not known of 1 tile" in note for note in info.notes)


class TestReading:
    @pytest.mark.parametrize(
        ("image", "match"),
        [
            (Image.new("L", (4, 3)), r"m\.png is 4 x 3 px, not a square as its tile; build the dataset again"),
            (Image.new("RGB", (4, 4)), r"is no mask of one band of bytes \(RGB\)"),
            (Image.new("I;16", (4, 4)), "is no mask of one band of bytes"),
        ],
    )
    def test_what_is_no_mask(self, tmp_path, image, match):
        image.save(tmp_path / "m.png")
        with pytest.raises(InputError, match=match):
            read_mask(tmp_path / "m.png")

    def test_of_another_size_than_its_tile(self, tmp_path):
        Image.new("L", (4, 4)).save(tmp_path / "m.png")
        assert read_mask(tmp_path / "m.png", 4).shape == (4, 4)
        with pytest.raises(InputError, match="is 4 x 4 px, not 5 x 5 px as its tile"):
            read_mask(tmp_path / "m.png", 5)

    def test_what_is_missing_or_damaged(self, tmp_path):
        path = tmp_path / "m.png"
        with pytest.raises(InputError, match=r"m\.png cannot be read \(No such file or directory\); build the dataset again"):
            read_mask(path)
        for data in (b"", b"\x89PNG\r\n\x1a\n", b"GIF89a"):
            path.write_bytes(data)
            with pytest.raises(InputError, match="cannot be decoded; it is damaged or was cut off; build the dataset again"):
                read_mask(path)


class TestValidate:
    @pytest.mark.parametrize(
        ("damage", "problem"),
        [
            (lambda path: path.unlink(), "masks lacks meadow_r00000_c00000.png"),
            (lambda path: path.write_bytes(path.read_bytes()[:60]), "cannot be decoded"),
            (lambda path: Image.new("L", (5, 5)).save(path), "is 5 x 5 px, not 4 x 4 px as its tile"),
            (lambda path: Image.new("L", (4, 4), 2).save(path), "has pixels of 2, which is the number of no class"),
            (lambda path: path.rename(path.with_name("other.png")), "masks has other.png of no tile"),
        ],
    )
    def test_what_is_wrong_with_a_mask_is_found(self, own, damage, problem):
        damage(own / "masks" / "meadow_r00000_c00000.png")
        assert any(problem in found for found in validate_dataset(own))

    def test_masks_that_the_description_does_not_know(self, own):
        said = json.loads((own / "dataset.json").read_text())
        (own / "dataset.json").write_text(json.dumps(said | {"masks": False}))
        assert any("dataset.json says that there are none" in found for found in validate_dataset(own))


def test_they_are_published(built):
    names = {path.relative_to(built[0]).as_posix() for path in (built[0] / "masks").iterdir()}
    assert names <= set(own_files(built[0]))


def test_preview_draws_their_outlines(built, tmp_path):
    drawn = {path.name: path for path, _, _ in preview_tiles(built[0], tmp_path / "out")}
    plain, outlined = (np.asarray(Image.open(drawn[f"train_1-weed{end}.png"])) for end in ("", "_masks"))
    assert plain.shape[0] == outlined.shape[0]
    red = (outlined == (255, 0, 0)).all(axis=-1)
    assert red.any()
    assert not (plain == (255, 0, 0)).all(axis=-1).any()


CLASS_NAMES = ("no spurge", "leafy spurge")


def test_weed_as_polygons_and_as_a_raster_is_the_same(tmp_path):
    survey = simulate_survey(tmp_path / "survey", SurveyOptions(markers=False, site_size_m=19.2, weed_share=0.2))
    tile_images([survey.image], tmp_path / "tiles", TileOptions(size_px=128))
    whole = read_tiles(tmp_path / "tiles").set_index("tile_id")["valid_fraction"] == 1  # the raster knows nothing outside
    rows = {}
    for labels in (survey.weed, survey.truth):
        out = tmp_path / labels.suffix[1:]
        build_dataset(tmp_path / "tiles", out, DatasetOptions(labels=labels, classes=CLASS_NAMES, block_m=3.2, min_cover=0.02))
        data = open_dataset(out)
        rows[labels] = pd.concat([table for side in ("train", "test") for table in (data.split(side), data.unclear(side))])
    drawn, painted = (table.set_index("tile_id") for table in rows.values())
    both = drawn.index.intersection(painted.index)
    both = both[whole[both]]
    assert len(both) > 20
    assert drawn.loc[both, "class"].fillna("").tolist() == painted.loc[both, "class"].fillna("").tolist()
    # Polygons are drawn with a point every few pixels, which moves their edges by up to 1.5 px.
    assert (drawn.loc[both, "cover"] - painted.loc[both, "cover"]).abs().max() < 0.01
    assert set(painted["label_from"].dropna()) == {"raster"}
    for tile in both:
        one, other = (read_mask(tmp_path / name / "masks" / f"{tile}.png") for name in ("gpkg", "tif"))
        assert (one != other).mean() < 0.02
        assert (one == 1).mean() == pytest.approx(drawn.loc[tile, "cover"], abs=0.005)
        assert (other == 1).mean() == pytest.approx(painted.loc[tile, "cover"], abs=1e-6)
