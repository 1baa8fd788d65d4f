"""Synthetic tiles of a drawn survey: some show their class, some went astray and show the other one."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.special import logit, softmax

from spurgekit.augment import mixing_probability, read_manifest
from spurgekit.augment.manifest import MANIFEST, labels
from spurgekit.classify import TrainOptions, train_model
from spurgekit.classify.arms import parse_arm
from spurgekit.classify.calibration import calibrate
from spurgekit.classify.probe_samples import draw_samples, tile_features
from spurgekit.classify.recipes import TrainingTask, tile_logits, train_arm
from spurgekit.classify.setup import BackboneOptions, set_up
from spurgekit.classify.synthetic_weights import agreement, weigh_synthetic
from spurgekit.classify.training.finetune_options import FinetuneOptions
from spurgekit.classify.training_tiles import ExtraTiles
from spurgekit.classify.weigh_options import WeighOptions
from spurgekit.dataset import open_dataset
from spurgekit.dataset.places import places
from spurgekit.errors import InputError, LeakageError
from spurgekit.evaluate.experiment import EvaluateOptions, evaluate_arms
from tests.augment.manifests import synthetic
from tests.chain import BACKBONE, CLASSES, TILE_PX

OPTIONS = BackboneOptions(backbone=BACKBONE, pretrained=False, image_size_px=TILE_PX, precision="float32", device="cpu")
SETS = ((0, 1), (0, 4), (1, 4))
"""Trial and shots."""

FILTER, WEIGHT, ALL = (WeighOptions(keep=keep) for keep in ("confident", "weighted", "all"))


def draw(name, rng):
    """A tile of a class, drawn as those of the site are."""
    mean, spread = {"weed": ((70, 120, 50), 40), "sand": ((210, 200, 170), 6)}[name]
    return (np.array(mean) + rng.integers(-spread, spread + 1, (TILE_PX, TILE_PX, 3))).astype(np.uint8)


def write(folder, rows):
    """Write a folder of (row, class that it shows)."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for row, shown in rows:
        Image.fromarray(draw(shown, rng)).save(folder / row["file_name"])
    pd.DataFrame([row for row, _ in rows]).astype({"trial": "Int64", "n": "Int64"}).to_parquet(folder / MANIFEST, index=False)
    (folder / "provenance.json").write_text('{"parameters": {"method": "da-fusion"}}\n')
    return folder


def rows_of(dataset, sets=SETS):
    """Of each real tile of some support sets: one that shows its class, one that went astray, and one from class to class."""
    listed = open_dataset(dataset).support_sets()
    for _, real in listed.iterrows():
        if (real["trial"], real["n"]) not in sets:
            continue
        own, other = real["class"], CLASSES[1 - CLASSES.index(real["class"])]
        for kind, shown, columns in (
            ("good", own, {"class": own, "share": 1.0}),
            ("astray", other, {"class": own, "share": 1.0}),
            ("crossed", other, {"class": other, "share": 0.75}),
        ):
            name = f"t{real['trial']}-n{real['n']}-{real['tile_id']}-{kind}"
            record = {"tile_id": real["tile_id"], "trial": real["trial"], "n": real["n"], "source_class": own, "easting": 5e5}
            yield synthetic(name, **columns, **record), shown


@pytest.fixture
def augmented(chain, tmp_path):
    return write(tmp_path / "augmented", list(rows_of(chain.dataset)))


def table(folder):
    return pd.read_parquet(folder / MANIFEST)


def kinds(rows):
    return rows["id"].str.rsplit("-", n=1).str[1]


def weigh(augmented, chain, options=FILTER, **more):
    return weigh_synthetic(augmented, chain.dataset, options, backbone=OPTIONS, **more)


def refused(call, *parts, error=InputError):
    with pytest.raises(error) as caught:
        call()
    assert "\n" not in str(caught.value)
    for part in parts:
        assert part in str(caught.value)


