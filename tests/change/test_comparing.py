import json
import re
import shutil
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio

from spurgekit import ChangeOptions, map_change
from spurgekit.imagery.site_picture import is_site_picture
from tests.change.conftest import AT_FIRST, CORNER, LATER, in_halves, make_date, make_image, make_model
from tests.command import refuse, succeed

NEAR = {"max_shift_m": 0.8}


def change(**options):
    return map_change("maps/old", "maps/new", "change", ChangeOptions(**NEAR | options))


def read(path="change/change.tif"):
    with rasterio.open(path) as file:
        return file.read()


class TestFiles:
    @pytest.mark.usefixtures("two")
    def test_bands_polygons_summary_and_picture(self):
        report = change()
        p = read()
        assert p.shape == (4, 16, 16)
        assert p.sum(axis=0) == pytest.approx(np.ones((16, 16)), abs=1e-6)
        likeliest = p.argmax(axis=0)
        expected = 2 * (AT_FIRST > 0.5) + (LATER > 0.5)
        assert (likeliest == expected).all()
        with rasterio.open("change/change.tif") as file:
            assert file.descriptions[1] == "probability of gain of bright"
            assert file.driver == "GTiff"
            assert file.crs.to_epsg() == 32612
        polygons = gpd.read_file("change/change.gpkg", layer="change")
        # 24 cells of .25 m2 came and 12 went.
        assert polygons[["class", "area_m2"]].to_numpy().tolist() == [["gain of bright", 6.0], ["loss of bright", 3.0]]
        assert (polygons["mean_probability"] > 0.5).all()
        said = json.loads(Path("change/summary.json").read_text())
        assert said["compared_m2"] == 64.0
        assert (
            said["change"]["bright"]["gain"]["counted_m2"]
            == pytest.approx(p[1].sum() / 4, abs=1e-3)
            == pytest.approx(6, abs=0.5)
        )
        assert said["change"]["bright"]["net"]["counted_m2"] == pytest.approx(3, abs=0.1)
        assert said["registration"]["measured_on"] == "images"
        assert is_site_picture(Path("change/change.png"))
        assert {path.name for path in Path("change").iterdir()} >= {
            "change.qml",
            "change_loss.qml",
            "provenance.json",
            "SHA256SUMS",
        }
        assert report.polygons == 2
        assert report.classes["bright"].areas["gain"].low_m2 <= 6 <= report.classes["bright"].areas["gain"].high_m2

    @pytest.mark.usefixtures("two")
    def test_the_same_maps_give_the_same_bytes(self):
        change()
        map_change("maps/old", "maps/new", "again", ChangeOptions(**NEAR))
        for name in ("change.tif", "change.gpkg", "summary.json", "change.png"):
            assert Path("change", name).read_bytes() == Path("again", name).read_bytes()

    @pytest.mark.usefixtures("here")
    def test_three_classes(self):
        names = ("bare", "bright", "sumac")
        make_model(Path("three"), names, held_out=three_held_out())
        make_date("old", AT_FIRST, model=Path("three"), classes=names)
        make_date("new", LATER, model=Path("three"), classes=names)
        report = change(max_shift_m=0)
        assert list(report.classes) == ["bright", "sumac"]
        assert read().shape == (8, 16, 16)
        assert report.classes["sumac"].areas["gain"].counted_m2 == 0


def three_held_out():
    from tests.maps.brightness import brightness_model

    held = brightness_model(10).info.held_out
    return held.model_copy(update={"confusion_matrix": ((20, 0, 0), (0, 20, 0), (0, 0, 20))})


