"""Synthetic tiles with places left out: made of the others, and listed for them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from spurgekit.augment import read_manifest
from spurgekit.augment.augment_options import AugmentOptions
from spurgekit.augment.embeddings import check_embeddings, embedding_path, read_embeddings
from spurgekit.augment.generation import augment_dataset
from spurgekit.augment.invert_options import InvertOptions
from spurgekit.augment.learning import invert_classes
from spurgekit.augment.plan import make_plan
from spurgekit.augment.support_sets import SupportSetKey, check_folders, choose_sets, fold_folder
from spurgekit.dataset import open_dataset
from spurgekit.dataset.fold_options import FoldOptions
from spurgekit.dataset.folds import leave_out
from spurgekit.diffusion.textual_inversion.inversion_options import InversionOptions
from spurgekit.errors import InputError, LeakageError
from tests.clusters import CLASSES, NAMES, draw_clusters

CLUSTERS = FoldOptions(leave_out="cluster")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, make_tif):
    return draw_clusters(tmp_path_factory.mktemp("clusters"), make_tif)


@pytest.fixture(scope="module")
def sets(dataset):
    return choose_sets(open_dataset(dataset), (1, 2), 2, CLUSTERS)


def clusters(dataset):
    """The cluster of each tile, by its id."""
    data = open_dataset(dataset)
    rows = pd.concat([data.split("train"), data.split("test")])
    return rows.set_index("tile_id")["cluster"].astype(str)


class TestSets:
    def test_of_each_place_that_is_left_out(self, sets, dataset):
        assert list(sets) == [SupportSetKey(trial, n, name) for name in NAMES for trial in (0, 1) for n in (1, 2)]
        folds = {fold.name: fold for fold in leave_out(open_dataset(dataset), CLUSTERS, (1, 2), 2)}
        for key, rows in sets.items():
            assert rows["tile_id"].tolist() == folds[key.fold].support(key.n, key.trial)["tile_id"].tolist()
            assert key.fold not in set(rows["cluster"].astype(str))

    def test_all_tiles_of_the_other_places(self, dataset):
        found = choose_sets(open_dataset(dataset), (0,), 20, replace(CLUSTERS, together=(("5", "6"),)))
        assert {key: len(rows) for key, rows in found.items()} == {
            SupportSetKey(0, 0, "7"): 12, SupportSetKey(0, 0, "12"): 12, SupportSetKey(0, 0, "5+6"): 8,
        }  # fmt: skip

    def test_names_of_folders(self):
        assert SupportSetKey(3, 4, "6+7").name == "without-6+7/t03-n04"
        assert SupportSetKey(0, 0, "north pasture").name == "without-north-pasture/all"
        assert fold_folder("a/b") == "without-a-b"

    def test_two_places_of_one_folder(self, tmp_path, make_tif):
        data = open_dataset(draw_clusters(tmp_path, make_tif, names=("a b", "A-b", "c", "d")))
        with pytest.raises(InputError, match=r"without cluster .* and without .* would lie in one folder; rename one"):
            check_folders(leave_out(data, CLUSTERS, (1,), 1))


class TestPlan:
    def test_images_that_depend_on_their_tile_alone_are_made_once(self, sets, dataset):
        plan = make_plan(open_dataset(dataset), sets, AugmentOptions(method="real-guidance", images=3))
        assert len(plan.rows) == 4 * 2 * (2 + 4) * 3
        assert plan.images == plan.rows["tile_id"].nunique() * 3
        assert plan.rows["id"].is_unique
        assert set(plan.rows["file_name"].str.split("/").str[0]) == {"tiles"}

    def test_what_was_learned_without_a_place_makes_images_without_it(self, sets, dataset):
        options = AugmentOptions(method="da-fusion", images=2)
        plan = make_plan(open_dataset(dataset), sets, options, embedding=lambda key, name: embedding_path(Path(), key, name))
        assert plan.images == len(plan.rows) == 4 * 2 * (2 + 4) * 2
        edits = {f"{edit.id}.png": edit for unit in plan.units for edit in unit.edits}
        for _, row in plan.rows.iterrows():
            assert {path.parts[0] for path in edits[row["file_name"]].concepts} == {f"without-{row['fold']}"}
        assert plan.rows["seed"].is_unique

    def test_no_image_is_of_the_place_that_is_left_out(self, sets, dataset):
        rows = make_plan(open_dataset(dataset), sets, AugmentOptions(method="roundtrip")).rows
        assert set(rows["fold"]) == set(NAMES)
        assert (clusters(dataset)[rows["tile_id"]].to_numpy() != rows["fold"].to_numpy()).all()


@pytest.fixture(scope="module")
def words(dataset, tiny, tmp_path_factory):
    out = tmp_path_factory.mktemp("learned") / "embeddings"
    options = InvertOptions(
        shots=(1,), trials=1, leave_out="cluster", steps=2, batch=1, validate_every=0, backbone=str(tiny), device="cpu"
    )
    said = []
    invert_classes(dataset, out, options, announce=said.append)
    assert (said[0].sets, said[0].words) == (4, 8)
    return out


class TestWords:
    def test_are_learned_of_the_other_places(self, words, dataset):
        of_tile = clusters(dataset)
        found = read_embeddings(words).words
        assert {word.set for word in found} == {f"without-{name}/t00-n01" for name in NAMES}
        for word in found:
            assert word.set.split("/")[0] not in {f"without-{name}" for name in of_tile[list(word.tiles)]}
            assert (words / word.set / f"{word.class_name}.safetensors").is_file()

    def test_those_of_other_folds_are_not_taken(self, words, dataset, backbone):
        data = open_dataset(dataset)
        left_out = choose_sets(data, (1,), 1, CLUSTERS)
        check_embeddings(words, data, left_out, backbone.info)
        with pytest.raises(InputError, match="has no word for 'sand' of t00-n01; pass another folder of `embeddings`"):
            check_embeddings(words, data, choose_sets(data, (1,), 1), backbone.info)
        swapped = {SupportSetKey(0, 1, "5"): left_out[SupportSetKey(0, 1, "6")].iloc[:0]}
        with pytest.raises(LeakageError, match=r"of without-5/t00-n01 .* learned from tiles outside of that support set"):
            check_embeddings(words, data, swapped, backbone.info)

    def test_augment_takes_them(self, words, dataset, tiny, tmp_path):
        options = AugmentOptions(
            shots=(1,), trials=1, leave_out="cluster", images=1, steps=4, backbone=str(tiny), device="cpu", embeddings=words,
            inversion=InversionOptions(steps=2, batch=1),
        )  # fmt: skip
        report = augment_dataset(dataset, tmp_path / "augmented", options)
        rows = read_manifest(tmp_path / "augmented", CLASSES)
        assert report.images == len(rows) == 4 * 2
        assert set(rows["fold"]) == set(NAMES)
        assert {name.split("/")[0] for name in rows["file_name"]} == {f"without-{name}" for name in NAMES}


@pytest.fixture(scope="module")
def backbone(tiny):
    from spurgekit.diffusion.load import load_backbone

    return load_backbone(tiny, device="cpu", precision="float32")


def test_options_that_cannot_be(dataset, tiny, tmp_path):
    for cls in (AugmentOptions, InvertOptions):
        with pytest.raises(InputError, match="say of which column in `leave_out`"):
            cls(together=[["6", "7"]])
    options = AugmentOptions(method="roundtrip", leave_out="altitude", backbone=str(tiny), device="cpu")
    with pytest.raises(InputError, match="has no column 'altitude'; places are in cluster"):
        augment_dataset(dataset, tmp_path / "augmented", options)
    assert not list(tmp_path.iterdir())