class TestConfidence:
    def test_it_is_what_a_model_of_the_support_set_says(self, augmented, chain):
        """The model is trained, calibrated and shown the tiles as 'train' does it."""
        weigh(augmented, chain, ALL)
        data = open_dataset(chain.dataset)
        rows = read_manifest(augmented, CLASSES)
        train = data.split("train")
        setup = set_up(OPTIONS, train)
        arm = parse_arm("probe")
        for trial, n in SETS:
            listed = data.support_sets()
            ids = listed["tile_id"][(listed["trial"] == trial) & (listed["n"] == n)]
            tiles = train.assign(group=places(data, train)).set_index("tile_id", drop=False).loc[ids]
            store = setup.store()
            support = ExtraTiles(data).gather(store, tiles, arm, n=n, trial=trial)
            trained = train_arm(TrainingTask(setup, store, support, arm, FinetuneOptions()))
            own = rows[(rows["trial"] == trial) & (rows["n"] == n)]
            held_out = trained.held_out
            temperature = 1.0 if held_out is None else calibrate(held_out.logits, held_out.targets)[0]
            assert (held_out is None) == (n == 1)
            expected = softmax(tile_logits(setup, trained, own) / temperature, axis=1)
            plain = own["share"].to_numpy() == 1
            assert own["confidence"][plain].to_numpy() == pytest.approx(
                expected[np.flatnonzero(plain), own["target"][plain]], abs=2e-4
            )
            assert own["confidence"].to_numpy() == pytest.approx(agreement(labels(own, 2), expected), abs=2e-4)

    def test_it_is_calibrated_where_tiles_can_be_left_out(self, augmented, chain, monkeypatch):
        weigh(augmented, chain, ALL)
        before = table(augmented)
        monkeypatch.setattr("spurgekit.classify.synthetic_weights.calibrate", lambda *_, **__: (3.0, None))
        report = weigh(augmented, chain, ALL)
        assert [entry.temperature for entry in report.classes] == [None, None, 3, 3, 3, 3]
        after = table(augmented)
        plain = before["share"] == 1
        odds, cooled = (logit(rows["confidence"][plain].to_numpy()) for rows in (before, after))
        assert cooled == pytest.approx(odds / np.where(before["n"][plain] == 1, 1, 3))

    def test_tiles_that_show_their_class_are_told_from_those_that_went_astray(self, augmented, chain):
        weigh(augmented, chain, ALL)
        rows = table(augmented)
        good, astray, crossed = (rows["confidence"][kinds(rows) == kind] for kind in ("good", "astray", "crossed"))
        assert good.min() > 0.7
        assert astray.max() < 0.3
        # Of a label of 3/4, a prediction p of more has 3/4 and 1 - p in common.
        assert crossed.between(0.75, 1).all()

    def test_agreement_is_what_label_and_prediction_have_in_common(self):
        targets = np.array([[1, 0, 0], [0.25, 0.75, 0], [0.25, 0.75, 0], [0.5, 0.5, 0]])
        predicted = np.array([[0.2, 0.7, 0.1], [0.25, 0.75, 0], [0, 1, 0], [0, 0, 1]])
        assert agreement(targets, predicted).tolist() == [0.2, 1, 0.75, 0]


