"""A model folder as maps use it: turned tiles, and ground where classes are not as common as in training."""

import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from spurgekit.classify import TrainOptions, load_model, read_model_info, train_model
from spurgekit.classify.prevalence import shift_prevalence
from spurgekit.classify.scores import confusion
from spurgekit.classify.tile_reader import read_tile
from spurgekit.dataset import open_dataset
from spurgekit.errors import InputError, ModelError
from tests.chain import BACKBONE, TILE_PX


@pytest.fixture(scope="module")
def tiles(chain):
    return np.stack([read_tile(path) for path in open_dataset(chain.dataset).split("test")["path"]])


class TestViews:
    def test_a_turned_tile_gets_the_same_answer(self, chain, tiles):
        model = load_model(chain.model, "cpu")
        turned = np.ascontiguousarray(np.rot90(tiles, axes=(2, 3)))
        assert model.predict(turned) == pytest.approx(model.predict(tiles), abs=1e-5)

    def test_4_are_the_quarter_turns(self, chain, tiles):
        one, four = (load_model(chain.model, "cpu", views=views) for views in (1, 4))
        turned = [one.logits(np.ascontiguousarray(np.rot90(tiles, k, axes=(2, 3))))[0].numpy() for k in range(4)]
        assert four.logits(tiles)[0].numpy() == pytest.approx(np.mean(turned, axis=0), abs=1e-5)

    def test_other_counts_are_refused(self, chain):
        with pytest.raises(InputError, match="`views=3` cannot be; pass one of 1, 4, 8"):
            load_model(chain.model, "cpu", views=3)

    def test_one_view_is_asked_for(self, chain, tiles):
        one, eight = load_model(chain.model, "cpu", views=1), load_model(chain.model, "cpu")
        assert (one.info.views, eight.info.views) == (1, 8)
        assert (one.predict(tiles) != eight.predict(tiles)).any()


class TestHeldOut:
    """What is known of a model's errors: as it looks at tiles now, by place, unclear tiles apart."""

    def test_counts_by_place_add_up_to_the_confusion_matrix(self, chain):
        model = load_model(chain.model, "cpu")
        assert model.held_out.matrix.tolist() == [list(row) for row in model.info.held_out.confusion_matrix]
        assert len(model.held_out.counts) == len(set(pd.read_csv(chain.model / "test_predictions.csv")["place"])) > 1

    def test_of_as_many_views_as_are_looked_at(self, chain, tiles):
        table = pd.read_csv(chain.model / "test_predictions.csv")
        for views, column in ((1, "p1(weed)"), (4, "p4(weed)"), (8, "p(weed)")):
            model = load_model(chain.model, "cpu", views=views, precision="auto")
            assert model.held_out_tiles.probabilities[:, 1] == pytest.approx(table[column], abs=1e-4)
            assert model.predict(tiles)[:, 1] == pytest.approx(table[column], abs=1e-4)

    def test_of_8_where_an_older_table_has_no_others(self, chain, tmp_path):
        folder = shutil.copytree(chain.model, tmp_path / "model")
        table = pd.read_csv(folder / "test_predictions.csv")
        table.drop(columns=["p4(sand)", "p4(weed)"]).to_csv(folder / "test_predictions.csv", index=False)
        assert load_model(folder, "cpu", views=4).held_out_tiles.probabilities[:, 1] == pytest.approx(
            table["p(weed)"], abs=1e-4
        )

    def test_of_one_view_where_one_is_looked_at(self, chain, tmp_path):
        folder = shutil.copytree(chain.model, tmp_path / "model")
        table = pd.read_csv(folder / "test_predictions.csv")
        sand = (table["class"] == "sand").to_numpy()
        table["p1(sand)"], table["p1(weed)"] = np.where(sand, 0.4, 0.3), np.where(sand, 0.6, 0.7)  # all are weed to one view
        table.to_csv(folder / "test_predictions.csv", index=False)
        one, eight = load_model(folder, "cpu", views=1), load_model(folder, "cpu")
        assert one.held_out.matrix[:, 0].sum() == 0
        assert one.info.held_out.balanced_accuracy == 0.5
        assert eight.info.held_out.balanced_accuracy > 0.5

    def test_unclear_tiles_are_counted_apart(self, chain, tmp_path):
        folder = shutil.copytree(chain.model, tmp_path / "model")
        table = pd.read_csv(folder / "test_predictions.csv")
        rows = table.iloc[:3].assign(**{"tile_id": ["u1", "u2", "u3"], "class": "", "p(sand)": 0.2, "p(weed)": 0.8})
        pd.concat([table, rows]).to_csv(folder / "test_predictions.csv", index=False)
        model, before = load_model(folder, "cpu"), load_model(chain.model, "cpu")
        assert model.held_out.unclear.sum(axis=0).tolist() == [0, 3]
        assert (model.held_out.counts == before.held_out.counts).all()
        assert load_model(folder, "cpu", prevalence="0.01").held_out.unclear.sum(axis=0).tolist() == [3, 0]

    def test_without_a_table_all_is_of_one_place(self, chain, tmp_path):
        folder = shutil.copytree(chain.model, tmp_path / "model")
        (folder / "test_predictions.csv").unlink()
        model = load_model(folder, "cpu")
        assert model.held_out.counts.tolist() == [[list(row) for row in model.info.held_out.confusion_matrix]]

    @pytest.mark.parametrize("change", [{"p(weed)": "x"}, {"p(weed)": "-1"}, {"class": "shrub"}])
    def test_a_damaged_table_is_refused(self, chain, tmp_path, change):
        folder = shutil.copytree(chain.model, tmp_path / "model")
        table = pd.read_csv(folder / "test_predictions.csv", dtype=str)
        table.loc[0, list(change)] = list(change.values())
        table.to_csv(folder / "test_predictions.csv", index=False)
        with pytest.raises(ModelError, match=r"test_predictions\.csv is damaged"):
            load_model(folder)


