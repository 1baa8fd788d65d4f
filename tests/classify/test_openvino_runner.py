"""Backbones run by OpenVINO say what they say by PyTorch."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from spurgekit.classify.position_head import PositionHead
from spurgekit.classify.timm_backbone import make_backbone
from spurgekit.classify.training.network import Network, PositionModel, network_of
from spurgekit.errors import InputError, ModelError
from spurgekit.precision import put_on
from tests.openvino_here import counts_in_bfloat16, needs_bfloat16

pytest.importorskip("openvino", reason="OpenVINO is not installed (the extra openvino)")

from spurgekit.classify.openvino_runner import PIECE, OpenVinoRunner

SIDE = 64
CPU = torch.device("cpu")


def network(backbone="resnet10t", *, positions=False, unit_features=True):
    model = make_backbone(backbone, num_classes=0 if positions else 2, seed=1)
    if positions:
        model = PositionModel(model, PositionHead(256 + 512, 2))
    return put_on(network_of(model, unit_features=unit_features), CPU).eval()


def images(count, side=SIDE):
    shown = torch.randn((count, 3, side, side), generator=torch.Generator().manual_seed(count))
    return shown.contiguous(memory_format=torch.channels_last)


@pytest.fixture(scope="module")
def runner():
    return OpenVinoRunner(network(), (3, SIDE, SIDE), None)


@torch.inference_mode()
def both(one, shown, views, dtype=None):
    """Probabilities and features by PyTorch in float32, and by OpenVINO."""
    run = OpenVinoRunner(one, tuple(shown.shape[1:]), dtype)
    found = [one.averaged(shown, views, features=True, runner=runner) for runner in (None, run)]
    return [(logits.softmax(dim=1), features) for logits, features in found]


@pytest.mark.parametrize(
    ("backbone", "side", "kind"),
    [
        ("resnet10t", SIDE, {}),
        ("resnet10t", SIDE, {"unit_features": False}),
        ("resnet10t", SIDE, {"positions": True}),
        ("test_vit", 160, {}),
    ],
)
def test_float32_is_the_same_but_for_the_order_of_sums(backbone, side, kind):
    (expected, features), (found, seen) = both(network(backbone, **kind), images(PIECE + 1, side), 4)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    torch.testing.assert_close(seen, features, rtol=0, atol=1e-4 * float(features.abs().max()))


@needs_bfloat16
@pytest.mark.parametrize("kind", [{}, {"positions": True}])
def test_bfloat16_is_near(kind):
    (expected, _), (found, _) = both(network(**kind), images(8), 1, torch.bfloat16)
    assert 0 < float((found - expected).abs().max()) < 0.01


@pytest.mark.skipif(counts_in_bfloat16(), reason="OpenVINO counts in bfloat16 on this CPU")
def test_where_the_cpu_does_not_count_in_bfloat16_that_is_said():
    with pytest.raises(
        InputError, match="does not count in bfloat16 on this CPU; pass `precision=float32`, or `runtime=torch`"
    ):
        OpenVinoRunner(network(), (3, SIDE, SIDE), torch.bfloat16)


@torch.inference_mode()
def test_what_is_said_of_an_image_does_not_depend_on_those_beside_it(runner):
    shown = images(2 * PIECE + 1)
    ((whole,),) = runner([shown])
    for number, (alone,) in enumerate(runner(shown.split(1))):
        assert torch.equal(alone[0], whole[number])


@torch.inference_mode()
def test_nor_on_how_many_threads_there_are_or_ask(runner):
    shown = images(3 * PIECE)
    ((expected,),) = runner([shown])
    before = torch.get_num_threads()
    torch.set_num_threads(before + 2)
    try:
        with ThreadPoolExecutor(2) as threads:
            told = [found for both in threads.map(lambda _: runner([shown, shown]), range(8)) for (found,) in both]
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(found, expected) for found in told)


def test_nobody_is_told_of_it(monkeypatch):
    """OpenVINO's own function for it sends what was converted, and how that went, to Google Analytics."""
    told = []
    monkeypatch.setattr("openvino_telemetry.Telemetry.send_event", lambda *event, **_: told.append(event))
    OpenVinoRunner(network(), (3, SIDE, SIDE), None)
    assert not told


class Odd(nn.Module):
    """A network with one odd layer."""

    def __init__(self, odd):
        super().__init__()
        self.odd, self.classifier = odd, nn.Linear(3, 2)

    def forward_features(self, shown):
        return self.odd(shown).mean(dim=(2, 3))

    def forward_head(self, features, pre_logits):  # noqa: ARG002 - as timm's have it
        return features


def test_what_it_cannot_convert_is_refused_in_one_line():
    with pytest.raises(ModelError, match=r"OpenVINO cannot convert a Odd \(.*bessel_j0.*\); pass `runtime=torch`$") as caught:
        OpenVinoRunner(Network(Odd(torch.special.bessel_j0)).eval(), (3, 8, 8), None)
    assert "\n" not in str(caught.value)


def test_what_it_converts_to_something_else_is_refused():
    calls = iter(range(1, 9))
    with pytest.raises(ModelError, match="OpenVINO says other things of tiles than PyTorch with a Odd; pass `runtime=torch`"):
        OpenVinoRunner(Network(Odd(lambda shown: shown * next(calls))).eval(), (3, 8, 8), None)


def test_where_it_is_missing_that_is_said(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r'`runtime=openvino` needs packages .*; pip install "openvino>=2025\.0"$'):
        OpenVinoRunner(network(), (3, SIDE, SIDE), None)
