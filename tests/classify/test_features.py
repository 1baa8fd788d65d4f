import numpy as np
import pandas as pd
import pytest
import timm
import torch

from spurgekit.augment import parse_augmentation
from spurgekit.classify.features import Extractor, FeatureStore, unit
from spurgekit.classify.preprocess import Preprocess
from spurgekit.classify.tile_reader import read_tile
from spurgekit.dihedral import VIEWS, view_of
from spurgekit.errors import ModelError
from tests.classify.conftest import CPU, SIDE, Corner


def corner(pixels):
    return pixels[:, : SIDE // 2, : SIDE // 2].mean(axis=(1, 2)) / 255


class TestTurns:
    def test_each_is_that_of_the_turned_tile(self, store, tiles):
        found = store.views(tiles, range(VIEWS))
        assert found.shape == (5, 8, 3)
        for i, path in enumerate(tiles["path"]):
            pixels = torch.from_numpy(read_tile(path))
            for view in range(VIEWS):
                assert found[i, view] == pytest.approx(corner(view_of(pixels, view).numpy()), abs=1e-6)

    def test_are_computed_once(self, store, tiles):
        first = store.views(tiles.iloc[:3], (0, 1))
        assert store.extractor.backbone.seen == 6
        again = store.views(tiles, (0, 1))
        assert store.extractor.backbone.seen == 10
        assert (again[:3] == first).all()

    def test_a_file_of_several_ids_is_looked_at_once(self, store, tiles):
        again = tiles.assign(tile_id=[f"t00-n01/{tile}" for tile in tiles["tile_id"]])
        found = store.mean_of_views(pd.concat([tiles, again]))
        assert store.extractor.backbone.seen == 5 * VIEWS
        assert (found[:5] == found[5:]).all()

    def test_in_the_order_that_is_asked_for(self, store, tiles):
        one = store.views(tiles, (0, 3))
        other = store.views(tiles.iloc[::-1], (3, 0))
        assert (other == one[::-1, ::-1]).all()

    def test_batch_normalisation_is_folded_and_the_backbone_stays(self):
        backbone = timm.create_model("test_resnet", num_classes=0).eval()
        extractor = Extractor.of(backbone, Preprocess(32, (0.5,) * 3, (0.2,) * 3, CPU), "float32")
        images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            expected = backbone(images).numpy()
        assert extractor.turned(images, [0])[0] == pytest.approx(expected, abs=1e-4)
        for layer in extractor.backbone.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.running_var.fill_(torch.nan)
        assert np.isfinite(extractor.turned(images, [0])[0]).all()
        assert all(tensor.isfinite().all() for tensor in backbone.state_dict().values())


class TestAltered:
    def test_a_copy_depends_on_its_tile_alone(self, store, tiles):
        together = store.altered(tiles, parse_augmentation("randaugment"), 3)
        alone = FeatureStore(Corner(), store.extractor.preprocess, batch_size=1, precision="float32")
        found = np.concatenate([alone.altered(tiles.iloc[[i]], parse_augmentation("randaugment"), 3) for i in (4, 2)])
        assert found == pytest.approx(together[[4, 2]], abs=1e-6)
        assert len(np.unique(together[0].round(6), axis=0)) > 1


class TestMixed:
    def test_shares_say_what_a_sample_is_made_of(self, store, tiles):
        features, shares = store.mixed(tiles, parse_augmentation("mixup"), 4, seed=1, views=1, unit_features=False)
        assert features.shape == (20, 3)
        assert shares.sum(axis=1) == pytest.approx(1)
        assert ((shares > 0).sum(axis=1) <= 2).all()
        # MixUp blends pixels, and the mean of a corner is linear in them.
        own = np.stack([corner(read_tile(path)) for path in tiles["path"]])
        assert features == pytest.approx(shares @ own, abs=1e-6)

    def test_another_seed_mixes_otherwise(self, store, tiles):
        one, other = (store.mixed(tiles, parse_augmentation("cutmix"), 2, seed=seed)[1] for seed in (1, 2))
        assert (one != other).any()


class TestUnit:
    def test_lengths_are_1(self):
        assert np.linalg.norm(unit(np.array([[3.0, 4.0], [0.1, 0.0]])), axis=1) == pytest.approx(1)

    def test_nothing_stays_nothing(self):
        assert unit(np.zeros((1, 3))).tolist() == [[0, 0, 0]]


def test_weights_that_give_no_numbers(tiles):
    class Broken(torch.nn.Module):
        def forward(self, x):
            return x.mean(dim=(2, 3)) * float("nan")

    store = FeatureStore(Broken(), Preprocess(SIDE, (0.0,) * 3, (1.0,) * 3, CPU))
    with pytest.raises(ModelError, match="features are not finite; its weights are damaged"):
        store.views(tiles, (0,))
