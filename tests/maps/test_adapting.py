"""A model moved to the site that is mapped: by its tiles, by labelled points, or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest

from spurgekit.errors import InputError
from spurgekit.maps import MapOptions, map_site
from tests.maps.brightness import SLOPE, brightness_model

SIDE, TILE = 20, 4


def fields(parts, seed=0):
    """Return a site of 20 x 20 fields of 4 px: so many of each mean brightness, with a spread of 6, in any order."""
    rng = np.random.default_rng(seed)
    means = rng.permutation(np.concatenate([rng.normal(mean, 6, count) for count, mean in parts]))
    return np.kron(np.clip(means, 1, 255).reshape(SIDE, SIDE), np.ones((TILE, TILE))).astype(np.uint8)[None]


def summary(report):
    return json.loads((report.folder / "summary.json").read_text())


@pytest.fixture
def mapped(tmp_path, make_tif):
    def make(pixels, **options):
        site = make_tif(tmp_path / "site.tif", pixels)
        return map_site(site, brightness_model(TILE), tmp_path / "map", MapOptions(**options), overwrite=True)

    return make


class TestBySite:
    # The model parts at 100. In log odds, fields at 20 and 130 lie at -4 and 1.5, and the valley at -1.25: half of it is 0.62.
    DARKER = ((300, 20), (100, 130))

    def test_the_threshold_goes_half_way_to_the_valley_and_that_is_said(self, mapped):
        report = mapped(fields(self.DARKER), adapt="site")
        (note,) = report.notes
        assert note.startswith("probabilities are moved to the site by +0.")
        assert "64 tiles of it part in two" in note
        moved = summary(report)["moved_to_site"]
        assert moved["log_odds"] == pytest.approx(0.62, abs=0.15)
        assert (moved["source"], moved["tiles"]) == ("tiles of the site without labels", 64)

    def test_probabilities_are_those_of_the_model_with_the_shift(self, mapped):
        import rasterio

        def odds(report):
            with rasterio.open(report.folder / "presence.tif") as file:
                p = file.read(2).astype(float)
            return np.log(p / (1 - p))

        report = mapped(fields(self.DARKER), adapt="site")
        shift, moved = summary(report)["moved_to_site"]["log_odds"], odds(report)
        assert moved - odds(mapped(fields(self.DARKER))) == pytest.approx(shift, abs=1e-3)

    @pytest.mark.parametrize(
        "parts", [((400, 30),), ((300, 20), (100, 70)), ((250, 140), (150, 220))], ids=["one kind", "no weed", "all weed"]
    )
    def test_a_site_without_weed_or_full_of_it_stays(self, mapped, parts):
        report = mapped(fields(parts), adapt="site")
        assert report.notes == ("probabilities are not moved to the site: 64 tiles of it do not part in two at the threshold",)
        assert "moved_to_site" not in summary(report)

    def test_unasked_it_stays(self, mapped):
        report = mapped(fields(self.DARKER))
        assert report.notes == ()
        assert "moved_to_site" not in summary(report)

    def test_of_a_handful_of_tiles_nothing_can_be_said(self, tmp_path, make_tif):
        site = make_tif(tmp_path / "site.tif", fields(self.DARKER)[:, :16])
        report = map_site(site, brightness_model(TILE * 2), tmp_path / "map", MapOptions(adapt="site"))
        assert report.notes == ("probabilities are not moved to the site: it has fewer than 64 tiles",)

    def test_a_prevalence_that_was_given_puts_the_threshold(self, tmp_path, make_tif):
        model = brightness_model(TILE)
        model.prevalence = (0.9, 0.1)
        site = make_tif(tmp_path / "site.tif", fields(self.DARKER))
        report = map_site(site, model, tmp_path / "map", MapOptions(adapt="site"))
        assert report.notes == ("probabilities are not moved to the site: the prevalence that was given puts the threshold",)


class TestByLabels:
    def points(self, path, *classes, kind="label"):
        """Write a point for each class into the first fields of the upper row."""
        xs = 500_000 + 0.01 * TILE * (np.arange(len(classes)) + 0.5)
        geometry = gpd.points_from_xy(xs, np.full(len(classes), 5_000_000 - 0.02))
        gpd.GeoDataFrame({kind: list(classes)}, geometry=geometry, crs="EPSG:32612").to_file(path)
        return path

    def site(self):
        """Return a site whose first four fields of the upper row are of 40, 40, 80 and 80."""
        pixels = fields(((400, 30),))
        for number, mean in enumerate((40, 40, 80, 80)):
            pixels[0, :TILE, number * TILE : (number + 1) * TILE] = mean
        return pixels

    def test_the_threshold_lies_between_the_labelled_tiles(self, tmp_path, mapped):
        labels = self.points(tmp_path / "known.gpkg", "dark", "dark", "bright", "bright")
        report = mapped(self.site(), adapt=labels)
        # The middle of 40 and 80 is 60, 2 in log odds below the threshold; the prior keeps some of that.
        moved = summary(report)["moved_to_site"]
        assert 0.8 < moved["log_odds"] < SLOPE * 40
        assert (moved["source"], moved["tiles"]) == ("known.gpkg", 4)
        assert report.notes[-1].endswith("by labels of 2 of dark and 2 of bright")
        record = json.loads((report.folder / "provenance.json").read_text())
        assert any("known.gpkg" in str(entry) for entry in record["inputs"])

    def test_a_point_off_the_image_is_counted(self, tmp_path, mapped):
        labels = self.points(tmp_path / "known.gpkg", *["dark", "dark", "bright", "bright"], *["dark"] * 20)
        assert "4 of 24 points lie off the image" in " ".join(mapped(self.site(), adapt=labels).notes)

    @pytest.mark.parametrize(
        ("classes", "match"),
        [
            (("dark", "dark"), r"known\.gpkg has no tile of 'bright' on this site with data"),
            (("gravel", "bright"), r"known\.gpkg has no tile of 'dark' on this site with data"),
        ],
    )
    def test_labels_that_do_not_serve(self, tmp_path, mapped, classes, match):
        labels = self.points(tmp_path / "known.gpkg", *classes)
        with pytest.raises(InputError, match=match) as caught:
            mapped(self.site(), adapt=labels)
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "map").exists()

    def test_a_class_that_the_model_does_not_know_is_counted(self, tmp_path, mapped):
        labels = self.points(tmp_path / "known.gpkg", "dark", "gravel", "bright", "bright")
        assert "1 tile of other classes than dark and bright are left out" in " ".join(mapped(self.site(), adapt=labels).notes)

    def test_polygons(self, tmp_path, mapped):
        frame = gpd.read_file(self.points(tmp_path / "known.gpkg", "dark", "bright"))
        frame.assign(geometry=frame.buffer(0.01)).to_file(tmp_path / "drawn.gpkg")
        with pytest.raises(InputError, match=r"drawn\.gpkg holds other than points"):
            mapped(self.site(), adapt=tmp_path / "drawn.gpkg")

    def test_a_file_that_is_not_there(self, tmp_path, mapped):
        with pytest.raises(InputError, match=r"nowhere\.gpkg: no such file"):
            mapped(self.site(), adapt=Path(tmp_path / "nowhere.gpkg"))
