"""Which synthetic tiles are made from which real ones."""

from pathlib import Path

import pytest

from spurgekit.augment.augment_options import AugmentOptions
from spurgekit.augment.plan import make_plan
from spurgekit.augment.support_sets import ALL_TILES, SupportSetKey, choose_sets, tiles_of
from spurgekit.dataset import open_dataset
from spurgekit.errors import InputError

SETS = [SupportSetKey(0, 1), SupportSetKey(0, 2), SupportSetKey(1, 2)]
"""With 2 classes: 2, 4 and 4 tiles. The sets of a trial are nested."""


@pytest.fixture(scope="module")
def dataset(chain):
    return open_dataset(chain.dataset)


def embedding(key, name):
    return Path(key.name) / name


def edits(plan):
    return {edit.id: edit for unit in plan.units for edit in unit.edits}


class TestSets:
    def test_by_shots_and_trials(self, dataset):
        assert list(choose_sets(dataset, (2, 1), 2)) == [
            SupportSetKey(0, 1),
            SupportSetKey(0, 2),
            SupportSetKey(1, 1),
            SupportSetKey(1, 2),
        ]
        assert list(choose_sets(dataset, (0,), 20)) == [ALL_TILES]
        assert list(choose_sets(dataset, (0, 4), 1)) == [ALL_TILES, SupportSetKey(0, 4)]
        assert [key.name for key in (ALL_TILES, SupportSetKey(3, 16))] == ["all", "t03-n16"]

    def test_tiles_are_those_of_few_shot_parquet(self, dataset):
        table = dataset.support_sets()
        for key, rows in tiles_of(dataset, SETS).items():
            listed = table[(table["trial"] == key.trial) & (table["n"] == key.n)]
            assert rows["tile_id"].tolist() == listed["tile_id"].tolist()

    def test_shots_that_there_are_no_sets_of(self, dataset):
        with pytest.raises(InputError, match="has no support sets of 3 shots, only of 1, 2, 4"):
            choose_sets(dataset, (1, 3), 20)


