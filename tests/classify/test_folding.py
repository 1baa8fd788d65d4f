"""Batch normalisation folded into convolutions: as many layers fewer, the same features."""

import pytest
import timm
import torch
from torch import nn

from spurgekit.classify.folding import fold_norms, folded


def with_statistics(model):
    """As after training: means and variances that are not 0 and 1."""
    generator = torch.Generator().manual_seed(0)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.2, generator=generator)
            layer.running_var.uniform_(0.5, 2, generator=generator)
            layer.weight.data.uniform_(0.5, 1.5, generator=generator)
            layer.bias.data.normal_(0, 0.2, generator=generator)
    return model.eval()


class Twice(nn.Module):
    """A convolution whose output is normalised, and taken as it is as well."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, images):
        seen = self.conv(images)
        return self.norm(seen) + seen


@pytest.mark.parametrize(
    ("backbone", "layers"), [("resnet10t", 14), ("mobilenetv2_035", 52), ("convnext_atto", 0), ("test_vit", 0)]
)
@torch.inference_mode()
def test_features_stay(backbone, layers):
    model = with_statistics(timm.create_model(backbone, num_classes=2))
    images = torch.rand(2, 3, 160, 160, generator=torch.Generator().manual_seed(1))
    expected = model(images).clone()
    assert fold_norms(model, torch.rand(1, 3, 160, 160)) == layers
    torch.testing.assert_close(model(images), expected, rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_a_copy_is_folded_and_what_it_is_of_stays():
    model = with_statistics(timm.create_model("resnet10t", num_classes=0))
    state = {key: value.clone() for key, value in model.state_dict().items()}
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    copy = folded(model, images[:1])
    torch.testing.assert_close(copy(images), model(images), rtol=1e-4, atol=1e-5)
    assert not torch.equal(copy.state_dict()["conv1.0.weight"], state["conv1.0.weight"])
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


def test_a_network_without_norms_is_not_copied():
    model = timm.create_model("test_vit", num_classes=0).eval()
    assert folded(model, torch.rand(1, 3, 160, 160)) is model


@torch.inference_mode()
def test_nothing_is_left_to_normalise():
    model = with_statistics(timm.create_model("resnet10t", num_classes=2))
    fold_norms(model, torch.rand(1, 3, 64, 64))
    model(torch.rand(1, 3, 64, 64))
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_var.fill_(torch.nan)
    assert model(torch.rand(1, 3, 64, 64)).isfinite().all()


@torch.inference_mode()
def test_a_convolution_that_is_used_otherwise_stays():
    model = with_statistics(Twice())
    images = torch.rand(1, 3, 8, 8)
    expected, state = model(images).clone(), {key: value.clone() for key, value in model.state_dict().items()}
    assert fold_norms(model, images) == 0
    assert torch.equal(model(images), expected)
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


def test_a_layer_that_knows_no_statistics_stays():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)).eval()
    assert fold_norms(model, torch.rand(1, 3, 8, 8)) == 0
