import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spurgekit.augment import check_sources, mixing_probability, read_manifest, select_synthetic
from spurgekit.augment.manifest import COLUMNS, MANIFEST, labels, of_fold, soft_share
from spurgekit.errors import InputError, LeakageError
from tests.augment.manifests import synthetic, write_augmented

CLASSES = ("sand", "weed")


def fails(call, *parts):
    """The message of an InputError: one line that holds each part."""
    with pytest.raises(InputError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message
    return message


class TestRead:
    def test_rows_in_the_order_of_the_file(self, tmp_path):
        rows = [
            synthetic("b", weight=0.25, trial=3, n=16),
            synthetic("a", **{"class": "sand"}, weight=0, trial=None, n=None),
        ]
        folder = write_augmented(tmp_path / "augmented", rows)
        read = read_manifest(folder, CLASSES)
        assert list(read) == [*COLUMNS, "path", "target"]
        assert read["id"].tolist() == ["b", "a"]
        assert read["path"].tolist() == [folder / "b.png", folder / "a.png"]
        assert read["target"].tolist() == [1, 0]
        assert read["weight"].tolist() == [0.25, 0]
        assert read["trial"].tolist() == [3, pd.NA]
        assert read["n"].tolist() == [16, pd.NA]
        assert read["strength"].tolist() == [0.5, 0.5]

    def test_the_record_of_how_they_were_made_may_be_absent(self, tmp_path):
        folder = write_augmented(tmp_path / "augmented", [synthetic("a")])
        table = pd.read_parquet(folder / MANIFEST)
        table.drop(columns=["method", "backbone", "strength", "prompt", "seed"]).to_parquet(folder / MANIFEST)
        assert read_manifest(folder, CLASSES)["id"].tolist() == ["a"]

    @pytest.mark.parametrize("dtype", ["Int64", "int32", "float64", "object"])
    def test_whole_numbers_of_any_type(self, tmp_path, dtype):
        folder = write_augmented(tmp_path / "augmented", [synthetic("a"), synthetic("b", trial=7)])
        pd.read_parquet(folder / MANIFEST).astype({"trial": dtype, "n": dtype}).to_parquet(folder / MANIFEST)
        read = read_manifest(folder, CLASSES)
        assert (read["trial"].tolist(), read["n"].tolist()) == ([0, 7], [4, 4])

    def test_an_index_of_its_own_does_not_matter(self, tmp_path):
        folder = write_augmented(tmp_path / "augmented", [synthetic("a"), synthetic("b")])
        pd.read_parquet(folder / MANIFEST).set_axis([5, 5]).to_parquet(folder / MANIFEST)
        assert read_manifest(folder, CLASSES)["target"].to_dict() == {0: 1, 1: 1}

    def test_no_folder(self, tmp_path):
        fails(lambda: read_manifest(tmp_path / "nowhere", CLASSES), f"{tmp_path / 'nowhere'} does not exist; pass a folder")

    def test_a_folder_without_a_table(self, tmp_path):
        fails(lambda: read_manifest(tmp_path, CLASSES), f"{tmp_path} holds no manifest.parquet; pass a folder")

    def test_a_damaged_table(self, tmp_path):
        (tmp_path / MANIFEST).write_bytes(b"PAR1 and no more")
        fails(lambda: read_manifest(tmp_path, CLASSES), f"{tmp_path / MANIFEST} is not a Parquet file (")

    @pytest.mark.parametrize(
        ("dropped", "message"), [(["weight"], "lacks the column weight"), (["n", "tile_id"], "lacks the columns tile_id, n")]
    )
    def test_missing_columns(self, tmp_path, dropped, message):
        folder = write_augmented(tmp_path / "augmented", [synthetic("a")])
        pd.read_parquet(folder / MANIFEST).drop(columns=dropped).to_parquet(folder / MANIFEST)
        assert f"{message}; make the synthetic tiles again" in fails(lambda: read_manifest(folder, CLASSES))

    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            ([], "lists no images"),
            ([synthetic("a"), synthetic("b", tile_id=None)], "tile_id of row 2 is missing, not a line of text"),
            ([synthetic("a", tile_id=7)], "tile_id of row 1 is 7, not a line of text"),
            ([synthetic("a", **{"class": ""})], "class of row 1 is '', not a line of text"),
            ([synthetic("a"), synthetic("a")], "has the id 'a' twice; make the synthetic tiles again"),
            ([synthetic("a", **{"class": "gravel"})], "class 'gravel' is none of the dataset's: sand, weed"),
            ([synthetic("a"), synthetic("b", weight=-0.5)], "weight of row 2 is -0.5, not a number from 0"),
            ([synthetic("a", weight=float("nan"))], "weight of row 1 is missing, not a number from 0"),
            ([synthetic("a", weight=float("inf"))], "weight of row 1 is inf, not a number from 0"),
            ([synthetic("a", weight="much")], "weight of row 1 is 'much', not a number from 0"),
            ([synthetic("a", trial=-1)], "trial of row 1 is -1, not a whole number from 0"),
            ([synthetic("a", trial="first")], "trial of row 1 is 'first', not a whole number from 0"),
            ([synthetic("a", file_name="../dataset/a.png")], "file_name of row 1 is '../dataset/a.png', not a path within"),
            ([synthetic("a", n=0)], "n of row 1 is 0, not a whole number from 1"),
            ([synthetic("a", n=1.5)], "n of row 1 is 1.5, not a whole number from 1"),
            ([synthetic("a", n=float("inf"))], "n of row 1 is inf, not a whole number from 1"),
        ],
    )
    def test_what_cannot_be(self, tmp_path, rows, message):
        folder = write_augmented(tmp_path / "augmented", rows)
        fails(lambda: read_manifest(folder, CLASSES), str(folder / MANIFEST), message)

    @pytest.mark.parametrize(
        ("gone", "message"),
        [
            (["b"], "b.png: no such file; manifest.parquet lists it: make the synthetic tiles again"),
            (["b", "c"], "b.png: no such file, nor 1 more; manifest.parquet lists it"),
        ],
    )
    def test_a_missing_image(self, tmp_path, gone, message):
        folder = write_augmented(tmp_path / "augmented", [synthetic(name) for name in "abc"])
        for name in gone:
            (folder / f"{name}.png").unlink()
        fails(lambda: read_manifest(folder, CLASSES), str(folder), message)