class TestPlan:
    def test_what_was_learned_for_a_set_makes_images_of_that_set(self, dataset):
        plan = make_plan(dataset, tiles_of(dataset, SETS), AugmentOptions(method="da-fusion", images=3), embedding=embedding)
        assert len(plan.rows) == plan.images == (2 + 4 + 4) * 3
        assert plan.rows["file_name"].is_unique
        for key in SETS:
            mine = [edit for name, edit in edits(plan).items() if name.startswith(f"{key.name}/")]
            assert {edit.concepts for edit in mine} == {tuple(embedding(key, name) for name in dataset.info.classes)}

    def test_images_that_do_not_depend_on_the_set_are_made_once(self, dataset):
        plan = make_plan(dataset, tiles_of(dataset, SETS), AugmentOptions(method="real-guidance", images=3))
        tiles = set(plan.rows["tile_id"])
        assert len(plan.rows) == (2 + 4 + 4) * 3
        assert plan.images == len(tiles) * 3
        assert plan.rows["id"].is_unique
        for _, alike in plan.rows.groupby("file_name"):
            assert alike[["tile_id", "seed", "strength", "prompt"]].drop_duplicates().shape[0] == 1

    def test_strengths_by_shots_make_images_by_shots(self, dataset):
        plan = make_plan(
            dataset, tiles_of(dataset, SETS), AugmentOptions(method="real-guidance", images=2, strengths="1:1;2:0.2")
        )
        assert plan.rows.groupby("n")["strength"].unique().map(list).to_dict() == {1: [1.0], 2: [0.2]}

    def test_a_unit_is_of_one_strength_and_no_image_is_in_two(self, dataset):
        plan = make_plan(
            dataset, tiles_of(dataset, SETS), AugmentOptions(method="da-fusion", images=5, batch_size=4), embedding=embedding
        )
        strengths = dict(zip(plan.rows["file_name"], plan.rows["strength"], strict=True))
        for unit in plan.units:
            assert {strengths[f"{edit.id}.png"] for edit in unit.edits} == {unit.strength}
            assert len(unit.edits) <= 4
        assert sum(len(unit.edits) for unit in plan.units) == len(edits(plan))

    def test_an_image_depends_on_nothing_else_that_is_made(self, dataset):
        alone = edits(
            make_plan(dataset, tiles_of(dataset, SETS[1:2]), AugmentOptions(method="da-fusion", images=2), embedding=embedding)
        )
        among = edits(
            make_plan(
                dataset,
                tiles_of(dataset, SETS),
                AugmentOptions(method="da-fusion", images=2, batch_size=3),
                embedding=embedding,
            )
        )
        assert alone.items() <= among.items()
        other = edits(
            make_plan(
                dataset, tiles_of(dataset, SETS), AugmentOptions(method="da-fusion", images=2, seed=1), embedding=embedding
            )
        )
        assert all(other[name].seed != among[name].seed for name in among)

    def test_seeds_differ(self, dataset):
        plan = make_plan(dataset, tiles_of(dataset, SETS), AugmentOptions(method="da-fusion", images=9), embedding=embedding)
        assert plan.rows["seed"].is_unique

    def test_the_whole_split_belongs_to_no_trial(self, dataset):
        rows = make_plan(dataset, tiles_of(dataset, [ALL_TILES]), AugmentOptions(method="roundtrip", images=9)).rows
        assert rows["tile_id"].tolist() == dataset.split("train")["tile_id"].tolist()
        assert rows[["trial", "n"]].isna().all(axis=None)

    def test_prompts_take_turns(self, dataset):
        options = AugmentOptions(method="text-to-image", images=4, prompts=("{concept}, green", "{concept}, yellow"))
        rows = make_plan(dataset, tiles_of(dataset, SETS), options).rows
        assert (rows.groupby("id", sort=False).size() == 1).all()
        for (_, name), of_tile in rows[rows["n"] == 1].groupby(["tile_id", "class"]):
            assert of_tile["prompt"].value_counts().to_dict() == {f"{name}, green": 2, f"{name}, yellow": 2}

    def test_a_negative_prompt_for_each_class(self, dataset):
        options = AugmentOptions(images=4, cross=0.5, negative="{others}")
        plan = make_plan(dataset, tiles_of(dataset, SETS), options, embedding=embedding)
        others = {"sand": "<weed>", "weed": "<sand>"}
        assert plan.rows["negative"].tolist() == [others[name] for name in plan.rows["class"]]  # of what is painted
        told = {f"{name}.png": edit.negative for name, edit in edits(plan).items()}
        assert plan.rows["negative"].tolist() == [told[name] for name in plan.rows["file_name"]]
        with pytest.raises(InputError, match="the negative prompt '<rock>' has the token <rock>"):
            make_plan(dataset, tiles_of(dataset, SETS), AugmentOptions(negative="<rock>"), embedding=embedding)

    def test_cross_class_edits_have_soft_labels(self, dataset):
        options = AugmentOptions(method="da-fusion", images=4, cross=0.5, strengths="0.25", gamma=0.5)
        plan = make_plan(dataset, tiles_of(dataset, SETS), options, embedding=embedding)
        crossed = plan.rows[plan.rows["class"] != plan.rows["source_class"]]
        assert len(crossed) == len(plan.rows) / 2
        assert crossed["share"].tolist() == [0.5] * len(crossed)  # the square root of a quarter
        assert set(plan.rows["share"][plan.rows["class"] == plan.rows["source_class"]]) == {1}
        for _, row in crossed.iterrows():
            assert row["prompt"] == f"a drone photo of <{row['class']}>"

    def test_tiles_without_a_mask_are_left_out(self, dataset):
        tile = dataset.support_sets()["tile_id"].iloc[0]
        plan = make_plan(
            dataset,
            tiles_of(dataset, SETS),
            AugmentOptions(method="da-fusion", images=2),
            embedding=embedding,
            masks={tile: Path("m.png")},
        )
        assert set(plan.rows["tile_id"]) == {tile}
        assert {edit.mask for edit in edits(plan).values()} == {Path("m.png")}
        with pytest.raises(InputError, match="no tile is left"):
            make_plan(dataset, tiles_of(dataset, SETS), AugmentOptions(), embedding=embedding, masks={})

    def test_where_a_tile_lies_goes_with_its_images(self, dataset):
        rows = make_plan(dataset, tiles_of(dataset, SETS), AugmentOptions(method="roundtrip")).rows
        train = dataset.split("train").set_index("tile_id")
        for name in ("easting", "northing", "gsd_m", "cluster", "site"):
            if name in train:
                assert rows[name].tolist() == train.loc[rows["tile_id"], name].tolist()

    def test_less_than_one_step(self, dataset):
        with pytest.raises(InputError, match=r"a strength of 0\.25 is less than one of 3 steps"):
            make_plan(dataset, tiles_of(dataset, SETS), AugmentOptions(method="da-fusion", steps=3), embedding=embedding)