class TestWeights:
    def test_a_filter_leaves_those_that_are_believed(self, augmented, chain):
        report = weigh(augmented, chain)
        rows = table(augmented)
        assert rows["weight"].tolist() == (kinds(rows) != "astray").astype(float).tolist()
        assert (report.images, report.kept) == (len(rows), len(rows) * 2 / 3)
        assert [(entry.key.name, entry.name, entry.images, entry.kept) for entry in report.classes] == [
            (key, name, 3 * n, 2 * n) for key, n in (("t00-n01", 1), ("t00-n04", 4), ("t01-n04", 4)) for name in CLASSES
        ]
        for entry in report.classes:
            of_class = (rows["class"] == entry.name) & (rows["trial"] == entry.key.trial) & (rows["n"] == entry.key.n)
            assert entry.mean == pytest.approx(rows["confidence"][of_class].mean())

    def test_or_each_weighs_as_much_as_it_is_believed(self, augmented, chain):
        weigh(augmented, chain, WEIGHT)
        rows = table(augmented)
        assert rows["weight"].to_numpy() == pytest.approx(np.minimum(1, 2 * rows["confidence"]))
        assert rows["weight"].between(0, 1, inclusive="right").all()
        assert (rows["weight"] < 1).tolist() == (kinds(rows) == "astray").tolist()

    def test_or_all_stay_as_they_are(self, augmented, chain):
        weigh(augmented, chain, ALL)
        assert (table(augmented)["weight"] == 1).all()

    def test_the_rest_of_the_table_stays(self, augmented, chain):
        before = table(augmented)
        weigh(augmented, chain)
        after = table(augmented)
        assert list(after) == [*before, "confidence", "given_weight"]
        pd.testing.assert_frame_equal(
            after.drop(columns=["weight", "confidence", "given_weight"]), before.drop(columns="weight")
        )

    def test_again_gives_the_same_bytes_and_another_way_starts_from_the_first_weights(self, augmented, chain):
        weigh(augmented, chain, WEIGHT)
        first = (augmented / MANIFEST).read_bytes()
        weigh(augmented, chain, FILTER)
        assert (augmented / MANIFEST).read_bytes() != first
        weigh(augmented, chain, WEIGHT)
        assert (augmented / MANIFEST).read_bytes() == first

    def test_a_duplicate_of_no_weight_gets_none(self, augmented, chain):
        rows = table(augmented)
        rows.assign(weight=np.where(rows.index % 2, 0.5, 0.0)).to_parquet(augmented / MANIFEST, index=False)
        weigh(augmented, chain)
        after = table(augmented)
        assert after["weight"].tolist() == ((kinds(rows) != "astray") * np.where(rows.index % 2, 0.5, 0.0)).tolist()

    def test_on_the_threshold_a_tile_is_kept(self):
        half = np.array([0.5 - 1e-12, 0.5, 0.49])
        assert FILTER.factors(half).tolist() == [1, 1, 0]
        assert WeighOptions(keep="weighted", min_confidence=0.8).factors(np.array([0.4, 0.8, 0.9])).tolist() == [0.5, 1, 1]

    def test_what_was_done_is_recorded(self, augmented, chain):
        weigh(augmented, chain, WeighOptions(keep="weighted", min_confidence=0.6))
        record = json.loads((augmented / "provenance.json").read_text())
        assert record["parameters"] == {"method": "da-fusion"}
        done = record["confidence"]["parameters"]
        assert (done["keep"], done["min_confidence"], done["backbone"], done["arm"]) == ("weighted", 0.6, BACKBONE, "probe")
        assert list(record["confidence"]["inputs"]) == [str(chain.dataset)]

    def test_a_folder_of_somebody_elses_is_not_made_to_look_like_ours(self, augmented, chain):
        (augmented / "provenance.json").unlink()
        weigh(augmented, chain)
        assert not (augmented / "provenance.json").exists()

    def test_a_table_that_cannot_be_written_leaves_the_old_one(self, augmented, chain, monkeypatch):
        before = (augmented / MANIFEST).read_bytes()

        def full(self, path, **_):
            path.write_bytes(b"PAR1")
            raise OSError("No space left on device")

        monkeypatch.setattr(pd.DataFrame, "to_parquet", full)
        with pytest.raises(OSError, match="No space left"):
            weigh(augmented, chain)
        assert (augmented / MANIFEST).read_bytes() == before
        assert not list(augmented.glob(".*"))


