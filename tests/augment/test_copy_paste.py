"""Tiles with plants on other ground, with a small diffusion model and without one."""

import shutil
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from spurgekit.augment import read_manifest
from spurgekit.augment.augment_options import AugmentOptions
from spurgekit.augment.generation import augment_dataset
from spurgekit.augment.grounds import find_grounds
from spurgekit.augment.manifest import check_sources, select_synthetic
from spurgekit.augment.pasted_tiles import find_pasting, pasted_images
from spurgekit.augment.plan import make_plan
from spurgekit.augment.support_sets import choose_sets
from spurgekit.augment.workers import render_here
from spurgekit.classify.arms import parse_arm
from spurgekit.classify.probe_samples import SupportSet, draw_samples
from spurgekit.classify.training_tiles import ExtraTiles
from spurgekit.dataset import open_dataset
from spurgekit.dataset.fold_options import FoldOptions
from spurgekit.dataset.folds import leave_out
from spurgekit.diffusion.textual_inversion.inversion_options import InversionOptions
from spurgekit.errors import InputError, LeakageError
from spurgekit.tiles import TileOptions, tile_images
from tests.chain import CLASSES, TILE_PX
from tests.clusters import FREE, draw_clusters
from tests.clusters import TILE_PX as CLUSTER_PX
from tests.outputs.listing import RECORDS

PASTE = AugmentOptions(method="copy-paste", images=3, shots=(1, 2), trials=2)


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "provenance.json"
    }


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


@pytest.fixture(scope="module")
def dataset(chain):
    return open_dataset(chain.dataset)


@pytest.fixture(scope="module")
def pasted(chain, tmp_path_factory):
    """Tiles with weed on sand, and what was said."""
    out, notes, said = tmp_path_factory.mktemp("pasted") / "augmented", [], []
    report = augment_dataset(chain.dataset, out, PASTE, warn=notes.append, announce=said.append)
    return out, report, notes, said


class TestWithoutAModel:
    def test_plants_of_the_support_set_on_ground_of_its_first_class(self, pasted, dataset):
        out, report, notes, said = pasted
        rows = read_manifest(out, CLASSES)
        assert set(rows["class"]) == {"weed"}
        assert report.images == len(rows) == 2 * (1 + 2) * 3
        assert notes == ["there are no unlabelled tiles: plants are pasted onto the tiles of 'sand' of their support set"]
        assert said[0].backbone is None
        assert rows["backbone"].isna().all()
        sets = dataset.support_sets()
        for (trial, n), of_set in rows.groupby(["trial", "n"]):
            own = sets[(sets["trial"] == trial) & (sets["n"] == n)]
            assert set(of_set["tile_id"]) <= set(own["tile_id"][own["class"] == "weed"])
            assert set(of_set["ground"]) <= set(own["tile_id"][own["class"] == "sand"])

    def test_the_ground_stays_to_the_bit_where_nothing_is_pasted(self, pasted, dataset):
        train = dataset.split("train").set_index("tile_id")["path"]
        for row in read_manifest(pasted[0], CLASSES).itertuples():
            changed = (pixels(row.path) != pixels(train[row.ground])).any(axis=2)
            assert changed.mean() == pytest.approx(row.cover, abs=0.01)  # a pixel of weed may be as one of sand
            assert row.cover >= 0.05
            # What was pasted is of the weed's tile: all of its colours are there.
            assert {*map(tuple, pixels(row.path)[changed])} <= {*map(tuple, pixels(train[row.tile_id]).reshape(-1, 3))}

    def test_leaves_nothing_else(self, pasted):
        assert {path.name for path in pasted[0].iterdir()} == {
            "t00-n01", "t00-n02", "t01-n01", "t01-n02", "manifest.parquet", "contact_sheet.png", *RECORDS,
        }  # fmt: skip

    def test_no_model_is_looked_for(self, chain, tmp_path):
        options = replace(PASTE, backbone=str(tmp_path / "nowhere"), shots=(1,), trials=1)
        assert augment_dataset(chain.dataset, tmp_path / "augmented", options).images == 3

    def test_of_the_whole_split(self, chain, dataset, tmp_path):
        report = augment_dataset(chain.dataset, tmp_path / "augmented", replace(PASTE, shots=(0,), images=1))
        assert report.rows == (dataset.split("train")["class"] == "weed").sum()

    def test_a_run_that_was_stopped_ends_with_the_same_bytes(self, pasted, chain, tmp_path, monkeypatch):
        made = []

        def stop(plan, unit, feather_px):
            made.append(unit)
            if len(made) == 4:
                raise KeyboardInterrupt
            return pasted_images(plan, unit, feather_px)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr("spurgekit.augment.generation.pasted_images", stop)
            augment_dataset(chain.dataset, tmp_path / "augmented", replace(PASTE, batch_size=4))
        report = augment_dataset(chain.dataset, tmp_path / "augmented", replace(PASTE, batch_size=4))
        assert report.resumed == 4  # one was made for the estimate, and one was on its way
        assert contents(tmp_path / "augmented") == contents(pasted[0])

    def test_what_covers_too_little_has_no_weight_and_is_counted(self, chain, dataset, tmp_path):
        ((key, tiles),) = choose_sets(dataset, (1,), 1).items()
        sand = tiles["path"][tiles["class"] == "sand"].iloc[0]
        copy = _copy_with_black(chain.dataset, tmp_path / "dataset", sand)
        notes = []
        augment_dataset(copy, tmp_path / "augmented", replace(PASTE, shots=(1,), trials=1), warn=notes.append)
        assert notes[1] == "3 of 3 plants cover too little of their ground (`min_cover`), and have weight 0"
        rows = read_manifest(tmp_path / "augmented", CLASSES)
        assert rows[["cover", "weight"]].to_numpy().tolist() == [[0, 0]] * 3
        # Such a support set is learned from without them.
        assert len(select_synthetic(rows, trial=key.trial, n=key.n)) == 3


