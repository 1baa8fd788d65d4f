import json
import re
import shutil
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio

from spurgekit.accuracy import CheckOptions, draw_check, read_sample
from spurgekit.accuracy.drawing import draw_cells
from spurgekit.accuracy.strata import read_strata
from spurgekit.errors import InputError, OutputExistsError
from spurgekit.maps import map_site
from spurgekit.review import open_folder
from spurgekit.review.site_images import find_site_images
from tests.accuracy.conftest import CELL_PX, COLUMNS, ROWS
from tests.maps.brightness import brightness_model
from tests.outputs.listing import RECORDS, names

STRATA = {("dark", False): 17 * ROWS, ("dark", True): ROWS, ("bright", False): 9 * ROWS, ("bright", True): ROWS}


def place_of(cell):
    return tuple(int(number) for number in re.fullmatch(r"dune_r(\d{5})_c(\d{5})", cell).groups())


class TestFolder:
    def test_strata_are_classes_by_certainty_without_cells_that_have_no_data(self, drawn):
        sample = read_sample(drawn.check)
        assert {(one.mapped, one.uncertain): one.cells for one in sample.strata} == STRATA
        assert sample.mapped_m2 == pytest.approx(28 * ROWS * 0.0016)
        assert sum(one.sampled for one in sample.strata) == len(sample.cells) == 120
        assert all(one.sampled >= 12 for one in sample.strata)

    def test_cells_are_of_their_stratum(self, drawn):
        sample = read_sample(drawn.check)
        for one in sample.cells:
            _, col = place_of(one.cell)
            stratum = sample.strata[one.stratum]
            assert (stratum.mapped, stratum.uncertain) == ("bright" if 10 <= col < 20 else "dark", col in (9, 10))

    def test_what_is_in_it(self, drawn):
        pictures = {f"{one.cell}.png" for one in read_sample(drawn.check).cells}
        lists = {"sample.json", "cells.csv", "cells.gpkg", "cells.gpx", "tiles.parquet", "tiles.gpkg", "overview.png"}
        assert set(names(drawn.check)) == pictures | lists | {*RECORDS}

    def test_the_table_is_to_be_filled_in_and_does_not_say_what_is_mapped(self, drawn):
        table = pd.read_csv(drawn.check / "cells.csv")
        assert list(table) == ["cell", "longitude", "latitude", "easting", "northing", "label", "note"]
        assert table[["label", "note"]].isna().all(axis=None)
        row, col = place_of(table["cell"][0])
        assert table["easting"][0] == pytest.approx(500_000 + 0.04 * (col + 0.5), abs=0.006)
        assert table["northing"][0] == pytest.approx(5_000_000 - 0.04 * (row + 0.5), abs=0.006)
        for path in ("cells.csv", "cells.gpx"):
            assert not re.search("dark|bright", (drawn.check / path).read_text())

    def test_the_order_is_drawn_too(self, drawn):
        strata = [one.stratum for one in read_sample(drawn.check).cells]
        assert strata != sorted(strata)
        assert list(pd.read_csv(drawn.check / "cells.csv")["cell"]) == [one.cell for one in read_sample(drawn.check).cells]

    def test_squares_and_waypoints_lie_where_the_cells_do(self, drawn):
        squares, points = gpd.read_file(drawn.check / "cells.gpkg"), gpd.read_file(drawn.check / "cells.gpx", layer="waypoints")
        assert squares.area.to_numpy() == pytest.approx(np.full(120, 0.0016))
        assert list(points["name"]) == list(squares["cell"])
        assert squares.contains(gpd.GeoSeries(points.geometry).to_crs(squares.crs)).all()

    def test_pictures_are_of_their_cells(self, drawn):
        index = gpd.read_parquet(drawn.check / "tiles.parquet")
        squares = gpd.read_file(drawn.check / "cells.gpkg")
        assert list(index["tile_id"]) == list(squares["cell"])
        assert index.geometry.centroid.distance(squares.geometry.centroid).max() < 1e-6
        assert set(index["size_px"]) == {CELL_PX}

    def test_it_is_reviewed_with_the_maps_classes_and_its_image_around(self, drawn):
        folder = open_folder(drawn.check)
        assert folder.classes == ("dark", "bright")
        assert {tile.label for tile in folder.tiles} == {None}
        assert [path.path.name for path in find_site_images(folder).values()] == ["site.tif"]