class TestSoftLabels:
    def read(self, tmp_path, *rows):
        return read_manifest(write_augmented(tmp_path / "augmented", list(rows)), CLASSES)

    def test_a_part_is_of_the_class_of_the_source(self, tmp_path):
        rows = self.read(
            tmp_path,
            synthetic("crossed", source_class="sand", share=0.75),
            synthetic("back", **{"class": "sand"}, source_class="weed", share=0.5),
            synthetic("within", source_class="weed", share=1.0),
            synthetic("plain", source_class=None, share=None),
            synthetic("of the source alone", source_class="sand", share=0),
        )
        assert labels(rows, 2).tolist() == [[0.25, 0.75], [0.5, 0.5], [0, 1], [0, 1], [1, 0]]

    def test_without_the_columns_all_is_as_it_was(self, tmp_path):
        rows = self.read(tmp_path, synthetic("a"), synthetic("b", **{"class": "sand"}))
        assert list(rows) == [*COLUMNS, "path", "target"]
        assert labels(rows, 3).tolist() == [[0, 1, 0], [1, 0, 0]]

    def test_the_source_alone_is_but_a_record(self, tmp_path):
        rows = self.read(tmp_path, synthetic("a", source_class="sand"))
        assert labels(rows, 2).tolist() == [[0, 1]]

    def test_beside_tiles_that_have_none(self):
        rows = pd.concat([pd.DataFrame({"target": [1]}), pd.DataFrame({"target": [1], "source_target": [0], "share": [0.75]})])
        assert labels(rows, 2).tolist() == [[0, 1], [0.25, 0.75]]

    def test_other_columns_are_welcome(self, tmp_path):
        record = {"negative": "snow", "guidance": 7.5, "easting": 5e5, "cluster": "3", "redone_in_float32": True}
        (row,) = self.read(tmp_path, synthetic("a", **record)).to_dict("records")
        assert {name: row[name] for name in record} == record

    @pytest.mark.parametrize(
        ("row", "message"),
        [
            ({"share": 1.5, "source_class": "sand"}, "share of row 1 is 1.5, not a number from 0 to 1"),
            ({"share": -0.1, "source_class": "sand"}, "share of row 1 is -0.1, not a number from 0 to 1"),
            ({"share": "half", "source_class": "sand"}, "share of row 1 is 'half', not a number from 0 to 1"),
            ({"share": 0.5}, "a has the share 0.5; name the class of the rest in source_class"),
            ({"share": 0.5, "source_class": None}, "a has the share 0.5; name the class of the rest in source_class"),
            ({"source_class": "gravel"}, "the source_class 'gravel' is none of the dataset's: sand, weed"),
            ({"source_class": 1}, "source_class of row 1 is 1, not a line of text"),
        ],
    )
    def test_what_cannot_be(self, tmp_path, row, message):
        folder = write_augmented(tmp_path / "augmented", [synthetic("a", **row)])
        fails(lambda: read_manifest(folder, CLASSES), str(folder / MANIFEST), message)