def _copy_with_black(dataset, target, path):
    """Return a copy of a dataset, one of whose tiles has no data."""
    shutil.copytree(dataset, target)
    Image.fromarray(np.zeros((TILE_PX, TILE_PX, 3), np.uint8)).save(target / path.relative_to(dataset))
    return target


@pytest.fixture(scope="module")
def options(tiny, tmp_path_factory):
    return replace(
        PASTE, method="insertion", backbone=str(tiny), device="cpu", steps=4, strengths="0.5", dilate_px=1,
        embeddings=tmp_path_factory.mktemp("words") / "embeddings", inversion=InversionOptions(steps=2, batch=2),
    )  # fmt: skip


@pytest.fixture(scope="module")
def edited(chain, options, tmp_path_factory):
    out = tmp_path_factory.mktemp("edited") / "augmented"
    return out, augment_dataset(chain.dataset, out, options)


class TestWithAModel:
    def test_what_is_pasted_is_that_of_its_control(self, edited, pasted):
        rows, control = (read_manifest(folder, CLASSES) for folder in (edited[0], pasted[0]))
        for name in ("id", "tile_id", "ground", "cover", "class"):
            assert rows[name].tolist() == control[name].tolist()
        assert set(rows["prompt"]) == {"a drone photo of <weed>"}
        assert set(rows["strength"]) == {0.5}

    def test_it_changes_around_the_plant_and_nowhere_else(self, edited, pasted, dataset):
        sets = choose_sets(dataset, PASTE.shots, PASTE.trials)
        plan = make_plan(dataset, sets, PASTE, pasting=find_pasting(dataset, sets, PASTE, find_grounds(dataset, FoldOptions())))
        rows, control = (read_manifest(folder, CLASSES).set_index("id")["path"] for folder in (edited[0], pasted[0]))
        names = plan.rows.set_index("id")["file_name"]
        for name in rows.index:
            may = plan.pastes[names[name].removesuffix(".png")].edit_mask(1, 0)
            changed = (pixels(rows[name]) != pixels(control[name])).any(axis=2)
            assert changed[may > 0].any()
            assert not changed[may == 0].any()

    def test_what_was_pasted_for_the_model_does_not_stay(self, edited):
        assert not (edited[0] / "pasted").exists()

    def test_a_run_that_was_stopped_ends_with_the_same_bytes(self, edited, chain, options, tmp_path, monkeypatch):
        def stop(units, *how):
            for number, made in enumerate(render_here(units, *how)):
                if number == 1:
                    raise KeyboardInterrupt
                yield made

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr("spurgekit.augment.generation.render_here", stop)
            augment_dataset(chain.dataset, tmp_path / "augmented", options)
        augment_dataset(chain.dataset, tmp_path / "augmented", options)
        assert contents(tmp_path / "augmented") == contents(edited[0])


