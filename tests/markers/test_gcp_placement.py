"""Images georeferenced by markers on known points: a simulated frame, a drawn orthomosaic, a photo of the dune."""

import csv
import json
import shutil
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from PIL import Image
from rasterio.crs import CRS
from shapely import hausdorff_distance

from spurgekit.errors import InputError
from spurgekit.markers import gcp_placement, marker_list
from spurgekit.markers.detection import find_markers
from spurgekit.markers.gcp_list import read_gcp_list
from spurgekit.markers.gcp_placement import read_control
from spurgekit.simulate import SurveyOptions, simulate_survey
from spurgekit.tiles import site_plots
from tests.command import refuse, succeed
from tests.conftest import CORNER
from tests.markers.test_target_detector import GSD_M, ground, paint

UTM_12 = CRS.from_epsg(32612)
PLACES = [(60.5, 80.25), (330.0, 70.5), (200.25, 210.5), (90.0, 320.75), (340.5, 290.0)]
"""Where the orthomosaic's crosses are, in pixels; no two pairs of them are as far apart."""


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """A frame of four plots of 5 m and nine crosses from 22 m up, which hardly tilts, so that an affine map serves it."""
    options = SurveyOptions(rows=2, columns=2, size_m=5, frame_px=1200, gsd_m=0.02, tilt_deg=0.3, warp_m=0, seed=3)
    return simulate_survey(tmp_path_factory.mktemp("control") / "s", options)


@pytest.fixture(scope="module")
def measured(survey, tmp_path_factory):
    """The true places of its markers, as a GNSS receiver exports them."""
    path = tmp_path_factory.mktemp("gnss") / "gcps.csv"
    table = gpd.read_file(survey.markers).to_crs("EPSG:4326")
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Name", "Longitude", "Latitude", "Elevation"])
        writer.writerows([f"g{k}", p.x, p.y, 1500 + k] for k, p in enumerate(table.geometry))
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def options(survey):
    return (survey.image, "--plot-size", 5, "--plot-rows", 2, "--plot-columns", 2, "--size", 80)


def worst_m(folder, survey):
    """How far the outline of a plot is from that of the true plot next to it, at most."""
    truth = gpd.read_file(survey.plots, layer="plots").geometry
    plots = gpd.read_file(folder / "plots.gpkg", layer="plots").geometry
    assert len(plots) == len(truth) == 4
    return max(min(hausdorff_distance(plot, true) for true in truth) for plot in plots)


@pytest.fixture
def mosaic(folder, make_tif):
    """An orthomosaic that says it lies two metres west and a metre south of where it does, and its crosses' true places."""
    rgb = ground(400)
    for k, place in enumerate(PLACES):
        paint(rgb, "cross", *place, 30, 17 * k)
    image = make_tif(folder / "site.tif", np.ascontiguousarray(np.moveaxis(rgb, -1, 0)), gsd=GSD_M)
    rows = [f"{CORNER[0] + 2 + col * GSD_M},{CORNER[1] + 1 - row * GSD_M}" for col, row in PLACES]
    (folder / "points.csv").write_text("\n".join(["easting,northing", *rows]))
    return image


