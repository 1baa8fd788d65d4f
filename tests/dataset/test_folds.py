"""A dataset's own split, and its places left out in turn."""

from __future__ import annotations

import pytest

from spurgekit.dataset import open_dataset
from spurgekit.dataset.fold_options import FoldOptions
from spurgekit.dataset.folds import folds_of, leave_out
from spurgekit.dataset.shots import ALL_SHOTS
from spurgekit.errors import InputError
from tests.clusters import NAMES, draw_clusters

CLUSTERS = FoldOptions(leave_out="cluster")


@pytest.fixture(scope="module")
def data(tmp_path_factory, make_tif):
    return open_dataset(draw_clusters(tmp_path_factory.mktemp("clusters"), make_tif))


def test_the_datasets_own_split(data):
    (fold,) = folds_of(data, FoldOptions(), (1, 2), 3)
    assert (fold.left_out, fold.name, fold.column) == ("", "test", "cluster")
    assert fold.train["tile_id"].tolist() == data.split("train")["tile_id"].tolist()
    assert fold.sets.equals(data.support_sets())


class TestLeaveOut:
    def test_each_place_is_a_fold_and_train_and_test_are_split_together(self, data):
        folds = folds_of(data, CLUSTERS, (1, 2), 3)
        assert [fold.name for fold in folds] == [fold.left_out for fold in folds] == list(NAMES)
        for fold in folds:
            assert set(fold.test["cluster"]) == {fold.name}
            assert set(fold.train["cluster"]) == set(NAMES) - {fold.name}
            assert (len(fold.train), len(fold.test)) == (12, 4)

    def test_support_sets_are_of_the_other_places(self, data):
        for fold in leave_out(data, CLUSTERS, (1, 2), 3):
            assert set(zip(fold.sets["trial"], fold.sets["n"], strict=True)) == {
                (trial, n) for trial in range(3) for n in (1, 2)
            }
            assert set(fold.sets["tile_id"]) <= set(fold.train["tile_id"])
            assert fold.support(2, 1)["class"].value_counts().to_dict() == {"sand": 2, "weed": 2}
            assert fold.support(ALL_SHOTS, 0) is fold.train

    def test_they_do_not_depend_on_what_else_is_drawn(self, data):
        for few, many in zip(leave_out(data, CLUSTERS, (2,), 1), leave_out(data, CLUSTERS, (1, 2, 4), 9), strict=True):
            assert few.support(2, 0)["tile_id"].tolist() == many.support(2, 0)["tile_id"].tolist()

    def test_places_that_are_held_out_together_are_one(self, data):
        folds = leave_out(data, FoldOptions(leave_out="cluster", together=(("6", "12"),)), (1,), 1)
        assert [fold.name for fold in folds] == ["5", "7", "6+12"]
        both = folds[-1]
        assert set(both.test["cluster"]) == {"6", "12"}
        assert set(both.test["group"]) == {"6+12"}
        assert set(folds[0].train["group"]) == {"7", "6+12"}


class TestBadInput:
    @pytest.mark.parametrize(
        ("together", "says"),
        [
            ([["6", "9"]], "has no cluster '9' to be held out `together` with others; there are 5, 6, 7, 12"),
            (
                [["5", "6", "7", "12"]],
                r"are of cluster 5\+6\+7\+12, so that nothing is left .* pass fewer of them as `together`",
            ),
        ],
    )
    def test_places_that_cannot_be_held_out_together(self, data, together, says):
        with pytest.raises(InputError, match=says) as caught:
            leave_out(data, FoldOptions(leave_out="cluster", together=together), (1,), 1)
        assert "\n" not in str(caught.value)

    def test_a_place_that_is_called_as_others_together_would_be(self, tmp_path, make_tif):
        data = open_dataset(draw_clusters(tmp_path, make_tif, names=("a", "b", "a+b", "c")))
        with pytest.raises(InputError, match=r"has a cluster 'a\+b', as those held out `together` would be called; rename it"):
            leave_out(data, FoldOptions(leave_out="cluster", together=(("a", "b"),)), (1,), 1)

    def test_one_place_and_too_few_tiles(self, data):
        with pytest.raises(
            InputError, match="are of site site, so that nothing is left to learn from; pass another `leave_out`"
        ):
            leave_out(data, FoldOptions(leave_out="site"), (1,), 1)
        with pytest.raises(
            InputError, match="with cluster 5 left out there are 6 tiles of class 'sand' to learn from, fewer than 8"
        ):
            leave_out(data, CLUSTERS, (8,), 1)

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ({"together": [["6", "7"]]}, "`together` names places .* say of which column in `leave_out`"),
            ({"leave_out": "cluster", "together": ["6", "7"]}, "`together` names '6' alone, .* name two or more"),
            ({"leave_out": "cluster", "together": [["6", "7"], ["5", "6"]]}, "`together` names '6' twice"),
            ({"leave_out": "cluster", "together": [["6", "6"]]}, "`together` names '6' twice"),
        ],
    )
    def test_options_that_cannot_be(self, options, says):
        with pytest.raises(InputError, match=says):
            FoldOptions(**options)

    def test_numbers_are_names(self):
        assert FoldOptions(leave_out="cluster", together=[[6, 7]]).together == (("6", "7"),)
