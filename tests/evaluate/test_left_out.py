"""Arms on folds that leave places out: nothing of such a place is used there."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from spurgekit.augment.augment_options import AugmentOptions
from spurgekit.augment.generation import augment_dataset
from spurgekit.classify import TrainOptions, train_model
from spurgekit.classify.training_tiles import ExtraTiles
from spurgekit.dataset import open_dataset
from spurgekit.errors import InputError
from spurgekit.evaluate.evaluate_options import EvaluateOptions
from spurgekit.evaluate.experiment import evaluate_arms
from tests.chain import BACKBONE
from tests.clusters import FREE, NAMES, TILE_PX, draw_clusters
from tests.diffusion.conftest import tiny

__all__ = ["tiny"]

OPTIONS = EvaluateOptions(
    backbone=BACKBONE, pretrained=False, image_size_px=32, precision="float32", leave_out="cluster",
    arms=("probe", "probe+synthetic"), shots=(1, 2), trials=2,
)  # fmt: skip


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, make_tif):
    return draw_clusters(tmp_path_factory.mktemp("clusters"), make_tif)


@pytest.fixture(scope="module")
def coded(dataset, tiny, tmp_path_factory):
    """A round trip of each tile, listed for the support sets of each fold."""
    return augment(dataset, tiny, tmp_path_factory.mktemp("coded") / "left_out", leave_out="cluster")


def augment(dataset, tiny, out, shots=(1, 2), **options):
    augment_dataset(
        dataset, out, AugmentOptions(method="roundtrip", shots=shots, trials=2, backbone=str(tiny), device="cpu", **options)
    )
    return out


@pytest.fixture
def gathered(monkeypatch):
    """What each cell learns from: fold and support set."""
    found, gather = [], ExtraTiles.gather

    def note(self, *args, fold=None, **how):
        found.append((fold, gather(self, *args, fold=fold, **how)))
        return found[-1][1]

    monkeypatch.setattr(ExtraTiles, "gather", note)
    return found


class TestSynthetic:
    def test_tiles_are_made_of_the_folds_own_support_set(self, dataset, coded, tmp_path, gathered):
        report = evaluate_arms(dataset, tmp_path / "e", replace(OPTIONS, synthetic=coded))
        assert report.cells == 2 * 2 * 2 * 4
        table = pd.read_parquet(report.folder / "predictions.parquet")
        assert (table["fold"] == table["place"]).all()
        assert set(table["fold"]) == set(NAMES)
        with_extra = [(fold, support) for fold, support in gathered if len(support.extra)]
        assert len(with_extra) == report.cells / 2
        for fold, support in with_extra:
            assert sorted(support.extra["owner"]) == sorted(support.tiles["tile_id"])
            assert not set(support.extra["owner"]) & set(fold.test["tile_id"])

    def test_all_tiles_of_the_other_places(self, dataset, tiny, tmp_path):
        coded = augment(dataset, tiny, tmp_path / "coded", shots=(0,), leave_out="cluster", together=[["5", "12"]])
        options = replace(OPTIONS, synthetic=coded, shots=(0,), together=[["5", "12"]])
        table = pd.read_parquet(evaluate_arms(dataset, tmp_path / "e", options).folder / "predictions.parquet")
        assert set(table["fold"]) == set(table["place"]) == {"6", "7", "5+12"}

    @pytest.mark.parametrize(
        ("made", "options", "says"),
        [
            (
                {},
                {},
                "were made of the dataset's own training split alone, and none with 5 left out; "
                "make some by 'spurgekit augment' with the same `leave_out`",
            ),
            ({"leave_out": "cluster"}, {"leave_out": None}, "with 5, 6, 7, 12 left out, and none of the dataset's own"),
            ({"leave_out": "cluster"}, {"together": [["5", "6"]]}, r"with 5, 6, 7, 12 left out, and none with 5\+6 left out"),
            ({"leave_out": "cluster", "together": [["5", "6"]]}, {}, r"with 7, 12, 5\+6 left out, and none with 5 left out"),
        ],
    )
    def test_those_of_other_folds_are_refused_before_anything_is_done(self, dataset, tiny, tmp_path, made, options, says):
        folder = augment(dataset, tiny, tmp_path / "augmented", **made)
        with pytest.raises(InputError, match=says) as caught:
            evaluate_arms(dataset, tmp_path / "e", replace(OPTIONS, synthetic=folder, **options))
        assert "\n" not in str(caught.value)
        assert [path.name for path in tmp_path.iterdir()] == ["augmented"]

    def test_nor_does_train_take_them(self, dataset, coded, tmp_path):
        options = TrainOptions(arm="probe+synthetic", synthetic=coded, backbone=BACKBONE, pretrained=False, image_size_px=32)
        with pytest.raises(InputError, match="with 5, 6, 7, 12 left out, and none of the dataset's own training split"):
            train_model(dataset, tmp_path / "model", options)


class TestHeldOut:
    def test_what_tiles_are_normalised_by_does_not_depend_on_it(self, dataset, tmp_path):
        """Some tiles of a place become white: of its others the same is said where it is left out, and elsewhere not."""
        other = shutil.copytree(dataset, tmp_path / "dataset")
        data = open_dataset(other)
        rows = pd.concat([data.split("train"), data.split("test")])
        white = rows[rows["cluster"].astype(str) == "12"].iloc[:2]
        for path in white["path"]:
            Image.fromarray(np.full((TILE_PX, TILE_PX, 3), 255, np.uint8)).save(path)
        options = replace(OPTIONS, arms=("probe", "plain"), trials=1)
        before, after = (
            pd.read_parquet(evaluate_arms(folder, tmp_path / name, options).folder / "predictions.parquet")
            for folder, name in ((dataset, "before"), (other, "after"))
        )
        same = before["p1"].eq(after["p1"])
        own = (before["fold"] == "12") & ~before["tile_id"].isin(white["tile_id"])
        assert own.sum() == 2 * 2 * 2
        assert same[own].all()
        assert not same[before["fold"] == "5"].any()

    def test_a_run_that_was_stopped_goes_on(self, dataset, tmp_path):
        evaluate_arms(dataset, tmp_path / "e", replace(OPTIONS, arms=("probe",), trials=1))
        more = evaluate_arms(dataset, tmp_path / "e", replace(OPTIONS, arms=("probe",)))
        assert (more.cells, more.resumed) == (2 * 2 * 4, 2 * 4)
        evaluate_arms(dataset, tmp_path / "whole", replace(OPTIONS, arms=("probe",)))
        tables = [(tmp_path / name / "predictions.parquet").read_bytes() for name in ("e", "whole")]
        assert tables[0] == tables[1]

    def test_none_of_its_unlabelled_tiles_is_retrieved(self, dataset, tmp_path, gathered):
        report = evaluate_arms(dataset, tmp_path / "e", replace(OPTIONS, arms=("probe", "probe+retrieval"), trials=1))
        said = f"unlabelled tiles of places that are held out are never retrieved: {FREE} of {4 * FREE} in each fold"
        assert said in report.warnings
        assert said in (report.folder / "report.md").read_text()
        centres = open_dataset(dataset).unlabelled().set_index("tile_id")[["easting", "northing"]]
        retrieved = [(fold, support) for fold, support in gathered if len(support.extra)]
        assert len(retrieved) == 2 * 4
        for fold, support in retrieved:
            ground = fold.test[["easting", "northing"]]
            away_m = np.abs(centres.loc[support.extra["tile_id"]] - ground.mean()).max(axis=1)
            assert away_m.min() > 0.49  # half of what lies between the middles of two clusters

    def test_nor_are_those_of_the_test_split_by_train(self, dataset, tmp_path):
        options = TrainOptions(arm="probe+retrieval", backbone=BACKBONE, pretrained=False, image_size_px=32)
        info = train_model(dataset, tmp_path / "model", options)
        tested = open_dataset(dataset).split("test")["cluster"].nunique()
        assert f"unlabelled tiles of places that are held out are never retrieved: {tested * FREE} of {4 * FREE}" in info.notes