@pytest.fixture(scope="module")
def site(tmp_path_factory, make_tif):
    """A dataset of four clusters with unlabelled tiles, and masks of its tiles."""
    folder = tmp_path_factory.mktemp("site")
    data = open_dataset(draw_clusters(folder, make_tif))
    (folder / "masks").mkdir()
    mask = np.zeros((CLUSTER_PX, CLUSTER_PX), np.uint8)
    mask[2:6, 2:6] = 255
    for side in ("train", "test"):
        for tile in data.split(side)["tile_id"]:
            Image.fromarray(mask).save(folder / "masks" / f"{tile}.png")
    tile_images([folder / "site.tif"], folder / "more", TileOptions(size_px=CLUSTER_PX, layout="grid"))
    tile_images([folder / "site.tif"], folder / "larger", TileOptions(size_px=2 * CLUSTER_PX, layout="grid"))
    return folder


class TestUnlabelledGround:
    def test_tiles_of_no_place_that_is_held_out(self, site):
        data = open_dataset(site / "dataset")
        found = find_grounds(data, FoldOptions())
        held_out = set(data.split("test")["cluster"].astype(str))
        assert len(found.rows[""]) == FREE * (4 - len(held_out))
        assert found.folder == site / "dataset" / data.info.unlabelled.folder
        assert (
            f"pasted onto {len(found.rows['']):,} unlabelled tiles, without {FREE * len(held_out)} tiles of places"
            in found.note
        )

    def test_of_each_place_that_is_left_out_others(self, site, tmp_path):
        options = replace(PASTE, shots=(1,), trials=1, leave_out="cluster", mask=site / "masks")
        augment_dataset(site / "dataset", tmp_path / "augmented", options)
        data = open_dataset(site / "dataset")
        rows = read_manifest(tmp_path / "augmented", CLASSES)
        unlabelled = data.unlabelled().set_index("tile_id")
        for fold in leave_out(data, FoldOptions(leave_out="cluster"), (1,), 1):
            ground = unlabelled.loc[rows["ground"][rows["fold"] == fold.left_out]]
            nearest = [_nearest(row, pd.concat([fold.train, fold.test], ignore_index=True)) for row in ground.itertuples()]
            assert fold.left_out not in nearest
            assert len(nearest) == 3

    def test_a_folder_in_place_of_them(self, site):
        data = open_dataset(site / "dataset")
        found = find_grounds(data, FoldOptions(), site / "more")
        assert all(path.is_relative_to(site / "more") for path in found.rows[""]["path"])
        with pytest.raises(InputError, match=r"unlabelled ones in .*larger 16 px"):
            find_grounds(data, FoldOptions(), site / "larger")
        with pytest.raises(InputError, match=r"all tiles in .* are labelled ones; name another folder"):
            find_grounds(data, FoldOptions(), site / "tiles")

    def test_its_own_that_do_not_serve_are_said(self, tmp_path, make_tif):
        data = open_dataset(draw_clusters(tmp_path, make_tif, unlabelled_px=2 * CLUSTER_PX))
        found = find_grounds(data, FoldOptions())
        assert found.rows == {}
        assert found.note.endswith(": plants are pasted onto the tiles of 'sand' of their support set")
        assert "16 px" in found.note


