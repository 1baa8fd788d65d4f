import numpy as np
import pytest
import timm
import torch

from spurgekit.classify.position_features import position_features
from spurgekit.errors import ModelError

CONVOLUTIONS = [("resnet10t", 256 + 512), ("convnext_atto", 160 + 320), ("mobilenetv3_small_050", 24 + 288)]
TRANSFORMERS = [
    ("vit_tiny_patch16_224", 192),
    ("vit_tiny_patch16_dinov3_qkvb", 192),  # with register tokens
    ("eva02_tiny_patch14_224", 192),
]


def make(name, side):
    torch.manual_seed(0)
    try:
        return timm.create_model(name, num_classes=0, img_size=side).eval()
    except TypeError:
        return timm.create_model(name, num_classes=0).eval()


@torch.inference_mode()
def seen(name, images):
    return position_features(make(name, images.shape[-1]), images)


@pytest.mark.parametrize(("name", "channels"), CONVOLUTIONS)
def test_two_stages_of_a_convolutional_backbone(name, channels):
    found = seen(name, torch.rand(2, 3, 128, 128))
    assert found.shape == (2, channels, 8, 8)  # positions of 16 px
    first, second = found[:, : found.shape[1] // 3], found[:, -10:]
    assert first.abs().max() > 0 and second.abs().max() > 0


@pytest.mark.parametrize(("name", "channels"), TRANSFORMERS)
def test_patches_of_a_transformer_without_its_other_tokens(name, channels):
    patch = 14 if "patch14" in name else 16
    images = torch.rand(2, 3, 8 * patch, 8 * patch)
    found = seen(name, images)
    assert found.shape == (2, channels, 8, 8)
    tokens = make(name, 8 * patch).forward_features(images)[:, -64:]
    expected = torch.nn.functional.normalize(tokens.detach(), dim=2).transpose(1, 2).unflatten(2, (8, 8))
    assert found.numpy() == pytest.approx(expected.numpy(), abs=1e-5)
    assert found.norm(dim=1).numpy() == pytest.approx(np.ones((2, 8, 8)), abs=1e-5)


@pytest.mark.parametrize("name", [name for name, _ in CONVOLUTIONS + TRANSFORMERS] + ["swin_tiny_patch4_window7_224"])
@pytest.mark.parametrize("place", [(1, 1), (1, 6), (6, 1)])
def test_what_changes_in_a_place_changes_the_features_there_most(name, place):
    cells = 8 if "swin" not in name else 14
    patch = 14 if "patch14" in name else 16
    images = torch.full((1, 3, cells * patch, cells * patch), 0.1)
    changed = images.clone()
    row, column = (k * cells // 8 for k in place)
    changed[:, :, row * patch : (row + 1) * patch, column * patch : (column + 1) * patch] = 2.0
    moved = (seen(name, changed) - seen(name, images)).norm(dim=1)[0]
    found = np.array(np.unravel_index(int(moved.argmax()), moved.shape))
    assert np.abs(found - (row, column)).max() <= 1  # strides with padding on one side shift by half a position


def test_the_backbone_runs_once_with_its_own_weights():
    model = make("resnet10t", 64)
    calls = []
    model.layer3.register_forward_hook(lambda *_: calls.append(1))
    position_features(model, torch.rand(1, 3, 64, 64))
    assert calls == [1]


@pytest.mark.parametrize(
    ("name", "side", "says"),
    [
        ("crossvit_tiny_240", 240, "a CrossVit gives no feature maps: nothing can be told of places within a tile"),
        ("inception_v3", 299, "a InceptionV3 has 17 x 17 positions, which do not divide images"),
        ("levit_128s", 224, "a LevitDistilled has last stages of which one is not half as fine as the other"),
    ],
)
def test_backbones_that_do_not_serve(name, side, says):
    with pytest.raises(ModelError, match=says) as caught:
        seen(name, torch.rand(1, 3, side, side))
    assert "\n" not in str(caught.value)


def test_a_network_that_is_not_timms():
    with pytest.raises(ModelError, match="a Conv2d gives no feature maps"):
        position_features(torch.nn.Conv2d(3, 8, 3), torch.rand(1, 3, 64, 64))
