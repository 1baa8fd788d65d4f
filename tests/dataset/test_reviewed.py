"""What was decided in a review is honoured."""

from __future__ import annotations

import json
import shutil

import pytest

from spurgekit.dataset import DatasetOptions, build_dataset, open_dataset
from spurgekit.errors import InputError
from spurgekit.tiles.index import read_tiles
from spurgekit.tiles.review_log import LOG, DamagedLogWarning, Decision, Opinion, append_decisions

HALVES = {"group_column": "half", "test_groups": ("east",), "buffer_m": 0.0}
SAND = Opinion(verdict="accepted", label="sand")


def decide(field, tile, after, who="ada"):
    append_decisions(field / "tiles" / LOG, [Decision(who=who, tile=f"field_r{tile[0]:05d}_c{tile[1]:05d}", after=after)])


def build(field, **options):
    return build_dataset(field / "tiles", field / "dataset", DatasetOptions(**HALVES, **options))


def test_a_label_that_was_changed(field):
    decide(field, (0, 1), SAND)  # its index says weed
    info = build(field)
    assert info.counts["train"] == {"sand": 4, "weed": 5}
    rows = open_dataset(field / "dataset").split("train").set_index("tile_id")
    assert rows.loc["field_r00000_c00001", ["class", "label_from", "reviewers"]].tolist() == ["sand", "review", "ada"]
    assert info.label_from == {"column": 20, "review": 1}


@pytest.mark.parametrize(
    ("opinions", "why"),
    [
        ({"ada": Opinion(verdict="rejected")}, "rejected in review"),
        ({"ada": Opinion(verdict="unsure")}, "unsure in review"),
        ({"ada": SAND, "bo": Opinion(verdict="accepted", label="weed")}, "disputed in review"),
    ],
)
def test_a_tile_that_is_left_out(field, opinions, why):
    for who, said in opinions.items():
        decide(field, (0, 1), said, who)
    info = build(field)
    assert info.counts["train"] == {"sand": 3, "weed": 5}
    assert info.left_out[why] == 1


def test_a_tile_without_a_label_gets_one(field):
    for column in (0, 4):
        decide(field, (0, column), SAND)
    info = build(field, label_column="gaps")  # "a" of all tiles but the first, of which it says nothing
    assert info.counts == {"train": {"a": 8, "sand": 1}, "test": {"a": 11, "sand": 1}}
    assert "without a label" not in info.left_out


def test_only_what_was_reviewed(field):
    for column in (0, 1, 4, 5):
        decide(field, (1, column), Opinion(verdict="accepted", label="weed" if column in (1, 5) else "sand"))
    info = build(field, reviewed_only=True)
    assert info.counts == {"train": {"sand": 1, "weed": 1}, "test": {"sand": 1, "weed": 1}}
    assert info.left_out == {"not reviewed": 20}


def test_a_class_that_there_is_not(field):
    decide(field, (0, 1), Opinion(verdict="accepted", label="shrub"))
    with pytest.raises(InputError, match="label 'shrub' is none of the classes sand, weed"):
        build(field, classes=("sand", "weed"))


def test_a_log_that_was_cut_off(field):
    decide(field, (0, 1), SAND)
    decide(field, (0, 2), SAND)
    log = field / "tiles" / LOG
    log.write_bytes(log.read_bytes()[:-10])
    with pytest.warns(DamagedLogWarning, match="line 2 is cut off"):
        info = build(field)
    assert info.label_from["review"] == 1


def test_the_log_is_among_the_inputs(field):
    decide(field, (0, 1), SAND)
    build(field)
    assert str(field / "tiles" / LOG) in json.loads((field / "dataset" / "provenance.json").read_text())["inputs"]


class TestTheSplitStays:
    """Places are drawn from what tiles came with, whatever a review makes of them."""

    @pytest.fixture
    def tiles(self, meadow, tmp_path):
        shutil.copytree(meadow, tmp_path / "tiles")
        return tmp_path / "tiles"

    @staticmethod
    def sides(tiles, out, **options):
        build_dataset(tiles, tiles.parent / out, DatasetOptions(label_column="kind", shots=(1,), trials=1, **options))
        dataset = open_dataset(tiles.parent / out)
        return {tile: side for side in ("train", "test") for tile in dataset.split(side)["tile_id"]}

    @pytest.mark.parametrize("options", [{"block_m": 0.16}, {"group_column": "band"}, {"cluster_distance_m": 0.05}])
    def test_when_tiles_are_relabelled_and_rejected(self, tiles, options):
        index = read_tiles(tiles)
        if "cluster_distance_m" in options:  # strips with a gap between them
            index = index[index["col"] % 4 < 2].reset_index(drop=True)
        index.assign(band=index["row"] // 2).to_parquet(tiles / "tiles.parquet")
        before = self.sides(tiles, "before", buffer_m=0.0, **options)
        opinions = [Opinion(verdict="rejected"), SAND, Opinion(verdict="accepted", label="weed"), Opinion(verdict="unsure")]
        decisions = [
            Decision(who="ada", tile=tile, after=opinions[number % 4]) for number, tile in enumerate(index["tile_id"][::3])
        ]
        append_decisions(tiles / LOG, decisions)
        after = self.sides(tiles, "after", buffer_m=0.0, **options)
        both = before.keys() & after.keys()
        assert len(both) > 0.6 * len(before)
        assert {tile: before[tile] for tile in both} == {tile: after[tile] for tile in both}

    def test_when_a_few_labels_of_the_file_change(self, tiles):
        before = self.sides(tiles, "before", block_m=0.16)
        index = read_tiles(tiles)
        index.loc[:10, "kind"] = "weed"
        index.to_parquet(tiles / "tiles.parquet")
        assert self.sides(tiles, "after", block_m=0.16) == before

    def test_unless_a_class_would_be_missing_on_a_side(self, tiles):
        before = self.sides(tiles, "before", block_m=0.16)
        index = read_tiles(tiles)
        weed = [tile for tile in index["tile_id"][index["kind"] == "weed"] if before.get(tile) == "test"]
        append_decisions(tiles / LOG, [Decision(who="ada", tile=tile, after=SAND) for tile in weed])
        after = self.sides(tiles, "after", block_m=0.16)
        assert after != before
        assert {"weed"} < set(open_dataset(tiles.parent / "after").split("test")["class"])