class TestLeaks:
    def test_test_tiles_are_not_even_read(self, augmented, chain, tmp_path, monkeypatch):
        from spurgekit.classify import tile_reader

        read, seen = tile_reader.read_tile, []
        monkeypatch.setattr(tile_reader, "read_tile", lambda path: seen.append(path) or read(path))
        monkeypatch.setattr("spurgekit.classify.normalisation.read_tile", tile_reader.read_tile)
        weigh(augmented, chain)
        assert seen
        assert not {path for path in seen if chain.dataset / "test" in path.parents}
        # Nor could they be: the table is the same where there are none.
        other = shutil.copytree(chain.dataset, tmp_path / "dataset")
        shutil.rmtree(other / "test")
        expected = (augmented / MANIFEST).read_bytes()
        weigh_synthetic(augmented, other, FILTER, backbone=OPTIONS)
        assert (augmented / MANIFEST).read_bytes() == expected

    def test_nothing_is_known_of_tiles_outside_of_the_support_set(self, chain, tmp_path):
        """The classes of all other training tiles are swapped, and nothing changes."""
        augmented = write(tmp_path / "augmented", list(rows_of(chain.dataset, SETS[1:2])))
        weigh(augmented, chain)
        expected = (augmented / MANIFEST).read_bytes()
        other = shutil.copytree(chain.dataset, tmp_path / "dataset")
        metadata = pd.read_csv(other / "train" / "metadata.csv")
        swapped = ~metadata["tile_id"].isin(table(augmented)["tile_id"])
        assert swapped.sum() > 30
        metadata.loc[swapped, "class"] = metadata.loc[swapped, "class"].map(dict(zip(CLASSES, CLASSES[::-1], strict=True)))
        metadata.loc[swapped, "label"] = 1 - metadata.loc[swapped, "label"]
        metadata.to_csv(other / "train" / "metadata.csv", index=False)
        weigh_synthetic(augmented, other, FILTER, backbone=OPTIONS)
        assert (augmented / MANIFEST).read_bytes() == expected

    @pytest.mark.parametrize("split", ["train", "test"])
    def test_a_tile_from_outside_of_its_support_set_is_caught(self, augmented, chain, split):
        rows = table(augmented)
        outside = open_dataset(chain.dataset).split(split)["tile_id"]
        rows.loc[3, "tile_id"] = next(tile for tile in outside if tile not in set(rows["tile_id"]))
        rows.to_parquet(augmented / MANIFEST, index=False)
        before = (augmented / MANIFEST).read_bytes()
        refused(lambda: weigh(augmented, chain), "made from tiles outside of the support set", error=LeakageError)
        assert (augmented / MANIFEST).read_bytes() == before


