"""``spurgekit tile`` from the command line: what it prints, and one line for whatever it cannot do."""

import errno
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from affine import Affine
from shapely import Point, box

from spurgekit.outputs import MARK, note_settings
from tests.command import refuse, run, succeed
from tests.conftest import CORNER
from tests.tiles import ramp

X, Y = CORNER


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def site(folder, make_tif):
    make_tif(folder / "site.tif", ramp(3, 30, 40))
    return Path("site.tif")


class TestPrinted:
    def test_what_was_done(self, site, folder):
        assert succeed("tile", site, "--size", 20).splitlines() == [
            "layout  grid (auto: 0 markers of family cross, 0.45 m)",
            "site  4 png tiles at 1.00 cm a pixel",
            "tiles: tiles, tiles.parquet, tiles.gpkg, overview.png",
        ]
        assert {"tiles.parquet", "tiles.gpkg", "overview.png", "provenance.json"} < {
            p.name for p in (folder / "tiles").iterdir()
        }

    def test_what_was_left_out(self, folder, make_tif):
        array = ramp(4, 20, 40)
        array[3] = 255
        array[3, 2:, 20:] = 0
        make_tif(folder / "site.tif", array, colours=("red", "green", "blue", "alpha"))
        out = succeed("tile", "site.tif", "--size", 10, "--min-valid", 0.3, "--layout", "grid")
        assert out.splitlines()[:2] == [
            "layout  grid",
            "site  4 png tiles at 1.00 cm a pixel; left out: 2 tiles without data, 2 tiles with too little data",
        ]

    def test_points_outside_are_counted(self, site, folder):
        points = [Point(X + 0.2, Y - 0.15), Point(X + 3, Y)]
        gpd.GeoSeries(points, crs=32612).to_file(folder / "p.gpkg")
        out = succeed("tile", site, "--points", "p.gpkg", "--size", 10)
        assert "site  1 png tile at 1.00 cm a pixel; left out: 1 point outside the image" in out
        assert out.startswith("layout  points\n")


# -- what it refuses --------------------------------------------------------------------------------------------------


def missing(folder, make_tif):
    return "site.tif", "no such file"


def a_folder(folder, make_tif):
    (folder / "site.tif").mkdir()
    return "site.tif", "site.tif is a folder"


def text(folder, make_tif):
    (folder / "site.tif").write_text("hello, I am a text\n")
    return "site.tif", "site.tif is not an image"


def cut_off(folder, make_tif):
    noise = np.random.default_rng(0).integers(1, 255, (3, 400, 300), np.uint8)
    path = make_tif(folder / "site.tif", noise, tiled=True, blockxsize=64, blockysize=64, compress="deflate")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    return "site.tif", "rows 250 to 400 cannot be decoded"  # on a grid the first row of tiles is written before


def no_crs(folder, make_tif):
    make_tif(folder / "site.tif", ramp(3, 30, 40), crs=None)
    return "site.tif", "site.tif has no CRS; pass --crs"


def no_place(folder, make_tif):
    make_tif(folder / "site.tif", ramp(3, 30, 40), crs=None, transform=Affine.identity())
    return "site.tif", "site.tif is not georeferenced"


def degrees(folder, make_tif):
    make_tif(folder / "site.tif", ramp(3, 30, 40), crs="EPSG:4326", transform=Affine(1e-7, 0, -111, 0, -1e-7, 46))
    return "site.tif", "pass --crs EPSG:32612 to reproject"


def web_mercator(folder, make_tif):
    make_tif(folder / "site.tif", ramp(3, 30, 40), crs="EPSG:3857", transform=Affine(0.01, 0, -12_356_463, 0, -0.01, 5_780_349))
    return "site.tif", "stretches lengths by 1.44 here; pass --crs EPSG:326"


def all_transparent(folder, make_tif):
    array = ramp(4, 30, 40)
    array[3] = 0
    make_tif(folder / "site.tif", array, colours=("red", "green", "blue", "alpha"))
    return "site.tif", "site has no valid pixel"


def complex_numbers(folder, make_tif):
    make_tif(folder / "site.tif", np.ones((1, 5, 5), np.complex64))
    return "site.tif", "site.tif holds complex64; spurgekit reads uint8, uint16 and float32"


@pytest.mark.parametrize(
    "make", [missing, a_folder, text, cut_off, no_crs, no_place, degrees, web_mercator, all_transparent, complex_numbers]
)
def test_images_that_do_not_serve(folder, make_tif, make):
    name, message = make(folder, make_tif)
    line = refuse("tile", name, "--layout", "grid")
    assert message in line
    assert "site" in line
    assert message.replace("rows 250", "rows 0") in refuse("tile", name)  # markers are looked for in larger pieces