class TestPrevalence:
    def test_probabilities_and_held_out_scores_are_corrected(self, chain, tiles):
        plain, rare = load_model(chain.model, "cpu"), load_model(chain.model, "cpu", prevalence="0.01")
        expected = shift_prevalence(plain.predict(tiles), plain.info.training_counts, (0.99, 0.01))
        assert rare.predict(tiles) == pytest.approx(expected, abs=1e-6)
        targets = open_dataset(chain.dataset).split("test")["target"].to_numpy()
        assert rare.info.held_out.confusion_matrix == tuple(map(tuple, confusion(expected, targets).tolist()))

    def test_after_the_nearest_mean_it_starts_from_equal_shares(self, chain, tmp_path):
        """Of one weedy tile among many the nearest mean knows no share: it parts both alike, and .5 is .5 at equal shares."""
        copy = shutil.copytree(chain.dataset, tmp_path / "dataset")
        table = pd.read_csv(copy / "train" / "metadata.csv")
        weedy = table["label"] == 1
        dropped = table[weedy].iloc[1:]
        table.drop(dropped.index).to_csv(copy / "train" / "metadata.csv", index=False)
        options = TrainOptions(backbone=BACKBONE, pretrained=False, image_size_px=TILE_PX)
        info = train_model(copy, tmp_path / "model", options)
        assert info.equal_prior
        assert info.prior == dict.fromkeys(info.classes, 0.5)
        assert min(info.training_counts.values()) == 1
        rows = open_dataset(chain.dataset).split("test")
        tiles = np.stack([read_tile(path) for path in rows["path"]])
        plain, same = load_model(tmp_path / "model", "cpu"), load_model(tmp_path / "model", "cpu", prevalence="0.5")
        assert same.predict(tiles) == pytest.approx(plain.predict(tiles), abs=1e-6)
        assert "They suit ground where the classes are equally common" in (tmp_path / "model" / "README.md").read_text()

    def test_that_of_training_changes_nothing(self, chain, tiles):
        info = read_model_info(chain.model)
        weed = info.training_counts["weed"] / sum(info.training_counts.values())
        same = load_model(chain.model, "cpu", prevalence=f"{weed:.12f}")
        assert same.predict(tiles) == pytest.approx(load_model(chain.model, "cpu").predict(tiles), abs=1e-6)

    def test_one_that_cannot_be(self, chain):
        with pytest.raises(InputError, match="is not from 0 to 1"):
            load_model(chain.model, prevalence="5")

    def test_without_test_predictions_it_cannot_be_judged(self, chain, tmp_path):
        model = shutil.copytree(chain.model, tmp_path / "model")
        (model / "test_predictions.csv").unlink()
        with pytest.raises(ModelError, match=r"test_predictions\.csv is missing, and `prevalence` needs it"):
            load_model(model, prevalence="0.05")


def test_test_predictions_name_their_places(chain):
    listed = pd.read_csv(chain.model / "test_predictions.csv")
    assert listed["place"].notna().all()


class TestPrecision:
    def test_it_is_float32_unless_asked_for(self, chain):
        model = load_model(chain.model, "cpu")
        assert (model.dtype, model.precision) == (None, "float32")
        assert model.parameters()["precision"] == "float32"

    def test_in_bfloat16_probabilities_are_close_and_not_stepped(self, chain, tiles):
        """The backbone rounds features; the classifier, which would know logits to three digits only, counts in float32."""
        exact, rounded = (load_model(chain.model, "cpu", precision=name).predict(tiles) for name in ("float32", "bfloat16"))
        assert rounded == pytest.approx(exact, abs=0.03)
        assert (rounded != exact).any()
        logits, _ = load_model(chain.model, "cpu", precision="bfloat16").logits(tiles)
        assert logits.dtype == torch.float32
        assert (logits != logits.to(torch.bfloat16)).any()