def test_the_same_seed_draws_the_same_and_another_does_not(drawn):
    draw_check(drawn.map, "again", CheckOptions(cells=120, least=12))
    draw_check(drawn.map, "other", CheckOptions(cells=120, least=12, seed=1))
    assert read_sample(Path("again")) == read_sample(drawn.check)
    assert (Path("again") / "cells.gpkg").read_bytes() == (drawn.check / "cells.gpkg").read_bytes()
    assert {one.cell for one in read_sample(Path("other")).cells} != {one.cell for one in read_sample(drawn.check).cells}


def test_each_cell_of_a_stratum_is_as_likely(drawn):
    """Over 200 seeds each of the 24 uncertain bright cells is among 12 a hundred times, give or take 4 standard deviations."""
    strata, rows = read_strata(drawn.map, 0.5, 12), []
    for seed in range(200):
        cells, _ = draw_cells(strata, np.array([3]), np.array([12]), "dune", seed)
        rows += [cell.window.row for cell in cells]
    assert np.abs(np.bincount(rows, minlength=ROWS) - 100).max() < 4 * np.sqrt(200 * 0.25)


def test_strata_of_classes_alone(drawn):
    sample = draw_check(drawn.map, "one", CheckOptions(cells=60, uncertain_from=1)).sample
    assert {one.mapped: (one.uncertain, one.cells) for one in sample.strata} == {
        "dark": (False, 18 * ROWS),
        "bright": (False, 10 * ROWS),
    }


def test_a_part_with_too_few_cells_joins_its_class(drawn):
    sample = draw_check(drawn.map, "one", CheckOptions(cells=100, least=25)).sample
    assert [one.cells for one in sample.strata] == [18 * ROWS, 10 * ROWS]


def test_as_many_cells_as_the_half_width_takes(drawn):
    wide, narrow = (
        draw_check(drawn.map, name, CheckOptions(half_width=width, least=2)) for name, width in (("a", 0.05), ("b", 0.02))
    )
    assert wide.half_width <= 0.051
    assert narrow.half_width <= 0.021
    assert len(wide.sample.cells) < len(narrow.sample.cells)
    area = draw_check(drawn.map, "c", CheckOptions(half_width_m2=0.05, least=2))
    assert area.area_of == "bright"
    assert area.half_width * area.sample.mapped_m2 <= 0.051


def test_a_map_without_a_place_on_earth_has_no_waypoints(nowhere):
    report = draw_check(nowhere.map, nowhere.check, CheckOptions(cells=60))
    assert report.files == ("cells.csv", "cells.gpkg")
    assert report.notes == ("the map has no place on Earth, so there are no waypoints for GPS",)
    assert list(pd.read_csv(nowhere.check / "cells.csv")) == ["cell", "x", "y", "label", "note"]
    assert report.pictures == 60


def test_without_the_image_there_are_lists_alone(drawn):
    drawn.site.rename("elsewhere.tif")
    report = draw_check(drawn.map, "lists", CheckOptions(cells=60))
    assert report.notes == ("site.tif is not where it was when mapped, so no cell has a picture; pass `image`",)
    assert report.pictures == 0
    assert not (Path("lists") / "tiles.parquet").exists()
    again = draw_check(drawn.map, "pictures", CheckOptions(cells=60), image="elsewhere.tif")
    assert (again.pictures, again.notes) == (60, ())


def test_polygons_of_the_map_are_not_taken_for_its_image(drawn):
    Path("site.tif").unlink()
    Path("aoi.gpkg").write_bytes((drawn.check / "cells.gpkg").read_bytes())
    record = json.loads((drawn.map / "provenance.json").read_text())
    record["inputs"]["aoi.gpkg"] = {}
    (drawn.map / "provenance.json").write_text(json.dumps(record))
    report = draw_check(drawn.map, "lists", CheckOptions(cells=60))
    assert report.notes == ("site.tif is not where it was when mapped, so no cell has a picture; pass `image`",)


