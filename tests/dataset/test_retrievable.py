"""Which unlabelled tiles may be learned from beside a fold."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spurgekit.dataset import open_dataset
from spurgekit.dataset.fold_options import FoldOptions
from spurgekit.dataset.folds import leave_out, own_split
from spurgekit.dataset.retrievable import check_ground, describe, retrievable
from spurgekit.errors import InputError
from tests.clusters import FREE, NAMES, SIDE_PX, TILE_PX, draw_clusters
from tests.conftest import CORNER

EAST, NORTH = CORNER[0] + SIDE_PX * 0.005, CORNER[1] - SIDE_PX * 0.005
"""The middle of the site."""


@pytest.fixture(scope="module")
def data(tmp_path_factory, make_tif):
    return open_dataset(draw_clusters(tmp_path_factory.mktemp("clusters"), make_tif))


@pytest.fixture
def fold(data):
    """The cluster in the north-east is left out."""
    return next(fold for fold in leave_out(data, FoldOptions(leave_out="cluster"), (1,), 1) if fold.name == "6")


class TestPlaces:
    def test_a_tile_is_of_the_place_whose_labelled_tile_is_nearest(self, data, fold):
        found = retrievable(data, data.unlabelled(), fold)
        assert (len(found.rows), found.held_out, found.unknown) == (3 * FREE, FREE, 0)
        assert not ((found.rows["easting"] > EAST) & (found.rows["northing"] > NORTH)).any()

    def test_nor_is_one_of_the_test_split_retrieved(self, data):
        split = own_split(data)
        tested = set(split.test["cluster"])
        found = retrievable(data, data.unlabelled(), split)
        assert found.held_out == len(tested) * FREE
        quarter = np.where(found.rows["northing"] > NORTH, 0, 2) + (found.rows["easting"] > EAST)
        assert {NAMES[number] for number in quarter} == set(NAMES) - tested

    def test_places_that_are_held_out_together(self, data):
        options = FoldOptions(leave_out="cluster", together=(("5", "6"),))
        fold = leave_out(data, options, (1,), 1)[-1]
        assert retrievable(data, data.unlabelled(), fold).held_out == 2 * FREE
        said = data.unlabelled().assign(cluster="5")
        with pytest.raises(InputError, match=rf"all {4 * FREE} unlabelled tiles .* are of places that are held out \(5\+6\)"):
            retrievable(data, said, fold)

    def test_what_a_tile_says_of_its_place_counts_more_than_the_ground(self, data, fold):
        rows = data.unlabelled()
        said = rows.assign(cluster=["6"] * 10 + ["7"] * 10 + [None] * (len(rows) - 20))
        found = retrievable(data, said, fold)
        assert not set(rows["tile_id"][:10]) & set(found.rows["tile_id"])
        assert set(rows["tile_id"][10:20]) <= set(found.rows["tile_id"])
        by_ground = retrievable(data, rows.iloc[20:], fold)
        assert found.held_out == 10 + by_ground.held_out

    def test_of_what_says_neither_nobody_can_tell(self, data, fold):
        rows = data.unlabelled().drop(columns=["easting", "northing"])
        found = retrievable(data, rows, fold)
        assert (len(found.rows), found.held_out, found.unknown) == (4 * FREE, 0, 4 * FREE)
        assert describe({"6": found}) == [
            f"unlabelled tiles of places that are held out are never retrieved: 0 of {4 * FREE}",
            f"{4 * FREE} of {4 * FREE} unlabelled tiles say neither their place nor where they lie, so that some that are "
            "retrieved may be of places that are held out; tile with `unlabelled_px`",
        ]

    def test_what_is_said_of_several_folds(self, data):
        folds = leave_out(data, FoldOptions(leave_out="cluster", together=(("5", "6"),)), (1,), 1)
        found = {fold.name: retrievable(data, data.unlabelled(), fold) for fold in folds}
        assert describe(found) == [
            f"unlabelled tiles of places that are held out are never retrieved: {FREE} to {2 * FREE} of {4 * FREE} in each fold"
        ]
        assert describe({}) == []


class TestGround:
    def test_as_much_ground_as_the_labelled_ones(self, data):
        check_ground(data, data.unlabelled())
        check_ground(data, pd.DataFrame({"size_px": [8.0], "gsd_m": [0.01 * 1.009]}))  # within 1 %

    @pytest.mark.parametrize(
        ("size_px", "gsd_m", "says"),
        [
            (8, 0.02, "of 1 cm wide, unlabelled ones 8 px of 2 cm, .* tile with `unlabelled_px=8` and `gsd_m=0.01`, and build"),
            (4, 0.02, "ones 4 px of 2 cm, .* in as many pixels; tile with `unlabelled_px=8` and `gsd_m=0.01`, and build"),
            (200, 0.01, "8 px of 1 cm wide, unlabelled ones 200 px of 1 cm, .* tile with `unlabelled_px=8`, and build"),
            (8, 0.01 * 1.011, r"ones 8 px of 1\.01 cm"),
            (16, None, "ones 16 px of 1 cm, .* `unlabelled_px=8`, and"),
        ],
    )
    def test_more_or_less_of_it(self, data, size_px, gsd_m, says):
        with pytest.raises(InputError, match=says) as caught:
            check_ground(data, pd.DataFrame({"size_px": [float(size_px)], "gsd_m": [gsd_m]}))
        assert "\n" not in str(caught.value)

    def test_those_of_a_folder_are_tiled_anew_and_the_dataset_stays(self, data, tmp_path):
        with pytest.raises(InputError, match=rf"ones in {tmp_path} 4 px .* tile with `size_px=8` and `gsd_m=0\.01`$"):
            check_ground(data, pd.DataFrame({"size_px": [4.0], "gsd_m": [0.02]}), tmp_path)

    def test_where_nobody_knows_what_a_pixel_measures_pixels_count(self, data):
        check_ground(data, pd.DataFrame({"size_px": [float(TILE_PX)], "gsd_m": [None]}))
        check_ground(data, pd.DataFrame({"tile_id": ["a"]}))
