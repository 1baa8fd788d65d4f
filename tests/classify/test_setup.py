import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from spurgekit.classify.offline_weights import has_offline_weights
from spurgekit.classify.setup import UNTRAINED, BackboneOptions, set_up
from spurgekit.dataset import open_dataset
from spurgekit.errors import InputError, ModelError
from tests.chain import BACKBONE


@pytest.fixture
def train(chain):
    return open_dataset(chain.dataset).split("train")


class TestWhichBackbone:
    def test_without_weights_a_small_one(self, train):
        assert set_up(BackboneOptions(pretrained=False), train).name == UNTRAINED

    def test_a_folder_of_weights_says_what_it_is_for(self, chain, train, tmp_path):
        folder = tmp_path / "weights"
        folder.mkdir()
        shutil.copy(chain.model / "model.safetensors", folder)
        (folder / "config.json").write_text(json.dumps({"architecture": BACKBONE}))
        setup = set_up(BackboneOptions(weights=folder, image_size_px=32), train)
        assert setup.name == BACKBONE
        (folder / "config.json").write_text("{")
        with pytest.raises(ModelError, match=r"config\.json is damaged; pass as `backbone`"):
            set_up(BackboneOptions(weights=folder), train)

    def test_which_repository_its_weights_are_from(self, chain, train):
        random = set_up(BackboneOptions(backbone=BACKBONE, pretrained=False, image_size_px=32), train)
        assert random.base_model is None
        fetched = replace(random, options=replace(random.options, pretrained=True))  # as if they had been
        assert fetched.base_model == "timm/test_resnet.r160_in1k"
        own = replace(fetched, options=replace(fetched.options, weights=chain.model))
        assert own.base_model is None
        packaged = replace(fetched, name="tf_efficientnet_lite0")
        assert packaged.base_model is None or not has_offline_weights()


class TestNormalisation:
    def test_random_weights_take_the_training_tiles(self, train):
        setup = set_up(BackboneOptions(backbone=BACKBONE, pretrained=False, image_size_px=32), train)
        assert setup.mean != (0.5, 0.5, 0.5)
        assert (setup.dtype, len(setup.mean)) == ("uint8", 3)

    def test_other_training_tiles_give_another_one_for_the_same_backbone(self, train):
        setup = set_up(BackboneOptions(backbone=BACKBONE, pretrained=False, image_size_px=32), train)
        weed = setup.normalised_by(train[train["class"] == "weed"])
        assert weed.by_tiles
        assert weed.backbone is setup.backbone
        assert weed.mean == weed.normalised_by(train[train["class"] == "weed"]).mean
        assert (np.array(weed.mean) < setup.mean).all()  # weed is drawn darker than sand
        assert weed.normalised_by(train[train["class"] == "weed"]) is weed
        assert setup.normalised_by(train) is setup
        tiles = np.full((1, 3, 32, 32), 100, np.uint8)
        assert weed.preprocess(tiles).mean().item() > setup.preprocess(tiles).mean().item()

    def test_unless_it_does_not_depend_on_tiles(self, chain, train):
        given = {"mean": (0.4,) * 3, "std": (0.2,) * 3}
        setups = [
            set_up(BackboneOptions(backbone=BACKBONE, image_size_px=32, **options), train)
            for options in ({"pretrained": False, **given}, {"weights": chain.model / "model.safetensors"})
        ]
        for setup in setups:
            assert not setup.by_tiles
            assert setup.normalised_by(train.iloc[:2]) is setup
        assert setups[1].mean == (0.5, 0.5, 0.5)

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ({"mean": (0.5,)}, "`mean` has 1 numbers, the tiles have 3 bands; pass one for each"),
            ({"std": (0.5, 0.0, 0.5)}, "has a number that is not positive"),
        ],
    )
    def test_what_cannot_be(self, train, options, says):
        with pytest.raises(InputError, match=says):
            set_up(BackboneOptions(backbone=BACKBONE, pretrained=False, image_size_px=32, **options), train)