def test_of_a_map_of_several_images_each_cell_has_its_picture_whole(drawn, make_tif):
    """The cut runs through cells, as cells lie on multiples of their side and images need not."""
    cut, halves = 10 * CELL_PX + 2, []
    with rasterio.open(drawn.site) as file:
        pixels, at = file.read(), file.transform
    for name, part, left in (("west", pixels[:, :, :cut], 0), ("east", pixels[:, :, cut:], cut)):
        where = at @ rasterio.Affine.translation(left, 0)
        halves.append(make_tif(f"{name}.tif", part, transform=where, colours=("red", "green", "blue", "alpha")))
    map_site(halves, brightness_model(CELL_PX, bands=3), "maps/halves")
    report = draw_check("maps/halves", "one", CheckOptions(cells=600, least=2))
    assert (report.pictures, report.notes) == (600, ())
    index = gpd.read_parquet("one/tiles.parquet")
    assert (index["valid_fraction"] == 1).all()
    cols = index["tile_id"].str.extract(r"_c(\d+)$")[0].astype(int)
    assert (index["source"] == np.where(cols < 10, "west.tif", "east.tif")).all()
    assert set(find_site_images(open_folder(Path("one")))) == {"west.tif", "east.tif"}


def test_another_image_of_the_same_ground_is_said_to_be_one(drawn, make_tif):
    make_tif("later.tif", np.full((3, ROWS * CELL_PX, COLUMNS * CELL_PX), 90, np.uint8))
    report = draw_check(drawn.map, "one", CheckOptions(cells=60), image="later.tif")
    assert report.notes == ("later.tif is not the file that was mapped, or was changed since: look whether it shows the same",)


def test_an_image_that_was_not_mapped_is_refused(drawn, make_tif):
    make_tif("far.tif", np.full((3, 40, 40), 9, np.uint8), transform=rasterio.Affine(0.01, 0, 600_000, 0, -0.01, 5_000_000))
    make_tif("zone.tif", np.full((3, 40, 40), 9, np.uint8), crs="EPSG:32613")
    with pytest.raises(InputError, match=r"far.tif shows none of the map's cells; pass the image that was mapped by `image`"):
        draw_check(drawn.map, "one", CheckOptions(cells=60), image="far.tif")
    with pytest.raises(InputError, match=r"zone.tif is not in the CRS of the map, so it was not mapped; pass another `image`"):
        draw_check(drawn.map, "one", CheckOptions(cells=60), image="zone.tif")
    assert not Path("one").exists()


def test_reviews_and_labels_are_not_replaced(drawn):
    (drawn.check / "review.jsonl").write_text("")
    with pytest.raises(OutputExistsError, match=r"review.jsonl was added to it"):
        draw_check(drawn.map, drawn.check, overwrite=True)
    (drawn.check / "review.jsonl").unlink()
    drawn.fill_in(drawn.check / "cells.csv")
    with pytest.raises(OutputExistsError, match=r"cells.csv was changed"):
        draw_check(drawn.map, drawn.check, overwrite=True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cells": 673}, r"`cells=673` are more than the 672 that the map has; pass fewer"),
        (
            {"cells": 30},
            r"`cells=30` are too few for 4 strata of 10 or more; pass 40, a smaller `least`, or `uncertain_from=1`",
        ),
        ({"cells": 60, "half_width": 0.1}, r"`cells` and `half_width` both say how many cells to sample; drop one of them"),
        ({"half_width": 0.7}, r"`half_width=0.7` cannot be; pass a share above 0 and below 0.5"),
        ({"half_width_m2": -1}, r"`half_width_m2=-1.0` cannot be; pass square metres"),
        (
            {"half_width_m2": 1, "area_of": "brigth"},
            r"`area_of=brigth` is no class of the map, did you mean bright\? known are",
        ),
        ({"area_of": "bright"}, r"`area_of` says which class `half_width_m2` is of; pass both"),
        ({"least": 1}, r"`least=1` is too few; pass 2 or more"),
    ],
)
def test_what_cannot_be_drawn_is_refused(drawn, options, said):
    with pytest.raises(InputError, match=said):
        draw_check(drawn.map, "one", CheckOptions(**options))
    assert not Path("one").exists()


def test_a_folder_that_is_no_map_is_refused(drawn, make_tif):
    for folder, said in (("nothing", "nothing is no folder"), ("maps", "maps holds no presence.tif")):
        with pytest.raises(InputError, match=f"^{said}; name a folder that 'spurgekit map' made"):
            draw_check(folder, "one")
    shutil.copytree(drawn.map, "other")
    make_tif(Path("other/presence.tif"), np.zeros((2, 4, 4), np.float32))
    with pytest.raises(InputError, match="has no bands of probability and uncertainty"):
        draw_check("other", "one")
    Path("other/presence.tif").write_bytes((drawn.map / "presence.tif").read_bytes()[:200])
    with pytest.raises(InputError, match=r"other/presence.tif cannot be read \(.*\); make the map again"):
        draw_check("other", "one")