class TestSoftShare:
    def test_of_diff_mix(self):
        assert soft_share(0.25) == 0.5
        assert soft_share(0.49) == pytest.approx(0.7)
        assert soft_share(0.25, gamma=1) == 0.25
        assert soft_share(0.5, gamma=2) == 0.25

    @given(st.floats(0.01, 10))
    def test_from_the_source_to_the_class(self, gamma):
        assert (soft_share(0, gamma), soft_share(1, gamma)) == (0, 1)
        assert soft_share(0.3, gamma) < soft_share(0.6, gamma)

    @pytest.mark.parametrize(("strength", "gamma"), [(-0.1, 1), (1.1, 1), (float("nan"), 1), (0.5, 0), (0.5, float("inf"))])
    def test_what_cannot_be(self, strength, gamma):
        fails(lambda: soft_share(strength, gamma), "give no label; pass 0 to 1, and a positive number")


class TestSelect:
    @pytest.fixture
    def manifest(self, tmp_path):
        rows = [
            synthetic("trial0_n4"),
            synthetic("trial1_n4", trial=1),
            synthetic("trial1_n8", trial=1, n=8),
            synthetic("any_n4", trial=None),
            synthetic("nothing", trial=9, n=9, weight=0.0),
            synthetic("nought", trial=0, n=2),
        ]
        return read_manifest(write_augmented(tmp_path / "augmented", rows), CLASSES)

    @pytest.mark.parametrize(
        ("trial", "n", "ids"),
        [
            (0, 4, ["trial0_n4", "any_n4"]),
            (1, 4, ["trial1_n4", "any_n4"]),
            (1, 8, ["trial1_n8"]),
            (0, 2, ["nought"]),
            (5, 4, ["any_n4"]),
        ],
    )
    def test_a_support_sets_own_and_those_of_any(self, manifest, trial, n, ids):
        assert select_synthetic(manifest, trial=trial, n=n)["id"].tolist() == ids

    def test_made_for_the_whole_training_split(self, tmp_path):
        rows = [synthetic(name, trial=None, n=None) for name in "ab"]
        manifest = read_manifest(write_augmented(tmp_path / "augmented", rows), CLASSES)
        assert select_synthetic(manifest, trial=3, n=16)["id"].tolist() == ["a", "b"]

    def test_those_of_the_whole_split_are_left_out_where_there_are_others(self, tmp_path):
        rows = [synthetic("own"), synthetic("whole", trial=None, n=None, tile_id="another")]
        manifest = read_manifest(write_augmented(tmp_path / "augmented", rows), CLASSES)
        assert select_synthetic(manifest, trial=0, n=4)["id"].tolist() == ["own"]
        assert select_synthetic(manifest, trial=1, n=4)["id"].tolist() == ["whole"]

    def test_what_the_whole_split_says_of_them_is_not_told_to_a_support_set(self, tmp_path):
        rows = [synthetic("a", trial=None, n=None, weight=weight, given_weight=1.0, confidence=0.1) for weight in (0.0, 1.0)]
        left_out, as_it_was = (
            read_manifest(write_augmented(tmp_path / f"augmented{row['weight']}", [row]), CLASSES) for row in rows
        )
        with pytest.raises(LeakageError, match="a was weighed by a classifier of the whole training split, and not of trial 0"):
            select_synthetic(left_out, trial=0, n=4)
        assert len(select_synthetic(as_it_was, trial=0, n=4)) == 1

    def test_a_filter_may_leave_none(self, tmp_path):
        rows = [synthetic("a", weight=0.0, given_weight=1.0, confidence=0.1)]
        manifest = read_manifest(write_augmented(tmp_path / "augmented", rows), CLASSES)
        assert select_synthetic(manifest, trial=0, n=4)["weight"].tolist() == [0]

    def test_none(self, manifest):
        fails(lambda: select_synthetic(manifest, trial=1, n=1), "there are no synthetic tiles for trial 1 of 1 shot; make some")

    def test_none_that_weighs_anything(self, manifest):
        fails(
            lambda: select_synthetic(manifest, trial=9, n=9), "no synthetic tiles of a positive weight for trial 9 of 9 shots"
        )


