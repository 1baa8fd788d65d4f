"""Splitters on layouts small enough to work out by hand, and what holds for any layout."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import cross_val_score

from spurgekit.dataset import LeaveClustersOut, NewSites, SpatialBlocks, fold_balance
from spurgekit.errors import InputError

ROW = np.column_stack([np.arange(6) + 0.5, np.zeros(6)])
"""Six places a metre apart."""

PLACES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=4, max_size=60, unique=True).map(np.array)


def folds_of(splitter, *arguments, **more):
    return [(train.tolist(), test.tolist()) for train, test in splitter.split(*arguments, **more)]


class TestLeaveClustersOut:
    def test_each_in_turn(self):
        folds = folds_of(LeaveClustersOut(), ROW, groups=list("aabbbc"))
        assert folds == [([2, 3, 4, 5], [0, 1]), ([0, 1, 5], [2, 3, 4]), ([0, 1, 2, 3, 4], [5])]
        assert LeaveClustersOut().get_n_splits(groups=list("aabbbc")) == 3

    def test_as_the_leafy_spurge_dataset_suggests(self):
        # Clusters 6 and 7 are held out together, and 3 is in no fold: it is always trained on.
        splitter = LeaveClustersOut(folds=[[0], [6, 7]])
        assert folds_of(splitter, ROW, groups=[0, 0, 3, 6, 7, 7]) == [([2, 3, 4, 5], [0, 1]), ([0, 1, 2], [3, 4, 5])]
        assert splitter.get_n_splits() == 2

    def test_with_a_buffer_between_the_points(self):
        # Cluster b is at 2.5 and 3.5; those a metre from it are left out.
        folds = folds_of(LeaveClustersOut(folds=[["b"]], buffer_m=1.0), ROW, groups=list("aabbcc"))
        assert folds == [([0, 5], [2, 3])]

    def test_with_a_buffer_between_footprints(self):
        squares = gpd.GeoSeries(shapely.box(ROW[:, 0] - 0.4, -0.4, ROW[:, 0] + 0.4, 0.4), crs="EPSG:32612")  # 0.2 m apart
        assert folds_of(LeaveClustersOut(folds=[["b"]], buffer_m=0.1), squares, groups=list("aabbcc")) == [
            ([0, 1, 4, 5], [2, 3])
        ]
        assert folds_of(LeaveClustersOut(folds=[["b"]], buffer_m=0.3), squares, groups=list("aabbcc")) == [([0, 5], [2, 3])]

    @pytest.mark.parametrize(
        ("splitter", "groups", "said"),
        [
            (LeaveClustersOut(), None, "pass groups"),
            (LeaveClustersOut(folds=[["z"]]), list("aabbcc"), "there is no cluster 'z'; there are a, b, c"),
            (LeaveClustersOut(folds=[list("abc")]), list("aabbcc"), "the fold of clusters a, b, c leaves nothing to train on"),
        ],
    )
    def test_what_cannot_be(self, splitter, groups, said):
        with pytest.raises(InputError, match=said):
            folds_of(splitter, ROW, groups=groups)


class TestSpatialBlocks:
    def test_two_blocks_and_a_gap(self):
        # Blocks of 3 m hold places 0 to 2 and 3 to 5; a buffer of 1 m takes the place beside the other block.
        folds = folds_of(SpatialBlocks(block_m=3, n_splits=2, buffer_m=1.0), ROW)
        assert sorted(folds) == [([0, 1], [3, 4, 5]), ([4, 5], [0, 1, 2])]

    def test_footprints_that_touch_are_parted_without_a_buffer(self):
        squares = gpd.GeoDataFrame(geometry=shapely.box(ROW[:, 0] - 0.5, -0.5, ROW[:, 0] + 0.5, 0.5), crs="EPSG:32612")
        folds = folds_of(SpatialBlocks(block_m=3, n_splits=2), squares)
        assert sorted(folds) == [([0, 1], [3, 4, 5]), ([4, 5], [0, 1, 2])]

    def test_blocks_lie_on_round_coordinates_whatever_the_data(self):
        fold = SpatialBlocks(block_m=2, n_splits=3, seed=1).folds(ROW)
        assert (SpatialBlocks(block_m=2, n_splits=3, seed=1).folds(ROW[::-1]) == fold[::-1]).all()
        assert fold[0] == fold[1] != fold[2] == fold[3] != fold[4] == fold[5]

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"block_m": 10, "n_splits": 2}, "all places lie in 1 block of 10 m, too few for 2 folds"),
            ({"block_m": 0}, "blocks of 0 m cannot be"),
            ({"block_m": 1, "buffer_m": -1}, "a buffer of -1 m cannot be"),
            ({"block_m": 1, "n_splits": 1}, "1 folds are no cross-validation"),
        ],
    )
    def test_what_cannot_be(self, options, said):
        with pytest.raises(InputError, match=said):
            folds_of(SpatialBlocks(**options), ROW)

    def test_what_are_no_places(self):
        with pytest.raises(InputError, match=r"not of shape \(6, 3\)"):
            folds_of(SpatialBlocks(block_m=1, n_splits=2), np.zeros((6, 3)))

    @given(PLACES, st.integers(1, 20), st.integers(2, 4), st.floats(0, 30), st.integers(0, 99))
    def test_no_leakage_at_any_buffer_and_every_place_in_one_fold(self, places, block_m, n_splits, buffer_m, seed):
        splitter = SpatialBlocks(block_m, n_splits, buffer_m, seed)
        assume(len({tuple(place) for place in np.floor(places / block_m)}) >= n_splits)
        tested = []
        for train, test in splitter.split(places.astype(float)):
            apart = np.linalg.norm(places[train][:, None] - places[test], axis=-1)
            assert apart.size == 0 or apart.min() > buffer_m
            left_out = np.setdiff1d(np.arange(len(places)), [*train, *test])
            for row in left_out:  # nothing is left out that need not be
                assert np.linalg.norm(places[row] - places[test], axis=-1).min() <= buffer_m + 1e-5
            tested += test.tolist()
        assert sorted(tested) == list(range(len(places)))

    @given(PLACES, st.integers(1, 20), st.integers(2, 4), st.integers(0, 99))
    def test_a_block_is_never_parted(self, places, block_m, n_splits, seed):
        blocks = [tuple(place) for place in np.floor(places / block_m)]
        assume(len(set(blocks)) >= n_splits)
        fold = SpatialBlocks(block_m, n_splits, seed=seed).folds(places.astype(float))
        assert all(len({fold[i] for i, other in enumerate(blocks) if other == block}) == 1 for block in set(blocks))
        assert set(fold) == set(range(n_splits))


class TestNewSites:
    def test_whole_sites_near_the_share_asked_for(self):
        sites = np.repeat(list("abcde"), 10)
        (train, test), *_ = NewSites(test_share=0.4).split(np.zeros((50, 1)), np.tile([0, 1], 25), sites)
        assert len(test) == 20
        assert not set(sites[train]) & set(sites[test])

    @given(st.lists(st.sampled_from("abcd"), min_size=4, max_size=40).filter(lambda s: len(set(s)) > 1), st.integers(0, 9))
    def test_no_site_is_on_both_sides(self, sites, seed):
        for train, test in NewSites(test_share=0.3, n_splits=3, seed=seed).split(np.zeros((len(sites), 1)), groups=sites):
            assert len(train) and len(test)
            assert not {sites[i] for i in train} & {sites[i] for i in test}
            assert sorted([*train, *test]) == list(range(len(sites)))


def test_scikit_learn_takes_them():
    model, labels, clusters = DummyClassifier(), np.tile([0, 1], 3), list("aabbcc")
    for splitter, count in ((LeaveClustersOut(), 3), (SpatialBlocks(block_m=2, n_splits=3), 3), (NewSites(n_splits=2), 2)):
        assert len(cross_val_score(model, ROW, labels, cv=splitter, groups=clusters)) == count


def test_balance_counts_what_is_left_out():
    table = fold_balance(LeaveClustersOut(folds=[["b"]], buffer_m=1.0), ROW, ["w", "s", "w", "w", "s", "s"], list("aabbcc"))
    assert table.to_dict("records") == [
        {"fold": 0, "side": "train", "s": 1, "w": 1, "left_out": 2},
        {"fold": 0, "side": "test", "s": 0, "w": 2, "left_out": 2},
    ]