class TestFrames:
    def test_plots_lie_where_they_are(self, survey, measured, folder):
        succeed("tile", *options(survey), "--out", "approximate")
        printed = succeed("tile", *options(survey), "--gcp", measured, "--out", "better")
        assert "georeferenced by gcps.csv: 9 of 9 points matched, among 9 markers; " in printed
        assert " cm (root mean square)" in printed
        assert "approximate" not in printed  # the note on what the drone believed
        assert worst_m(folder / "approximate", survey) > 0.5
        assert worst_m(folder / "better", survey) < 0.05
        parameters = json.loads((folder / "better" / "provenance.json").read_text())
        assert str(measured) in json.dumps(parameters)

    def test_a_surveys_folder_names_the_points(self, survey, measured, folder, monkeypatch):
        shutil.copytree(survey.folder, folder / "s")
        shutil.copy(measured, folder / "s")
        file = folder / "s" / "survey.toml"
        file.write_text(file.read_text().replace("[plots]\n", '[plots]\ngcp = "gcps.csv"\n'))
        monkeypatch.chdir(folder / "s")
        assert "georeferenced by gcps.csv" in succeed("tile", "--size", 80)
        assert worst_m(folder / "s" / "tiles", survey) < 0.05

    def test_markers_are_listed_with_the_points_that_they_stand_on(self, survey, measured, folder):
        printed = succeed("markers", survey.image, "--gcp", measured, "--out", "m.csv")
        assert "cm from g" in printed
        table = gpd.read_file(survey.markers)
        with (folder / "m.csv").open() as file:
            for row in csv.DictReader(file):
                true = table.geometry[int(row["known"][1:])]
                assert np.hypot(float(row["x"]) - true.x, float(row["y"]) - true.y) < 0.05
                assert float(row["residual_cm"]) < 5

    def test_control_points_for_odm_have_the_known_coordinates(self, survey, measured, folder):
        succeed("markers", survey.image, "--gcp", measured, "--out", "gcp_list.txt")
        table = gpd.read_file(survey.markers)
        points = read_gcp_list(folder / "gcp_list.txt").points
        assert len(points) == 9
        for point in points:
            number = int(point.name[1:])
            assert (point.x, point.y) == pytest.approx((table.geometry[number].x, table.geometry[number].y), abs=1e-3)
            assert (point.col, point.row) == pytest.approx((table["col"][number], table["row"][number]), abs=0.5)
            assert point.z == 1500 + number

    def test_points_in_the_wrong_zone_are_far_away(self, survey, folder):
        table = gpd.read_file(survey.markers)
        rows = [f"{p.x},{p.y}" for p in table.geometry]
        (folder / "zone.csv").write_text("\n".join(["easting,northing", *rows]))
        line = refuse("tile", *options(survey), "--gcp", "zone.csv", "--gcp-crs", "EPSG:32611")
        assert "site.jpg cannot be georeferenced by zone.csv: 9 markers and 9 known points, but the nearest two are" in line
        assert "km apart" in line
        assert "pass --gcp-crs for its easting and northing" in refuse("tile", *options(survey), "--gcp", "zone.csv")

    def test_points_that_are_not_those_of_the_markers(self, survey, folder):
        place = gpd.read_file(survey.markers).geometry[4]
        rows = [f"{place.x + x},{place.y + y}" for x, y in ((0, 0), (2.2, 6.1), (-4.3, 1.7), (6.9, -3.1))]
        (folder / "other.csv").write_text("\n".join(["easting,northing", *rows]))
        line = refuse("markers", survey.image, "--gcp", "other.csv", "--gcp-crs", "EPSG:32612")
        assert line.startswith(f"spurgekit: {survey.image} cannot be georeferenced by other.csv: 9 markers and 4 known points")

    def test_a_photo_that_says_nothing_could_lie_four_ways_round_on_a_square_lattice(self, survey, measured, folder):
        Image.open(survey.image).save(folder / "bare.jpg", quality=92)
        assert "--image-gsd" in refuse("markers", "bare.jpg", "--gcp", measured)
        line = refuse("markers", "bare.jpg", "--image-gsd", 0.02, "--gcp", measured)
        assert "9 markers and 9 known points fit in" in line

    def test_unless_a_list_says_where_two_of_the_points_are_in_it(self, survey, folder):
        Image.open(survey.image).save(folder / "bare.jpg", quality=92)
        table = gpd.read_file(survey.markers)
        shown = {0: "bare.jpg", 5: "bare.jpg"}
        lines = [
            f"{p.x}\t{p.y}\t0\t{table['col'][k] + 3}\t{table['row'][k] - 2}\t{shown.get(k, 'other.jpg')}\tg{k}"
            for k, p in enumerate(table.geometry)
        ]
        (folder / "gcp_list.txt").write_text("\n".join(["EPSG:32612", *lines]))
        printed = succeed("markers", "bare.jpg", "--image-gsd", 0.02, "--gcp", "gcp_list.txt", "--out", "m.gpkg")
        assert "georeferenced by gcp_list.txt" in printed
        found = gpd.read_file("m.gpkg")
        assert found.crs.to_epsg() == 32612
        assert found.geometry.distance(table.geometry.union_all()).max() < 0.1