class TestSupportSets:
    def test_of_one_shot_it_is_not_calibrated_and_that_is_said(self, augmented, chain):
        report = weigh(augmented, chain)
        assert [entry.temperature is None for entry in report.classes] == [True, True, False, False, False, False]
        assert report.warnings == ("confidence is not calibrated in 1 of 3 support sets: with 1 shot no tile can be left out",)

    def test_an_image_of_several_sets_is_looked_at_once(self, chain, tmp_path, monkeypatch):
        rows = list(rows_of(chain.dataset, SETS[1:2]))
        nested = [({**row, "id": row["id"] + "-again", "trial": 0, "n": 8}, shown) for row, shown in rows]
        augmented = write(tmp_path / "augmented", rows + nested)
        from spurgekit.classify import tile_reader

        read, seen = tile_reader.read_tile, []
        monkeypatch.setattr(tile_reader, "read_tile", lambda path: seen.append(path) or read(path))
        weigh(augmented, chain)
        made = [path for path in seen if path.parent == augmented]
        assert len(made) == len(set(made)) == len(rows)

    def test_of_the_whole_training_split(self, chain, tmp_path):
        rows = [({**row, "trial": None, "n": None}, shown) for row, shown in rows_of(chain.dataset, SETS[1:2])]
        augmented = write(tmp_path / "augmented", rows)
        report = weigh(augmented, chain)
        assert [entry.key.name for entry in report.classes] == ["all", "all"]
        after = table(augmented)
        assert after["weight"].tolist() == (kinds(after) != "astray").astype(float).tolist()

    def test_where_none_is_believed_the_real_tiles_are_used_alone(self, chain, tmp_path):
        rows = [(row, shown) for row, shown in rows_of(chain.dataset, SETS[1:]) if row["id"].endswith("astray")]
        augmented = write(tmp_path / "augmented", rows)
        report = weigh(augmented, chain)
        assert report.kept == 0
        assert len(report.warnings) == 2
        assert report.warnings[0].startswith(
            "no synthetic tile of 'sand' is confident enough in 2 of 2 support sets, e.g. t00-n04"
        )
        options = EvaluateOptions(
            **{name: getattr(OPTIONS, name) for name in ("backbone", "pretrained", "image_size_px", "precision", "device")},
            arms=("probe", "probe+synthetic", "finetune", "finetune+synthetic"), shots=(4,), trials=2, synthetic=augmented,
            finetuning=FinetuneOptions(steps=3, batch_size=8),
        )  # fmt: skip
        evaluated = evaluate_arms(chain.dataset, tmp_path / "evaluation", options)
        predictions = pd.read_parquet(evaluated.folder / "predictions.parquet").set_index("arm")["p1"]
        for recipe in ("probe", "finetune"):
            assert predictions[f"{recipe}+synthetic"].to_numpy() == pytest.approx(predictions[recipe].to_numpy(), abs=1e-4)


class TestBadInput:
    def test_a_support_set_that_the_dataset_does_not_have(self, chain, tmp_path):
        rows = [({**row, "trial": 99}, shown) for row, shown in rows_of(chain.dataset, SETS[:1])]
        augmented = write(tmp_path / "augmented", rows)
        refused(
            lambda: weigh(augmented, chain),
            "holds tiles for trial 99 of 1 shots",
            "has no such support set; pass the dataset that they were made from",
        )

    def test_tiles_of_half_a_support_set(self, chain, tmp_path):
        rows = [({**row, "trial": None}, shown) for row, shown in rows_of(chain.dataset, SETS[:1])]
        augmented = write(tmp_path / "augmented", rows)
        refused(lambda: weigh(augmented, chain), "has a trial or a number of shots, and not the other")

    def test_no_folder(self, chain, tmp_path):
        refused(lambda: weigh(tmp_path / "nowhere", chain), "nowhere does not exist; pass a folder of synthetic tiles")

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"keep": "confidant"}, "`keep='confidant'` cannot be, did you mean confident? known are confident, weighted, all"),
            ({"min_confidence": 0.0}, "`min_confidence=0` cannot be; pass a number above 0, at most 1"),
            ({"min_confidence": float("nan")}, "`min_confidence=nan` is not a number"),
        ],
    )
    def test_options_that_cannot_be(self, given, message):
        refused(lambda: WeighOptions(**given), message)