@pytest.fixture(scope="module")
def shelf(tmp_path_factory, make_tif):
    """A folder with an image, and points and areas of all kinds, for commands that are refused and so change nothing."""
    folder = tmp_path_factory.mktemp("shelf")
    make_tif(folder / "site.tif", ramp(3, 30, 40))
    points = gpd.GeoDataFrame({"idx": [1, 1]}, geometry=[Point(X + 0.2, Y - 0.1), Point(X + 0.1, Y - 0.1)], crs=32612)
    points.to_file(folder / "twice.gpkg")
    points[["geometry"]].to_file(folder / "good.gpkg")
    points[["geometry"]].translate(1000).to_file(folder / "far.gpkg")
    points[["geometry"]].buffer(1).to_file(folder / "polygons.gpkg")
    points[["geometry"]].to_file(folder / "two.gpkg", layer="a")
    points[["geometry"]].to_file(folder / "two.gpkg", layer="b")
    points[["geometry"]].to_file(folder / "bare.shp")
    (folder / "bare.prj").unlink()
    gpd.GeoSeries([box(2e5, 2e5, 200_001, 200_001)], crs=32612).to_file(folder / "far_area.gpkg")
    tables = {
        "swapped.csv": "longitude,latitude\n46,-111\n",
        "metres.csv": f"longitude,latitude\n{X},{Y}\n",
        "words.csv": "longitude,latitude\nfar,away\n",
        "other.csv": "a,b\n1,2\n",
        "eastings.csv": f"easting,northing\n{X},{Y}\n",
        "empty.csv": "",
        "header.csv": "longitude,latitude\n",
        "poles.csv": "longitude,latitude\n-111,-90\n",
        "text.gpkg": "hello\n",
        "null.geojson": '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {}, "geometry": null}]}',
    }
    for name, content in tables.items():
        (folder / name).write_text(content)
    (folder / "latin.csv").write_bytes("longitude,latitude,été\n-111,45,é\n".encode("latin-1"))
    return folder


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--points", "nowhere.gpkg"], "nowhere.gpkg: no such file"),
        (["--points", "far.gpkg"], "far.gpkg: none of its 2 points lies in the image; they span x 501000.1"),
        (["--points", "twice.gpkg"], "twice.gpkg: column idx names 1 points twice"),
        (["--points", "polygons.gpkg"], "polygons.gpkg holds Polygons, not points"),
        (["--points", "two.gpkg"], "two.gpkg has several layers (a, b); name one as 'two.gpkg|layername=a'"),
        (["--points", "two.gpkg|layername=c"], "two.gpkg has no layer 'c' with geometries; it has a, b"),
        (["--points", "bare.shp"], "bare.shp does not say its CRS; pass --points-crs"),
        (["--points", "swapped.csv"], "swapped.csv declares degrees but reaches from (46, -111) to (46, -111); are longitude"),
        (["--points", "metres.csv"], "metres.csv declares degrees but reaches from (5e+05"),
        (["--points", "words.csv"], "words.csv: longitude 'far' in row 1 cannot be read; write decimal"),
        (
            ["--points", "other.csv"],
            "other.csv has no columns longitude and latitude (a, b); name them so, or easting",
        ),
        (["--points", "eastings.csv"], "(easting, northing); pass --points-crs"),
        (["--points", "empty.csv"], "empty.csv is empty; write a header"),
        (["--points", "header.csv"], "header.csv holds no geometries"),
        (["--points", "latin.csv"], "latin.csv: none of its 1 points lies in the image"),
        (["--points", "text.gpkg"], "text.gpkg is not a vector file"),
        (["--points", "site.tif"], "site.tif is not a vector file"),
        (["--points", "null.geojson"], "null.geojson holds no geometries"),
        (["--points", "poles.csv"], "poles.csv"),
        (["--points", "good.gpkg", "--points-crs", "EPSG:bla"], "'EPSG:bla' is no CRS"),
        (["--points", "good.gpkg", "--points-crs", "EPSG:4326"], "good.gpkg declares degrees but reaches from"),
        (["--points", "good.gpkg", "--layout", "grid"], "--layout grid does not go with --points"),
        (["--points", "good.gpkg", "--overlap", "5"], "--overlap"),
        (["--points", "good.gpkg", "--size", "0"], "size"),
        (["--layout", "points"], "--points"),
        (["--layout", "plots"], "site.tif: no markers were found, where 3 x 3 plots of 10 m have 16"),
        (["--aoi", "nowhere.gpkg"], "nowhere.gpkg: no such file"),
        (["--aoi", "good.gpkg"], "good.gpkg holds Points; an area of interest is made of polygons"),
        (["--aoi", "far_area.gpkg"], "far_area.gpkg does not touch site.tif (EPSG:32612): they span x"),
        (["--bands", "4"], "site.tif has bands 1 to 3, not 4; change --bands"),
        (["--bands", "0"], "change --bands"),
        (["--bands", "1,2", "--format", "png"], "2 bands of uint8 do not fit into PNG; pass --format tif"),
        (["--overlap", "250"], "an overlap of 250 px"),
        (["--overlap", "-1"], "--overlap -1 is too small"),
        (["--size", "0"], "--size 0 is too small"),
        (["--size", "-250"], "--size -250 is too small"),
        (["--min-valid", "2"], "--min-valid 2.0"),
        (["--min-valid", "nan"], "--min-valid nan"),
        (["--gsd", "0"], "--gsd 0.0 is no ground sample distance"),
        (["--gsd", "-1"], "--gsd -1.0 is no ground sample distance"),
        (["--gsd", "nan"], "--gsd nan is not a number"),
        (["--crs", "utm twelve"], "'utm twelve' is no CRS"),
        (["--size", "big"], "Invalid value for '--size': 'big' is not a valid integer. See 'main tile --help'."),
        (["--bands", "red"], "Invalid value for '--bands': 'red' is not a list of whole numbers such as 1,2,3"),
        (["--format", "bmp"], "Invalid value for '--format'"),
        (["--sise", "5"], "No such option"),
        (["site.tif"], "two images would have the same site name"),
    ],
)
def test_options_and_files_that_do_not_serve(shelf, monkeypatch, arguments, message):
    monkeypatch.chdir(shelf)
    assert message in refuse("tile", "site.tif", *arguments)