class TestOrthomosaics:
    def test_one_that_is_shifted(self, mosaic, folder):
        succeed("markers", mosaic, "--marker-size", 0.3, "--gcp", "points.csv", "--gcp-crs", "EPSG:32612", "--out", "m.gpkg")
        found = gpd.read_file(folder / "m.gpkg")
        true = [(CORNER[0] + 2 + col * GSD_M, CORNER[1] + 1 - row * GSD_M) for col, row in PLACES]
        for place in true:
            assert np.hypot(found["x"] - place[0], found["y"] - place[1]).min() < 0.01

    def test_resampling_is_done_once_on_the_better_grid(self, mosaic, folder):
        same = ("--layout", "grid", "--gsd", 0.02, "--size", 100, "--marker-size", 0.3)
        succeed("tile", mosaic, *same, "--out", "a")
        succeed("tile", mosaic, *same, "--gcp", "points.csv", "--gcp-crs", "EPSG:32612", "--out", "b")
        before, after = (gpd.read_parquet(folder / name / "tiles.parquet").geometry[0].bounds for name in "ab")
        assert np.subtract(after, before) == pytest.approx([2, 1, 2, 1], abs=0.02)
        for tile in (folder / "a").glob("site_r*.png"):
            apart = np.asarray(Image.open(tile), int) - np.asarray(Image.open(folder / "b" / tile.name), int)
            assert np.abs(apart).mean() < 2  # the same pixels, but for a hundredth of one

    def test_in_another_crs_the_pixels_stay_and_their_grid_is_in_it(self, mosaic, folder):
        options = ("--marker-size", 0.3, "--gcp", "points.csv", "--gcp-crs", "EPSG:32612", "--crs", "EPSG:32613")
        succeed("markers", mosaic, *options, "--out", "m.gpkg")
        found = gpd.read_file(folder / "m.gpkg")
        assert found.crs.to_epsg() == 32613
        assert sorted(found["row"]) == pytest.approx(sorted(row for _, row in PLACES), abs=0.2)
        assert found["residual_cm"].max() < 1

    def test_of_too_few_markers_the_line_says_so(self, mosaic):
        line = refuse("markers", mosaic, "--family", "checker", "--gcp", "points.csv", "--gcp-crs", "EPSG:32612")
        assert "site.tif cannot be georeferenced by points.csv" in line

    def test_a_crs_without_points_is_a_mistake(self, mosaic):
        assert "pass that, too" in refuse("tile", mosaic, "--gcp-crs", "EPSG:32612")


class TestSearches:
    """Looking for markers takes most of the time."""

    @pytest.fixture
    def searched(self, monkeypatch):
        """The images that were searched, as often as they were."""
        names = []

        def search(raster, *args, **kwargs):
            names.append(raster.path.name)
            return find_markers(raster, *args, **kwargs)

        for module in (gcp_placement, marker_list, site_plots):
            monkeypatch.setattr(module, "find_markers", search)
        return names

    @pytest.fixture
    def coded(self, folder, make_tif):
        """An orthomosaic of coded markers."""
        rgb = ground(400)
        for k, place in enumerate(PLACES):
            paint(rgb, "aruco-4x4-50", *place, 36, id=k)
        return make_tif(folder / "site.tif", np.ascontiguousarray(np.moveaxis(rgb, -1, 0)), gsd=GSD_M)

    def write_points(self, scale):
        step = scale * GSD_M
        rows = [f"{k},{CORNER[0] + col * step},{CORNER[1] - row * step}" for k, (col, row) in enumerate(PLACES)]
        Path("points.csv").write_text("\n".join(["id,easting,northing", *rows]))

    def test_a_list_is_of_the_markers_that_the_image_was_placed_by(self, mosaic, searched, folder):
        command = ("markers", mosaic, "--marker-size", 0.3)
        succeed(*command, "--out", "before.gpkg")
        assert searched == ["site.tif"]
        succeed(*command, "--gcp", "points.csv", "--gcp-crs", "EPSG:32612", "--out", "after.gpkg")
        assert searched == ["site.tif"] * 2
        before, after = (gpd.read_file(folder / name) for name in ("before.gpkg", "after.gpkg"))
        assert after[["col", "row", "score"]].equals(before[["col", "row", "score"]])
        assert after["x"].tolist() == pytest.approx((before["x"] + 2).tolist(), abs=0.02)

    @pytest.mark.usefixtures("folder")
    def test_so_are_plots(self, survey, measured, searched):
        succeed("tile", *options(survey), "--gcp", measured)
        assert searched == ["site.jpg"]

    @pytest.mark.usefixtures("folder")
    def test_and_plots_of_a_file_that_are_snapped_to_markers(self, survey, measured, searched):
        succeed("tile", survey.image, "--gcp", measured, "--plots", survey.plots, "--snap", 0.5, "--size", 80)
        assert searched == ["site.jpg"]

    @pytest.mark.parametrize(("scale", "searches"), [(1.03, 1), (1.1, 2)])
    def test_codes_are_looked_for_again_where_the_scale_was_wrong(self, coded, searched, folder, scale, searches):
        self.write_points(scale)
        named = ("--family", "aruco-4x4-50", "--marker-size", 0.36)
        printed = succeed("markers", coded, *named, "--gcp", "points.csv", "--gcp-crs", "EPSG:32612", "--out", "m.csv")
        assert "5 of 5 points matched" in printed
        assert searched == ["site.tif"] * searches
        with (folder / "m.csv").open() as file:
            sizes_m = [float(row["size_m"]) for row in csv.DictReader(file)]
        assert sizes_m == pytest.approx([scale * 0.36] * 5, rel=0.05)