class TestRegistration:
    @pytest.mark.usefixtures("here")
    def test_a_shift_is_measured_and_undone(self):
        # Cells of the new map lie 0.5 m east of the truth, as its image does: one cell.
        make_date("old", AT_FIRST, images=[make_image(Path("old.tif"))])
        at = (CORNER[0] + 0.5, CORNER[1])
        make_date("new", LATER, images=[make_image(Path("new.tif"), at=at)], at=at)
        report = change()
        assert report.registration.corrected
        assert report.registration.shift.east_m == pytest.approx(0.5, abs=0.002)
        assert (read().argmax(axis=0) == 2 * (AT_FIRST > 0.5) + (LATER > 0.5)).mean() > 0.95
        assert report.registration.note.startswith("the new map lies off the old one by 0.50 m (+0.50 east, ")

    @pytest.mark.usefixtures("here")
    def test_as_they_lie(self):
        make_date("old", AT_FIRST)
        make_date("new", AT_FIRST, at=(CORNER[0] + 0.5, CORNER[1]))
        report = change(max_shift_m=0)
        # A column of 6 cells seems to go, one to come, and a column of the 16 is on one map alone.
        assert report.classes["bright"].areas["gain"].counted_m2 == pytest.approx(1.5, abs=0.1)
        assert report.classes["bright"].areas["loss"].counted_m2 == pytest.approx(1.5, abs=0.1)
        assert report.compared_m2 == 60
        assert any("4.0 of the 64.0 m2 of the old map are not on both" in note for note in report.notes)
        assert "as they lie" in report.registration.note

    @pytest.mark.usefixtures("here")
    def test_more_than_is_corrected_is_refused(self):
        make_date("old", AT_FIRST, images=[make_image(Path("old.tif"))])
        at = (CORNER[0] + 0.8, CORNER[1] - 0.4)
        make_date("new", LATER, images=[make_image(Path("new.tif"), at=at)], at=at)
        said = refuse("change", "maps/old", "maps/new", "--max-shift", "0.4")
        assert "lies off maps/old by 0.89 m (+0.80 east, -0.40 north; " in said
        assert "more than the 0.4 m that are corrected; georeference one of the images" in said

    @pytest.mark.usefixtures("here")
    def test_on_a_site_that_is_too_small_for_the_largest_shift_a_smaller_one_is_found(self):
        make_date("old", AT_FIRST, images=[make_image(Path("old.tif"))])
        make_date("new", LATER, images=[make_image(Path("new.tif"), shift_px=(8, 4))])
        report = change(max_shift_m=3)
        assert report.registration.corrected
        assert (report.registration.shift.east_m, report.registration.shift.north_m) == pytest.approx((0.4, -0.2), abs=0.02)

    @pytest.mark.usefixtures("here")
    def test_of_maps_of_several_images_it_is_measured_on_all_of_them_as_one(self):
        make_date("old", AT_FIRST, images=in_halves(make_image(Path("old.tif"))))
        make_date("new", LATER, images=in_halves(make_image(Path("new.tif"), shift_px=(8, 4))))
        report = change()
        assert report.registration.measured_on == "images"
        assert (report.registration.shift.east_m, report.registration.shift.north_m) == pytest.approx((0.4, -0.2), abs=0.02)
        assert json.loads(Path("change/summary.json").read_text())["new"]["images"] == ["new-west.tif", "new-east.tif"]
        Path("new-west.tif").unlink()
        again = map_change("maps/old", "maps/new", "again", ChangeOptions(**NEAR))
        assert "(new-west.tif is not where it was when mapped)" in again.registration.note

    @pytest.mark.usefixtures("here")
    def test_cells_between_cells_are_interpolated(self):
        make_date("old", AT_FIRST)
        make_date("new", np.tile(np.linspace(0.1, 0.85, 16), (16, 1)), at=(CORNER[0] + 0.25, CORNER[1]))
        report = change(max_shift_m=0)
        assert any(
            "has cells that lie between those of the old one: its probabilities are interpolated" in n for n in report.notes
        )

    @pytest.mark.usefixtures("two")
    def test_where_images_are_gone_it_is_said(self):
        Path("new.tif").unlink()
        report = change()
        assert "cannot be measured on the maps (new.tif is not where it was when mapped)" in report.registration.note
        assert report.registration.shift is None

    @pytest.mark.usefixtures("here")
    def test_on_the_maps_where_there_are_cells_enough(self):
        rng = np.random.default_rng(0)
        import cv2

        ground = cv2.GaussianBlur(rng.normal(size=(200, 200)), (0, 0), 1.5)
        p = 1 / (1 + np.exp(-12 * ground))
        make_date("old", p[20:180, 20:180])
        make_date("new", p[20:180, 23:183])  # what lies 3 cells farther east is said to lie here
        report = change(max_shift_m=3)
        assert report.registration.measured_on == "maps"
        assert report.registration.shift.east_m == pytest.approx(-1.5, abs=0.1)

    @pytest.mark.usefixtures("here")
    def test_other_crs(self):
        make_date("old", AT_FIRST, crs="EPSG:32612")
        from spurgekit.imagery.crs import parse_crs, points_in

        x, y = points_in(np.array([CORNER]), parse_crs("EPSG:32612"), parse_crs("EPSG:6341"))[0]
        make_date("new", LATER, crs="EPSG:6341", at=(x, y))  # NAD83(2011) / UTM zone 12N
        report = change(max_shift_m=0)
        assert any("is in EPSG:6341: its probabilities are interpolated" in note for note in report.notes)
        assert (read().argmax(axis=0) == 2 * (AT_FIRST > 0.5) + (LATER > 0.5)).mean() > 0.9