class TestFolds:
    @pytest.fixture
    def manifest(self, tmp_path):
        rows = [
            synthetic("own"),
            synthetic("six", fold="6"),
            synthetic("six_whole", fold="6", trial=None, n=None),
            synthetic("both", fold="6+7", trial=1),
        ]
        return read_manifest(write_augmented(tmp_path / "augmented", rows), CLASSES)

    @pytest.mark.parametrize(
        ("fold", "trial", "ids"),
        [("", 0, ["own"]), ("6", 0, ["six"]), ("6", 1, ["six_whole"]), ("6+7", 1, ["both"])],
    )
    def test_a_folds_own(self, manifest, fold, trial, ids):
        assert select_synthetic(manifest, trial=trial, n=4, fold=fold)["id"].tolist() == ids

    def test_what_is_not_there(self, manifest):
        fails(
            lambda: select_synthetic(manifest, trial=0, n=4, fold="7"),
            "were made with 6, 6+7 left out, and none with 7 left out; make some by 'spurgekit augment' with the same",
        )
        fails(
            lambda: select_synthetic(manifest, trial=0, n=4, fold="6+7"), "no synthetic tiles for trial 0 of 4 shots with 6+7"
        )
        own = manifest[manifest["fold"].isna()]
        fails(lambda: of_fold(own, "6"), "were made of the dataset's own training split alone, and none with 6 left out")
        left_out = manifest[manifest["fold"].notna()]
        fails(lambda: of_fold(left_out, ""), "none of the dataset's own training split; make some by", "without `leave_out`")

    def test_a_manifest_without_the_column_is_of_the_own_split(self, tmp_path):
        folder = write_augmented(tmp_path / "augmented", [synthetic("a")])
        pd.read_parquet(folder / MANIFEST).drop(columns="fold").to_parquet(folder / MANIFEST)
        manifest = read_manifest(folder, CLASSES)
        assert manifest["fold"].isna().all()
        assert select_synthetic(manifest, trial=0, n=4)["id"].tolist() == ["a"]


class TestSources:
    def test_from_the_support_set(self):
        rows = pd.DataFrame([synthetic("a", tile_id="one"), synthetic("b", tile_id="two")])
        check_sources(rows, ["one", "two", "three"])
        with pytest.raises(LeakageError):
            check_sources(rows, ["one", "three"])

    @pytest.mark.parametrize(
        ("sources", "message"),
        [
            (["one", "two"], "1 synthetic tile was made from tiles outside of the support set, e.g. id1 from two;"),
            (["two", "one", "six"], "2 synthetic tiles were made from tiles outside of the support set, e.g. id0 from two;"),
        ],
    )
    def test_from_elsewhere(self, sources, message):
        rows = pd.DataFrame([synthetic(f"id{i}", tile_id=source) for i, source in enumerate(sources)])
        with pytest.raises(LeakageError) as caught:
            check_sources(rows, {"one"})
        assert message in str(caught.value)

    def test_a_support_set_may_be_read_once_only(self):
        names = iter(["one"])
        check_sources(pd.DataFrame([synthetic("a", tile_id="one")] * 3), names)
        assert not list(names)


class TestMixingProbability:
    @pytest.mark.parametrize(("n", "probability"), [(1, 0.7), (5, 0.5), (10, 0.3), (16, 0.3), (5000, 0.3)])
    def test_of_the_schedule(self, n, probability):
        assert mixing_probability(n) == pytest.approx(probability, abs=1e-12)

    def test_between_linear_in_the_logarithm(self):
        assert mixing_probability(2) == pytest.approx(0.7 - 0.2 * np.log(2) / np.log(5))
        assert mixing_probability(8) == pytest.approx(0.5 - 0.2 * np.log(8 / 5) / np.log(2))

    @given(st.integers(1, 100))
    def test_never_rises(self, n):
        assert 0.3 <= mixing_probability(n + 1) <= mixing_probability(n) <= 0.7

    def test_of_no_shots(self):
        with pytest.raises(ValueError, match="there is no set of 0 shots"):
            mixing_probability(0)