class TestFiles:
    def test_columns_say_code_name_and_height(self, folder):
        text = "Marker,name,longitude,latitude,z\n7,north,-111,46,1.5\n,south,-111,45.9999,\n"
        (folder / "p.csv").write_text(text)
        with_code, without = read_control(folder / "p.csv", UTM_12).points
        assert (with_code.id, with_code.name, with_code.z) == (7, "north", 1.5)
        assert (without.id, without.name, without.z) == (None, "south", None)
        assert with_code.x == pytest.approx(500_000)

    def test_heights_of_points_in_feet_come_out_in_metres(self, folder):
        place = gpd.GeoSeries.from_xy([-111.0], [46.0], crs=4326).to_crs(2256)
        gpd.GeoDataFrame({"elevation": [4921.26]}, geometry=place).to_file(folder / "p.gpkg")
        control = read_control(folder / "p.gpkg", UTM_12)
        assert control.points[0].z == pytest.approx(1500.0, abs=0.01)
        assert "heights of p.gpkg are taken to be in the unit of EPSG:2256 (foot)" in control.notes[-1]

    def test_a_table_may_end_in_txt(self, folder):
        (folder / "p.txt").write_text("name\tlongitude\tlatitude\na\t-111\t46\n")
        assert [point.name for point in read_control(folder / "p.txt", UTM_12).points] == ["a"]

    def test_polygons_are_no_points(self, survey):
        with pytest.raises(InputError, match="known coordinates are those of points"):
            read_control(survey.plots, UTM_12)


class TestDune:
    def test_a_photo_by_the_two_points_that_the_list_has_in_it(self, data, folder):
        photo, points = data / "copr" / "photos" / "IMG_0031.jpg", data / "copr" / "gcp_list.txt"
        printed = succeed("markers", photo, "--image-gsd", 0.0022, "--gcp", points, "--out", "gcp_list.txt")
        assert "2 of 8 points matched, among 2 markers; similarity, which two points always fit" in printed
        assert sorted(p.name for p in read_gcp_list(folder / "gcp_list.txt").points) == ["gcp00", "gcp01"]

    def test_with_a_wrong_gsd_the_list_tells_the_right_one(self, data, folder):
        photo, points = data / "copr" / "photos" / "IMG_0031.jpg", data / "copr" / "gcp_list.txt"
        line = refuse("markers", photo, "--image-gsd", 0.0033, "--gcp", points, "--out", "m.csv")
        assert line.endswith("a pixel measures about 0.0021 m, not 0.0033")
        assert not list(folder.iterdir())

    def test_the_orthomosaic_by_points_from_a_handheld_receiver(self, data, folder):
        site = data / "copr" / "site.tif"
        succeed("markers", site, "--gcp", data / "copr" / "gcp_list.txt", "--out", "m.csv")
        told = [f["properties"] for f in json.loads((data / "copr" / "markers.geojson").read_text())["features"]]
        with (folder / "m.csv").open() as file:
            matched = [row for row in csv.DictReader(file) if row["known"]]
        assert len(matched) >= 5
        for row in matched:  # none is mistaken for another
            near = min(told, key=lambda p: np.hypot(p["col"] - float(row["col"]), p["row"] - float(row["row"])))
            assert near["gcp"] == row["known"]
