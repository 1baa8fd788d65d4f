import numpy as np
import pytest
import torch

from spurgekit.augment import parse_augmentation
from spurgekit.classify.preprocess import Preprocess
from spurgekit.classify.timm_backbone import make_backbone
from spurgekit.classify.training.batch_order import FinetuneTiles, PixelsOnDisk
from spurgekit.classify.training.finetune import FinetuneOptions, finetune
from spurgekit.classify.training.network import Network
from spurgekit.classify.training.training_checkpoint import hash_of_network, hash_of_tiles
from spurgekit.errors import ModelError
from spurgekit.precision import put_on
from tests.classify.textures import SIDE, textures
from tests.stops import StopAfter

QUICK = {
    "steps": 6,
    "batch_size": 4,
    "learning_rate": 1e-3,
    "augment": parse_augmentation("flip+cutmix"),
    "precision": "float32",
}


class CutError(Exception):
    """What ends a process in the middle."""


def make(name="test_vit", *, seed=0, **options):
    size = SIDE if name == "test_vit" else None
    return Network(make_backbone(name, num_classes=2, image_size_px=size, options=options, seed=seed))


def preprocess(mean=0.5):
    return Preprocess(SIDE, (mean,) * 3, (0.25,) * 3, torch.device("cpu"))


def run(
    checkpoint, *, network=None, tiles=None, validation=None, ready=None, every=2, cut=None, learning="adapters", **options
):
    """Train, and return the network and the report; None for the report where it was cut."""
    network = network or make()
    more = {} if cut is None else {"progress": StopAfter(cut, CutError)}
    options = FinetuneOptions(learning=learning, **{**QUICK, **options})
    try:
        report = finetune(
            network,
            ready or preprocess(),
            tiles or textures(5),
            options,
            validation=validation,
            checkpoint=checkpoint,
            checkpoint_steps=every,
            **more,
        )
    except CutError:
        return network, None
    return network, report


def assert_same(one, other):
    one, other = one.state_dict(), other.state_dict()
    assert list(one) == list(other)
    assert all(torch.equal(one[name], other[name]) for name in one)


class TestResume:
    @pytest.mark.parametrize(("name", "learning"), [("test_vit", "adapters"), ("test_resnet", "all")])
    @pytest.mark.parametrize("cut", [1, 2, 5])
    def test_gives_the_same_bytes(self, tmp_path, name, learning, cut):
        whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
        options = {"learning": learning, "dropout": 0.1 if learning == "adapters" else 0.0}
        through, expected = run(whole, network=make(name, drop_path_rate=0.2), **options)
        assert run(parts, network=make(name, drop_path_rate=0.2), cut=cut, **options)[1] is None
        assert parts.exists() == (cut > 1)
        resumed, report = run(parts, network=make(name, drop_path_rate=0.2), **options)
        assert report == expected
        assert_same(through, resumed)
        assert parts.read_bytes() == whole.read_bytes()

    def test_a_checkpoint_changes_nothing(self, tmp_path):
        (without, one), (with_it, other) = run(None), run(tmp_path / "c.safetensors")
        assert one == other
        assert_same(without, with_it)

    def test_what_is_done_is_not_done_again(self, tmp_path):
        network, expected = run(tmp_path / "c.safetensors")
        again, report = run(tmp_path / "c.safetensors", cut=7)  # a step more would end it
        assert report == expected
        assert_same(network, again)

    def test_with_early_stopping(self, tmp_path):
        held = textures(4, seed=5, name="held")
        wrong = FinetuneTiles(held.pixels, held.targets[:, ::-1], held.tile_ids)
        options = {"steps": 60, "validation": wrong, "learning": "all", "every": 4}
        through, expected = run(tmp_path / "whole.safetensors", **options)
        assert expected.best_step < expected.steps < 60
        run(tmp_path / "parts.safetensors", cut=expected.steps - 2, **options)
        for _ in range(2):  # the second time it has stopped already
            resumed, report = run(tmp_path / "parts.safetensors", **options)
            assert report == expected
            assert_same(through, resumed)

    def test_nothing_half_written_stays(self, tmp_path):
        run(tmp_path / "c.safetensors", cut=3)
        assert [path.name for path in tmp_path.iterdir()] == ["c.safetensors"]


class TestRefused:
    @pytest.fixture
    def cut(self, tmp_path):
        path = tmp_path / "c.safetensors"
        run(path, cut=3)
        return path

    @pytest.mark.parametrize(
        ("other", "what"),
        [
            ({"learning_rate": 2e-3}, "options"),
            ({"seed": 1}, "options"),
            ({"augment": parse_augmentation("flip")}, "options"),
            ({"tiles": textures(4)}, "tiles"),
            ({"tiles": textures(5, name="other")}, "tiles"),
            ({"tiles": textures(5, weights=np.r_[2.0, np.ones(9)])}, "tiles"),
            ({"network": make(seed=1)}, "weights"),
            ({"ready": preprocess(0.4)}, "normalisation"),
            ({"steps": 8, "tiles": textures(5, seed=8)}, "options and tiles"),
            ({"validation": textures(2, name="held")}, "options and validation tiles"),
        ],
    )
    def test_of_another_training(self, cut, other, what):
        with pytest.raises(ModelError) as caught:
            run(cut, **other)
        assert str(caught.value) == f"{cut} is the checkpoint of a training with other {what}; delete it to start again"

    @pytest.mark.parametrize("kept", [0, 5, 100, -1])
    def test_cut_off(self, cut, kept):
        cut.write_bytes(cut.read_bytes()[:kept])
        with pytest.raises(ModelError, match=rf"^the checkpoint {cut} is damaged; delete it to start again$"):
            run(cut)

    def test_of_something_else(self, cut):
        from safetensors.torch import save_file

        save_file({"a": torch.zeros(1)}, cut)
        with pytest.raises(ModelError, match="is damaged; delete it"):
            run(cut)

    def test_a_folder(self, tmp_path):
        with pytest.raises(ModelError, match="is damaged; delete it"):
            run(tmp_path)


class TestHashes:
    def test_tiles_on_disk_go_by_their_bytes(self, tmp_path):
        path = tmp_path / "a.png"

        def hash_now(content):
            path.write_bytes(content)
            return hash_of_tiles(FinetuneTiles(PixelsOnDisk((path,)), np.ones((1, 1)), ["a"]))

        assert hash_now(b"one") == hash_now(b"one")
        assert hash_now(b"one") != hash_now(b"two")

    def test_networks_go_by_all_weights(self):
        network = make("test_resnet")
        before = hash_of_network(network)
        assert hash_of_network(make("test_resnet")) == before
        network.model.layer4[0].bn2.running_mean[3] += 1
        assert hash_of_network(network) != before

    def test_the_order_in_memory_does_not_matter(self):
        network = make("test_resnet")
        assert hash_of_network(put_on(make("test_resnet"), torch.device("cpu"))) == hash_of_network(network)