class TestRefused:
    def refused(self, *arguments):
        return refuse("change", "maps/old", "maps/new", *arguments)

    @pytest.mark.usefixtures("two")
    def test_no_map(self):
        assert "maps holds no presence.tif; name a folder that 'spurgekit map' made" in refuse("change", "maps", "maps/new")
        assert "nowhere is no folder; name a folder" in refuse("change", "maps/old", "nowhere")
        assert "maps/old is named twice" in refuse("change", "maps/old", "maps/old")

    @pytest.mark.usefixtures("here")
    def test_no_ground_in_common(self):
        make_date("old", AT_FIRST)
        make_date("new", LATER, at=(CORNER[0] + 50, CORNER[1]))
        assert "maps/old and maps/new have no ground in common; name two maps of one site" in self.refused()

    @pytest.mark.usefixtures("here")
    def test_ground_that_neither_shows(self):
        left, right = AT_FIRST.copy(), LATER.copy()
        left[:, 8:], right[:, :8] = np.nan, np.nan
        make_date("old", left)
        make_date("new", right)
        assert "have no ground in common" in self.refused()

    @pytest.mark.usefixtures("here")
    def test_other_cells_and_other_tiles(self):
        make_date("old", AT_FIRST)
        make_date("new", LATER, cell=0.25)
        assert "maps/old and maps/new have cells of 0.5 m and 0.25 m; map both with the same" in self.refused()
        shutil.rmtree("maps/new")
        make_date("new", LATER, support=1.0)
        assert "have tiles of 0.5 m and 1 m; map both with models of tiles of one size" in self.refused()

    @pytest.mark.usefixtures("here")
    def test_other_classes(self):
        make_model(Path("other"), ("bare", "bright"))
        make_date("old", AT_FIRST)
        make_date("new", LATER, model=Path("other"), classes=("bare", "bright"))
        assert "maps/old has the classes dark, bright, maps/new has bare, bright; map both dates with models" in self.refused()

    @pytest.mark.usefixtures("here")
    def test_cover(self):
        make_date("old", AT_FIRST)
        make_date("new", LATER, cover={"bright": {}})
        assert "maps/new is a map of cover, of which no cell is gained or lost; compare maps of presence" in self.refused()

    @pytest.mark.usefixtures("two")
    def test_the_newer_one_first(self):
        for name, date in (("old", "2026-06-14"), ("new", "2025-06-20")):
            Path(name).mkdir()
            Path(f"{name}.tif").rename(f"{name}/{name}.tif")
            text = f'name = "{name}"\ndate = {date}\n[[sites]]\nname = "{name}"\nimage = "{name}.tif"\n'
            Path(name, "survey.toml").write_text(text)
            folder = Path("maps", name)
            record = json.loads((folder / "provenance.json").read_text())
            record["inputs"] = {k.replace(f"{name}.tif", f"{name}/{name}.tif"): v for k, v in record["inputs"].items()}
            (folder / "provenance.json").write_text(json.dumps(record))
        assert "maps/old was flown on 2026-06-14, after maps/new (2025-06-20); name the older map first" in self.refused()
        Path("new.gone").mkdir()
        said = succeed("change", "maps/new", "maps/old", "--max-shift", "0.8")
        assert "no survey has" not in said

    @pytest.mark.usefixtures("two")
    def test_a_model_that_is_gone(self):
        Path("model").rename("elsewhere")
        assert (
            "the model of maps/old is not where it was when mapped, and areas need its test; pass --old-model" in self.refused()
        )
        said = succeed(
            "change", "maps/old", "maps/new", "--old-model", "elsewhere", "--new-model", "elsewhere", "--max-shift", "0.8"
        )
        assert "note: no survey has the flight of maps/old and maps/new: maps/old is taken for the older" in said

    @pytest.mark.usefixtures("two")
    def test_a_damaged_raster_and_bad_options(self):
        assert "--max-shift -1.0 cannot be; pass metres" in self.refused("--max-shift", "-1")
        Path("maps/new/presence.tif").write_bytes(b"no raster")
        assert "maps/new/presence.tif cannot be read" in self.refused()

    @pytest.mark.parametrize(("error", "code"), [(OSError(28, "No space left on device"), 1), (KeyboardInterrupt(), 130)])
    @pytest.mark.usefixtures("two")
    def test_a_full_disk_and_an_interrupt_leave_nothing(self, monkeypatch, error, code):
        def fail(*_, **__):
            raise error

        monkeypatch.setattr("spurgekit.change.products.write_geopackage", fail)
        refuse("change", "maps/old", "maps/new", "--max-shift", "0.8", code=code)


def test_the_command(two):
    lines = succeed("change", "maps/old", "maps/new", "--max-shift", "0.8", "--out", "mine").splitlines()
    assert lines[-5] == "compared 64.0 m2 in cells of 0.50 m"
    found = r"tiles of 0\.50 m on [36]\.\d m2 by their probabilities; corrected for errors \d\.\d m2 \(95 % interval .* to .*\)"
    assert re.fullmatch(f"gain of bright: {found}", lines[-4])
    assert re.fullmatch(f"net change of bright: {found}", lines[-2])
    assert lines[-1] == "mine: change.tif, change.gpkg (2 polygons), summary.json, change.png"
    assert "mine exists already; pass --overwrite" in refuse(
        "change", "maps/old", "maps/new", "--out", "mine", "--max-shift", "0.8"
    )
