"""Unlabelled tiles that labels are spread to: the dataset's own, or those of a folder."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from spurgekit.classify.arms import parse_arm
from spurgekit.classify.training_tiles import ExtraTiles
from spurgekit.dataset import open_dataset
from spurgekit.dataset.fold_options import FoldOptions
from spurgekit.dataset.folds import leave_out
from spurgekit.errors import InputError
from spurgekit.evaluate.experiment import EvaluateOptions, evaluate_arms
from spurgekit.tiles import TileOptions, tile_images
from tests.chain import BACKBONE
from tests.clusters import FREE, TILE_PX, draw_clusters

OPTIONS = EvaluateOptions(
    backbone=BACKBONE, pretrained=False, image_size_px=32, precision="float32",
    arms=("probe", "probe+supervised"), shots=(1,), trials=2, leave_out="cluster",
)  # fmt: skip
PROBE = parse_arm("probe")


@pytest.fixture(scope="module")
def site(tmp_path_factory, make_tif):
    """A dataset with unlabelled tiles, and folders of others of the site: as large, twice as large, and of one band."""
    folder = tmp_path_factory.mktemp("site")
    draw_clusters(folder, make_tif)
    for name, side in (("more", TILE_PX), ("larger", 2 * TILE_PX)):
        tile_images([folder / "site.tif"], folder / name, TileOptions(size_px=side, layout="grid"))
    return folder


def fold_without(data, name):
    folds = leave_out(data, FoldOptions(leave_out="cluster"), (1, 2), 3)
    return next(fold for fold in folds if fold.name == name)


class TestLookedAt:
    def support(self, extra, fold, **options):
        return extra.gather(None, fold.support(1, 0), PROBE, fold=fold, n=1, **options)

    def test_the_training_side_and_unlabelled_tiles_of_no_place_that_is_held_out(self, site):
        data = open_dataset(site / "dataset")
        fold = fold_without(data, "6")
        found = self.support(ExtraTiles(data), fold).unlabelled
        assert not set(found["tile_id"]) & {*fold.test["tile_id"], *fold.support(1, 0)["tile_id"]}
        assert len(found) == len(fold.train) - 2 + 3 * FREE

    def test_tiles_of_a_folder_in_place_of_the_dataset_s_own(self, site):
        data = open_dataset(site / "dataset")
        fold = fold_without(data, "6")
        extra = ExtraTiles.open(data, {}, None, site / "more")
        found = self.support(extra, fold).unlabelled
        assert sum(path.is_relative_to(site / "more") for path in found["path"]) == 300
        assert len(found) == len(fold.train) - 2 + 300, "a quarter of 400 lies nearest to the cluster that is held out"

    def test_what_is_held_out_too_where_that_is_asked_for(self, site):
        data = open_dataset(site / "dataset")
        fold = fold_without(data, "6")
        found = self.support(ExtraTiles(data), fold, transductive=True).unlabelled
        assert set(fold.test["tile_id"]) <= set(found["tile_id"])

    def test_of_a_supervised_arm_none_of_the_dataset_s_own(self, site):
        data = open_dataset(site / "dataset")
        fold = fold_without(data, "6")
        support = ExtraTiles(data).gather(None, fold.support(1, 0), parse_arm("probe+supervised"), fold=fold, n=1)
        assert len(support.unlabelled) == len(fold.train) - 2


class TestEvaluation:
    def test_what_was_kept_out_is_said(self, site, tmp_path):
        report = evaluate_arms(site / "dataset", tmp_path / "e", replace(OPTIONS, unlabelled=site / "more"))
        assert any("of places that are held out are never retrieved: 100 of 400 in each fold" in one for one in report.warnings)
        table = pd.read_parquet(report.folder / "predictions.parquet").set_index("arm")["p1"]
        assert (table["probe"].to_numpy() != table["probe+supervised"].to_numpy()).any()

    def test_tiles_of_another_size(self, site, tmp_path):
        with pytest.raises(InputError, match=r"labelled tiles of .* are 8 px of 1 cm wide, .* 16 px of 1 cm, .* `size_px=8`$"):
            evaluate_arms(site / "dataset", tmp_path / "e", replace(OPTIONS, unlabelled=site / "larger"))
        assert not (tmp_path / "e").exists()

    def test_tiles_of_other_bands(self, site, tmp_path, make_tif):
        pixels = np.random.default_rng(0).integers(0, 255, (1, 40, 40), np.uint8)
        tile_images([make_tif(tmp_path / "grey.tif", pixels)], tmp_path / "grey", TileOptions(size_px=TILE_PX, layout="grid"))
        says = r"have 3 bands of uint8, unlabelled ones 1 band of uint8 \(such as .*\); tile with the same `bands`"
        with pytest.raises(InputError, match=says):
            evaluate_arms(site / "dataset", tmp_path / "e", replace(OPTIONS, unlabelled=tmp_path / "grey"))
        assert not any(path.name.startswith((".e", "e")) for path in tmp_path.iterdir())

    def test_no_such_folder(self, site, tmp_path):
        with pytest.raises(InputError, match=r"nothing: no such folder; make one with 'spurgekit tile'"):
            evaluate_arms(site / "dataset", tmp_path / "e", replace(OPTIONS, unlabelled=site / "nothing"))

    def test_the_dataset_s_own_of_another_size_are_left_out_and_that_is_said(self, make_tif, tmp_path):
        draw_clusters(tmp_path, make_tif, unlabelled_px=2 * TILE_PX)
        report = evaluate_arms(tmp_path / "dataset", tmp_path / "e", OPTIONS)
        (line,) = [one for one in report.warnings if "not looked at" in one]
        assert "labelled tiles" in line
        assert "8 px of 1 cm wide, unlabelled ones 16 px of 1 cm" in line
