import numpy as np
import pytest
import torch
from torch import nn

from spurgekit.classify.timm_backbone import make_backbone
from spurgekit.classify.training.adapters import adaptable_layers, adapted
from spurgekit.classify.training.network import Network
from spurgekit.classify.training.training_loop import set_learning
from spurgekit.errors import ModelError
from tests.rounding import assert_close, terms_of

OPTIONS = {"rank": 4, "alpha": 8, "dropout": 0.0, "seed": 1}
IMAGES = torch.from_numpy(np.random.default_rng(0).normal(size=(4, 3, 32, 32)).astype(np.float32))


def make(name, **options):
    size = 32 if name.startswith("test_vit") else None
    return Network(make_backbone(name, num_classes=3, image_size_px=size, options=options))


def state(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def learn(network, steps=3):
    """Some steps that change everything that may change."""
    optimiser = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.003)
    set_learning(network)
    for _ in range(steps):
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(IMAGES), torch.tensor([0, 1, 2, 0])).backward()
        optimiser.step()
    network.eval()


class TestLayers:
    def test_of_a_transformer(self):
        network = make("test_vit")
        kinds = ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
        expected = [f"blocks.{i}.{kind}" for i in range(len(network.model.blocks)) for kind in kinds]
        assert list(adaptable_layers(network)) == expected

    def test_of_a_network_of_separable_convolutions(self):
        network = make("mobilenetv2_035")
        layers = adaptable_layers(network)
        assert layers[:3] == ("blocks.0.0.conv_pw", "blocks.1.0.conv_pw", "blocks.1.0.conv_pwl")
        assert layers[-1] == "conv_head"
        assert not any("conv_dw" in name for name in layers)

    def test_not_the_3_x_3_ones(self):
        assert all("downsample" in name for name in adaptable_layers(make("resnet10t")))

    def test_not_pointwise_ones_in_groups(self):
        class Grouped(nn.Module):
            def __init__(self):
                super().__init__()
                self.grouped = nn.Conv2d(4, 4, 1, groups=2)
                self.full = nn.Conv2d(4, 4, 1)
                self.attention = nn.MultiheadAttention(4, 1)
                self.fc = nn.Linear(4, 2)

            def get_classifier(self):
                return self.fc

        assert adaptable_layers(Network(Grouped())) == ("full",)

    def test_none(self):
        class Plain(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = nn.Conv2d(3, 4, 3)
                self.fc = nn.Linear(4, 2)

            def get_classifier(self):
                return self.fc

        with (
            pytest.raises(
                ModelError, match=r"^a Plain has neither linear layers nor 1 x 1 convolutions for LoRA to adapt; train"
            ),
            adapted(Network(Plain()), **OPTIONS),
        ):
            pass


@pytest.mark.parametrize("name", ["test_vit", "mobilenetv2_035"])
class TestAdapted:
    def test_at_first_nothing_is_added(self, name):
        network = make(name).eval()
        before, logits = state(network), network(IMAGES)
        with adapted(network, **OPTIONS):
            assert torch.equal(network(IMAGES), logits)
        assert torch.equal(network(IMAGES), logits)
        assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())

    def test_adapters_and_the_classifier_alone_learn(self, name):
        network = make(name)
        before = state(network)
        classifier = next(key for key, module in network.named_modules() if module is network.classifier)
        with adapted(network, **OPTIONS) as layers:
            learn(network)
            seen, learned = set(), set()
            for key, value in network.state_dict().items():
                if "lora_" in key:
                    learned.add(key.split(".lora_")[0].removeprefix("model."))
                    continue
                plain = key.replace(".base_layer", "")
                seen.add(plain)
                same = torch.equal(before[plain], value)
                if plain.startswith(f"{classifier}."):
                    assert not same
                else:
                    assert same, plain
            assert seen == set(before)
            assert learned == set(layers)

    def test_merged_it_is_as_before_and_plain(self, name):
        network = make(name)
        kinds = {key: type(module) for key, module in network.named_modules()}
        before = state(network)
        with adapted(network, **OPTIONS):
            learn(network)
            logits = network(IMAGES)
        assert_close(network(IMAGES), logits, terms=terms_of(network))
        assert list(network.state_dict()) == list(before)
        assert {key: type(module) for key, module in network.named_modules()} == kinds
        assert all(parameter.requires_grad for parameter in network.parameters())

    def test_what_is_added_is_of_low_rank(self, name):
        network = make(name)
        before = state(network)
        with adapted(network, **OPTIONS) as layers:
            learn(network)
        for layer in layers:
            key = f"model.{layer}.weight"
            added = (network.state_dict()[key] - before[key]).flatten(1).double()
            values = torch.linalg.svdvals(added)
            assert (values[4:] < 1e-4 * values[0] + 1e-7).all()
            assert values[0] > 0

    def test_on_an_error_they_are_taken_off(self, name):
        network = make(name)
        before = state(network)
        with pytest.raises(KeyError), adapted(network, **OPTIONS) as layers:
            learn(network)
            raise KeyError
        after = network.state_dict()
        assert list(after) == list(before)
        assert all(torch.equal(before[f"model.{layer}.weight"], after[f"model.{layer}.weight"]) for layer in layers)


class TestSeed:
    def test_fixes_the_adapters(self):
        found = []
        for seed in (1, 1, 2):
            network = make("test_vit")
            torch.rand(3)
            with adapted(network, **{**OPTIONS, "seed": seed}) as layers:
                found.append(network.state_dict()[f"model.{layers[0]}.lora_A.default.weight"].clone())
        assert torch.equal(found[0], found[1])
        assert not torch.equal(found[0], found[2])