class TestTraining:
    """Soft labels and weights on their way into classifiers."""

    @pytest.fixture
    def weighed(self, augmented, chain):
        weigh(augmented, chain, WEIGHT)
        return augmented

    @pytest.fixture
    def options(self, weighed):
        return EvaluateOptions(
            backbone=BACKBONE, pretrained=False, image_size_px=TILE_PX, precision="float32", device="cpu",
            arms=("probe+synthetic", "finetune+synthetic"), shots=(4,), trials=1, synthetic=weighed,
            finetuning=FinetuneOptions(steps=4, batch_size=8),
        )  # fmt: skip

    def test_evaluate_knows_them(self, weighed, options, chain, tmp_path):
        report = evaluate_arms(chain.dataset, tmp_path / "soft", options)
        accuracy = report.summary.set_index(["arm", "metric"])["mean"]
        assert accuracy["probe+synthetic", "balanced_accuracy"] > 0.95
        rows = table(weighed)
        rows.assign(share=1.0).to_parquet(weighed / MANIFEST, index=False)
        evaluate_arms(chain.dataset, tmp_path / "hard", options)
        rows.assign(weight=1.0).to_parquet(weighed / MANIFEST, index=False)
        evaluate_arms(chain.dataset, tmp_path / "unweighed", options)
        soft, hard, unweighed = (
            pd.read_parquet(tmp_path / name / "predictions.parquet").groupby("arm")["p1"].apply(np.array)
            for name in ("soft", "hard", "unweighed")
        )
        for arm in options.arms:
            assert not np.allclose(soft[arm], hard[arm], atol=1e-3)
            assert not np.allclose(soft[arm], unweighed[arm], atol=1e-3)

    @pytest.mark.parametrize("arm", ["probe+synthetic", "finetune+synthetic"])
    def test_train_does(self, weighed, chain, tmp_path, arm):
        options = TrainOptions(
            backbone=BACKBONE, pretrained=False, image_size_px=TILE_PX, arm=arm, shots=4, synthetic=weighed,
            finetuning=FinetuneOptions(steps=6, batch_size=8),
        )  # fmt: skip
        info = train_model(chain.dataset, tmp_path / "model", options)
        assert info.arm == arm
        assert info.training_counts == {"sand": 4, "weed": 4}

    @pytest.mark.parametrize("arm", ["finetune+synthetic", "lora+synthetic"])
    def test_training_in_steps_is_given_the_labels(self, weighed, chain, monkeypatch, arm):
        given = []

        def catch(network, preprocess, tiles, options, **_):
            given.append(tiles)
            raise KeyboardInterrupt

        monkeypatch.setattr("spurgekit.classify.recipes.finetune", catch)
        setup, store, support = self.gather(weighed, chain, arm, trial=1, n=4)
        with pytest.raises(KeyboardInterrupt):
            train_arm(TrainingTask(setup, store, support, parse_arm(arm), FinetuneOptions(steps=1)))
        (tiles,) = given
        rows = table(weighed)
        rows = rows[(rows["trial"] == 1) & (rows["n"] == 4)]
        assert tiles.synthetic.tolist() == [False] * 8 + [True] * 24
        assert tiles.targets[:8].tolist() == np.eye(2)[support.targets].tolist()
        own = (rows["class"] == "weed").to_numpy()
        weed = np.where(kinds(rows) == "crossed", np.where(own, 0.75, 0.25), own)
        assert tiles.targets[8:].tolist() == np.column_stack([1 - weed, weed]).tolist()
        assert tiles.weights[8:].tolist() == rows["weight"].tolist()
        assert tiles.mixing == mixing_probability(4)

    @pytest.mark.parametrize(("trial", "n"), SETS)
    def test_synthetic_tiles_have_the_share_that_goes_with_the_shots(self, weighed, chain, trial, n):
        _, store, support = self.gather(weighed, chain, "probe+synthetic", trial=trial, n=n)
        arm = parse_arm("probe+synthetic")
        samples = draw_samples(store, support, arm, tile_features(store, support.tiles, arm.recipe))
        assert samples.weights.sum() == pytest.approx(2 * n)
        assert samples.weights[2 * n :].sum() == pytest.approx(mixing_probability(n) * 2 * n)

    def gather(self, weighed, chain, arm, *, trial, n):
        data = open_dataset(chain.dataset)
        train = data.split("train")
        listed = data.support_sets()
        ids = listed["tile_id"][(listed["trial"] == trial) & (listed["n"] == n)]
        tiles = train.assign(group=places(data, train)).set_index("tile_id", drop=False).loc[ids].reset_index(drop=True)
        setup = set_up(OPTIONS, train)
        store = setup.store()
        support = ExtraTiles.open(data, {"": weighed}, None).gather(store, tiles, parse_arm(arm), n=n, trial=trial)
        return setup, store, support