def _nearest(tile, labelled):
    distance = np.hypot(labelled["easting"] - tile.easting, labelled["northing"] - tile.northing)
    return labelled.loc[distance.idxmin(), "group"]


class TestUse:
    ROWS = pd.DataFrame({"id": ["x"], "tile_id": ["weed-1"], "ground": ["sand-1"]})

    def test_ground_of_another_labelled_tile_is_a_leak(self):
        labelled = ["weed-1", "sand-1", "sand-2"]
        check_sources(self.ROWS, ["weed-1", "sand-1"], labelled)
        check_sources(self.ROWS.assign(ground="free-9"), ["weed-1", "sand-1"], labelled)
        with pytest.raises(LeakageError, match=r"1 synthetic tile was pasted onto labelled tiles outside .* x onto sand-2"):
            check_sources(self.ROWS.assign(ground="sand-2"), ["weed-1", "sand-1"], labelled)

    def test_an_evaluation_refuses_it(self, pasted, dataset):
        extra = ExtraTiles.open(dataset, {"": pasted[0]}, 0.5)
        arm, support = parse_arm("probe+synthetic"), choose_sets(dataset, (1,), 1)
        (tiles,) = support.values()
        assert len(extra.gather(None, tiles, arm, n=1).extra) == 3
        other = dataset.split("test")["tile_id"].iloc[0]
        spoilt = replace(extra, synthetic={"": extra.synthetic[""].assign(ground=other)})
        with pytest.raises(LeakageError, match=f"onto {other}"):
            spoilt.gather(None, tiles, arm, n=1)

    def test_what_is_pasted_onto_a_tile_is_left_out_with_it(self):
        tiles = pd.DataFrame({"tile_id": ["s", "w"], "path": ["s", "w"], "target": [0, 1]})
        extra = pd.DataFrame(
            {"tile_id": ["x", "y"], "path": "x", "target": 1, "weight": 1.0, "owner": "w", "ground": ["s", None]}
        )

        class Store:
            def mean_of_views(self, rows, **_):
                return np.zeros((len(rows), 3))

        samples = draw_samples(Store(), SupportSet(tiles, 2, extra), parse_arm("probe+synthetic"), np.zeros((2, 3)))
        assert samples.owners.tolist() == [[True, False], [False, True], [True, True], [False, True]]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"where": "outside"}, "copy-paste cuts out what is inside of a mask; leave `where` out"),
        ({"cross": 0.5}, "`cross` edits real tiles, which copy-paste does not"),
        ({"negative": "people"}, "copy-paste reads no prompts"),
        ({"min_cover": 2}, "`min_cover=2` is not a share"),
        ({"method": "da-fusion", "min_cover": 0.1}, "`min_cover` is about what is pasted, and da-fusion pastes nothing"),
        ({"method": "roundtrip", "unlabelled": "tiles"}, "`unlabelled` is about what is pasted"),
    ],
)
def test_options_that_cannot_be(changes, says):
    with pytest.raises(InputError, match=says):
        replace(PASTE, **changes)


def test_without_masks(site, tmp_path):
    with pytest.raises(InputError, match=r"has no masks that say .*; pass polygons as `mask`, or `mask=excess-green`"):
        augment_dataset(site / "dataset", tmp_path / "augmented", PASTE)
    assert not (tmp_path / "augmented").exists()


def test_what_is_green_is_cut_out_by_the_threshold_of_its_set(chain, dataset):
    """Of a tile that is all weed, its own threshold would cut out half; with sand beside it, all of it is green."""
    sets = choose_sets(dataset, (4,), 1)
    options = replace(PASTE, mask=Path("excess-green"))
    pasting = find_pasting(dataset, sets, options, find_grounds(dataset, FoldOptions()))
    (cuts,) = pasting.cuts.values()
    shares = [np.mean(np.asarray(Image.open(BytesIO(png))) > 0) for png in cuts.values()]
    assert len(shares) == 4
    assert min(shares) > 0.9