def test_neither_an_image_nor_a_survey(folder):
    assert "name an image, or run this in a survey's folder" in refuse("tile")


def test_one_bad_image_of_two(site, folder):
    (folder / "other.tif").write_text("hello")
    assert "other.tif is not an image" in refuse("tile", site, "other.tif")


def test_a_size_of_0_is_not_taken_for_the_surveys(site, folder):
    (folder / "survey.toml").write_text('name = "s"\n[[sites]]\nname = "site"\nimage = "site.tif"\n')
    assert "--size 0 is too small" in refuse("tile", "--size", 0)
    assert "--gsd 0.0 is no ground sample distance" in refuse("tile", "--gsd", 0)


class TestOutput:
    def test_a_folder_that_is_there_is_kept(self, site, folder):
        succeed("tile", site, "--out", "a/tiles")
        before = {path: path.stat().st_mtime_ns for path in (folder / "a").rglob("*")}
        assert "pass --overwrite to replace it" in refuse("tile", site, "--out", "a/tiles", "--size", 10)
        assert {path: path.stat().st_mtime_ns for path in (folder / "a").rglob("*")} == before

    def test_or_replaced_whole(self, site, folder):
        succeed("tile", site, "--size", 10)
        succeed("tile", site, "--size", 20, "--overwrite")
        assert len(list((folder / "tiles").glob("site_*.png"))) == 4
        assert sorted(path.name for path in folder.iterdir()) == ["site.tif", "tiles"]

    def test_kept_where_the_new_one_fails(self, site, folder):
        succeed("tile", site, "--size", 10)
        cut = folder / "cut.tif"
        cut.write_bytes(site.read_bytes()[:3000])
        refuse("tile", cut, "--size", 10, "--overwrite")
        assert len(list((folder / "tiles").glob("site_*.png"))) == 12
        assert sorted(path.name for path in folder.iterdir()) == ["cut.tif", "site.tif", "tiles"]

    @pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
    def test_a_foreign_folder_is_never_replaced(self, site, folder, overwrite):
        (folder / "tiles").mkdir()
        (folder / "tiles" / "thesis.docx").write_text("four years of work")
        line = refuse("tile", site, *overwrite)
        assert ("was not made by spurgekit" if overwrite else "exists already") in line

    def test_nor_is_the_folder_that_the_image_is_in(self, site, folder):
        succeed("tile", site)
        site.rename("tiles/site.tif")
        assert "from tiles/site.tif in it; pass another --out" in refuse("tile", "tiles/site.tif", "--overwrite")
        assert (folder / "tiles" / "site.tif").is_file()

    def test_an_empty_folder_will_do(self, site, folder):
        (folder / "tiles").mkdir()
        succeed("tile", site)
        assert (folder / "tiles" / "tiles.parquet").is_file()

    @pytest.mark.usefixtures("site")
    def test_the_working_folder_itself(self, folder, monkeypatch):
        (folder / "work").mkdir()
        monkeypatch.chdir(folder / "work")
        assert "is the working directory" in refuse("tile", "../site.tif", "--out", ".")

    def test_a_file_in_its_place(self, site, folder):
        (folder / "tiles").write_text("mine")
        assert "is a file; pass another --out" in refuse("tile", site, "--overwrite")

    def test_a_full_disk(self, site, monkeypatch):

        def write_bytes(path, data):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))

        monkeypatch.setattr(Path, "write_bytes", write_bytes)
        assert "the disk is full" in refuse("tile", site, code=1)

    def test_half_a_run_that_was_killed(self, site, folder):
        (folder / ".tiles.partial").mkdir()
        note_settings(folder / ".tiles.partial" / MARK, {})
        (folder / ".tiles.partial" / "left_over.png").write_text("half")
        succeed("tile", site)
        assert not (folder / "tiles" / "left_over.png").exists()
        assert not (folder / ".tiles.partial").exists()


def test_debug_shows_where(folder):
    said = run("--debug", "tile", "nowhere.tif").stderr
    assert "Traceback" in said
    assert "no such file" in said.splitlines()[-1]
