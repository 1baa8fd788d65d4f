import numpy as np
import pytest
import torch

from spurgekit.augment import parse_augmentation
from spurgekit.classify.preprocess import Preprocess
from spurgekit.classify.timm_backbone import make_backbone
from spurgekit.classify.training.batch_order import FinetuneTiles, PixelsOnDisk
from spurgekit.classify.training.finetune import FinetuneOptions, finetune
from spurgekit.classify.training.learning_rates import learning_rate_share, make_optimiser, set_learning_rate
from spurgekit.classify.training.network import Network
from spurgekit.errors import InputError, LeakageError, ModelError
from spurgekit.precision import pick_precision
from tests.classify.textures import SIDE, noise, textures

CPU = torch.device("cpu")
PLAIN = parse_augmentation("none")
QUICK = {"steps": 4, "batch_size": 8, "learning_rate": 1e-3, "augment": PLAIN, "precision": "float32"}


def make(name="test_vit", classes=2, **options):
    size = SIDE if name.startswith("test_vit") else None
    return Network(make_backbone(name, num_classes=classes, image_size_px=size, options=options, seed=3))


def preprocess():
    return Preprocess(SIDE, (0.5,) * 3, (0.25,) * 3, CPU)


def state(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


@torch.inference_mode()
def accuracy(network, tiles):
    found = network(preprocess()(tiles.pixels)).argmax(dim=1).numpy()
    return (found == tiles.targets.argmax(axis=1)).mean()


class TestLearning:
    @pytest.mark.parametrize(
        ("name", "learning", "steps"), [("test_vit", "adapters", 20), ("test_vit", "all", 10), ("resnet10t", "all", 6)]
    )
    def test_textures_are_told_apart(self, name, learning, steps):
        network = make(name)
        options = FinetuneOptions(
            learning=learning, steps=steps, batch_size=16, learning_rate=3e-3, precision="float32", head_learning_rate=3e-3
        )
        report = finetune(network, preprocess(), textures(8), options)
        assert accuracy(network, textures(20, seed=9)) == 1.0
        assert report.steps == steps
        assert np.mean(report.losses[-3:]) < 0.5 * np.mean(report.losses[:3])

    def test_labels_that_mean_nothing_are_not_learned(self):
        rng = np.random.default_rng(0)
        train, held_out = (
            FinetuneTiles(noise(rng, n), np.eye(2)[np.arange(n) % 2], [f"{n}/{i}" for i in range(n)]) for n in (16, 200)
        )
        network = make()
        options = FinetuneOptions(learning="all", **{**QUICK, "steps": 15, "batch_size": 16})
        finetune(network, preprocess(), train, options)
        assert 0.4 < accuracy(network, held_out) < 0.6  # 2.8 standard deviations of fair coins

    def test_shares_are_learned_as_shares(self):
        tiles = textures(1)
        shared = FinetuneTiles(tiles.pixels, np.array([[0.8, 0.2], [0.3, 0.7]]), tiles.tile_ids)
        network = make()
        finetune(network, preprocess(), shared, FinetuneOptions(learning="all", **{**QUICK, "steps": 60, "weight_decay": 0.0}))
        with torch.inference_mode():
            found = network(preprocess()(tiles.pixels)).softmax(dim=1)
        assert found.numpy() == pytest.approx(shared.targets, abs=0.05)

    def test_mixing_and_altering(self):
        network = make()
        augment = parse_augmentation("dihedral+randaugment+cutmix+mixup")
        options = FinetuneOptions(learning="all", **{**QUICK, "augment": augment})
        report = finetune(network, preprocess(), textures(4, classes=2), options)
        assert np.isfinite(report.losses).all()

    def test_bfloat16(self):
        network = make()
        options = FinetuneOptions(steps=20, batch_size=16, learning_rate=3e-3, precision="bfloat16", head_learning_rate=3e-3)
        assert finetune(network, preprocess(), textures(8), options).precision == "bfloat16"
        assert accuracy(network, textures(20, seed=9)) == 1.0
        assert all(parameter.dtype == torch.float32 for parameter in network.parameters())

    def test_more_classes(self):
        report = finetune(make(classes=3), preprocess(), textures(2, classes=3), FinetuneOptions(**QUICK))
        assert report.prior == pytest.approx((1 / 3,) * 3)


class TestNetwork:
    @pytest.mark.parametrize("learning", ["adapters", "all"])
    def test_is_plain_afterwards_and_ready(self, learning):
        network = make()
        keys = list(network.state_dict())
        report = finetune(network, preprocess(), textures(2), FinetuneOptions(learning=learning, **QUICK))
        assert list(network.state_dict()) == keys
        assert not any(module.training for module in network.modules())
        assert (report.learned == sum(parameter.numel() for parameter in network.parameters())) == (learning == "all")
        make_backbone("test_vit", num_classes=2, image_size_px=SIDE).load_state_dict(network.model.state_dict())

    @pytest.mark.parametrize("learning", ["adapters", "all"])
    def test_running_statistics_stay(self, learning):
        network = make("resnet10t")
        before = state(network)
        finetune(network, preprocess(), textures(2), FinetuneOptions(learning=learning, **QUICK))
        frozen = [name for name in before if "running_" in name or "num_batches" in name]
        assert len(frozen) > 20
        assert all(torch.equal(before[name], network.state_dict()[name]) for name in frozen)

    def test_lora_leaves_norms_biases_and_embeddings(self):
        network = make()
        before = state(network)
        report = finetune(network, preprocess(), textures(2), FinetuneOptions(**QUICK, rank=2))
        changed = {name for name in before if not torch.equal(before[name], network.state_dict()[name])}
        layers = {
            f"model.blocks.{i}.{kind}.weight" for i in range(6) for kind in ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
        }
        assert changed == layers | {"model.head.weight", "model.head.bias"}
        # An adapter of rank 2 has 2 (ins + outs) numbers.
        width = before["model.head.weight"].shape[1]
        hidden = before["model.blocks.0.mlp.fc1.weight"].shape[0]
        expected = 6 * 2 * ((width + 3 * width) + 2 * width + 2 * (width + hidden)) + 2 * width + 2
        assert report.learned == expected

    def test_a_preprocessor_that_was_used_in_inference_mode(self):
        ready = preprocess()
        with torch.inference_mode():
            ready(textures(4).pixels)
        assert finetune(make("resnet10t"), ready, textures(2), FinetuneOptions(learning="all", **QUICK)).steps == 4


class TestDeterminism:
    @pytest.mark.parametrize(("name", "learning"), [("test_vit", "adapters"), ("resnet10t", "all")])
    def test_to_the_bit(self, name, learning):
        found = []
        for _ in range(2):
            network = make(name, drop_path_rate=0.2)
            torch.rand(5)
            augment = parse_augmentation("dihedral+randaugment+mixup")
            options = FinetuneOptions(learning=learning, **{**QUICK, "augment": augment})
            found.append((finetune(network, preprocess(), textures(3), options), state(network)))
        (first, one), (second, other) = found
        assert first == second
        assert all(torch.equal(one[name], other[name]) for name in one)

    def test_other_seeds_learn_otherwise(self):
        losses = [finetune(make(), preprocess(), textures(3), FinetuneOptions(**QUICK, seed=seed)).losses for seed in (0, 1)]
        assert losses[0] != losses[1]

    def test_tiles_on_disk_are_as_those_in_memory(self, tmp_path):
        import cv2

        tiles = textures(3)
        paths = tuple(tmp_path / f"{name}.png" for name in tiles.tile_ids)
        for path, tile in zip(paths, tiles.pixels, strict=True):
            cv2.imwrite(str(path), tile.transpose(1, 2, 0)[..., ::-1])
        on_disk = FinetuneTiles(PixelsOnDisk(paths), tiles.targets, tiles.tile_ids)
        losses = [finetune(make(), preprocess(), given, FinetuneOptions(**QUICK)).losses for given in (tiles, on_disk)]
        assert losses[0] == losses[1]


STOPPING = {**QUICK, "steps": 40, "batch_size": 10}


class TestEarlyStopping:
    def test_the_best_step_is_kept(self):
        # The validation tiles have the wrong labels: the better the training, the worse they fare.
        validation = textures(6, seed=5, name="held")
        wrong = FinetuneTiles(validation.pixels, validation.targets[:, ::-1], validation.tile_ids)
        network = make()
        report = finetune(network, preprocess(), textures(5), FinetuneOptions(learning="all", **STOPPING), validation=wrong)
        losses = [loss for _, loss in report.validation]
        assert report.best_step == report.validation[int(np.argmin(losses))][0]
        assert [step for step, _ in report.validation] == list(range(2, report.steps + 1, 2))
        assert report.steps == report.best_step + 10  # 5 looks without a better one
        assert report.steps < 40
        with torch.inference_mode():
            logits = network(preprocess()(wrong.pixels))
            found = torch.nn.functional.cross_entropy(logits, torch.from_numpy(wrong.targets.copy()))
        assert float(found) == pytest.approx(min(losses), abs=1e-5)

    def test_classes_weigh_the_same_in_it(self):
        validation = textures(6, seed=5, name="held")
        rows = np.array([0, 6, 7, 8, 9])
        skewed = FinetuneTiles(validation.pixels[rows], validation.targets[rows], [validation.tile_ids[i] for i in rows])
        network = make()
        options = FinetuneOptions(**{**STOPPING, "steps": 1})
        report = finetune(network, preprocess(), textures(5), options, validation=skewed)
        with torch.inference_mode():
            logs = -network(preprocess()(skewed.pixels)).log_softmax(dim=1)
        by_hand = (logs[0, 0] + logs[1:, 1].mean()) / 2
        assert report.validation == ((1, pytest.approx(float(by_hand), abs=1e-5)),)

    def test_never_with_4_tiles_of_a_class(self):
        report = finetune(make(), preprocess(), textures(4), FinetuneOptions(**QUICK), validation=textures(3, name="held"))
        assert report.validation == ()
        assert (report.steps, report.best_step) == (4, None)
        assert report.notes == ("early stopping is off: a class has 4 tiles, and it wants 5 or more",)

    def test_copies_do_not_count(self):
        tiles = textures(4)
        twice = FinetuneTiles(np.tile(tiles.pixels, (2, 1, 1, 1)), np.tile(tiles.targets, (2, 1)), [*tiles.tile_ids] * 2)
        report = finetune(make(), preprocess(), twice, FinetuneOptions(**QUICK), validation=textures(3, name="held"))
        assert report.notes[0].startswith("early stopping is off")

    def test_not_asked_for(self):
        options = FinetuneOptions(**QUICK, early_stopping=False)
        report = finetune(make(), preprocess(), textures(5), options, validation=textures(3, name="held"))
        assert (report.validation, report.notes) == ((), ())

    def test_tiles_that_are_in_both(self):
        with pytest.raises(LeakageError, match=r"^tile tile0 is in both the training and the validation tiles; hold out"):
            finetune(make(), preprocess(), textures(5), FinetuneOptions(**QUICK), validation=textures(1))


class TestBadInput:
    def test_a_class_is_missing(self):
        tiles = textures(2)
        one = FinetuneTiles(tiles.pixels[:2], tiles.targets[:2], tiles.tile_ids[:2])
        with pytest.raises(InputError, match="no tile of class number 1 to learn from"):
            finetune(make(), preprocess(), one, FinetuneOptions(**QUICK))

    def test_other_classes_than_the_networks(self):
        with pytest.raises(InputError, match="the training tiles are of 2 classes, and the network tells 3 apart"):
            finetune(make(classes=3), preprocess(), textures(2), FinetuneOptions(**QUICK))

    def test_a_learning_rate_that_is_far_too_high(self):
        with pytest.raises(ModelError) as caught:
            finetune(make(), preprocess(), textures(2), FinetuneOptions(learning="all", **{**QUICK, "learning_rate": 1e30}))
        assert str(caught.value).startswith("the loss at step ")
        assert str(caught.value).endswith(" is no number, in float32 with the learning rate 1e+30; pass a lower learning rate")

    def test_weights_that_are_no_numbers(self):
        network = make()
        torch.nn.init.constant_(network.classifier.weight, float("nan"))
        with pytest.raises(ModelError, match=r"^the loss at step 1 is no number, in bfloat16 .*, or the precision float32$"):
            finetune(network, preprocess(), textures(2), FinetuneOptions(**{**QUICK, "precision": "bfloat16"}))

    def test_an_augmentation_that_does_not_suit(self):
        bands = FinetuneTiles(np.zeros((2, 5, SIDE, SIDE), np.uint16), np.eye(2), ["a", "b"])
        with pytest.raises(InputError, match="randaugment works on 3 bands of uint8, and these tiles have 5 of uint16"):
            finetune(make(), preprocess(), bands, FinetuneOptions(**{**QUICK, "augment": parse_augmentation("randaugment")}))

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"learning": "probe"}, "`learning='probe'` cannot be; known are adapters, all"),
            ({"steps": 0}, "`steps=0` is too small; pass 1 or more"),
            ({"rank": 0}, "`rank=0` is too small"),
            ({"learning_rate": 0.0}, "learning rates of 0 and 0.001 are not both above 0"),
            ({"learning_rate": float("nan")}, "`learning_rate=nan` is not a number"),
            ({"weight_decay": -1.0}, "a weight decay of -1 cannot be"),
            ({"warmup": 1.5}, "warmup 1.5 and dropout 0 are shares"),
        ],
    )
    def test_options(self, options, message):
        with pytest.raises(InputError, match=message):
            FinetuneOptions(**options)


class TestSchedule:
    def test_a_rise_and_half_a_cosine(self):
        shares = [learning_rate_share(step, 10, 0.2) for step in range(10)]
        assert shares[:3] == [0.5, 1.0, 1.0]
        assert shares[6] == pytest.approx(0.5)
        assert shares == [*shares[:2], *sorted(shares[2:], reverse=True)]
        assert 0 < shares[-1] < 0.05

    @pytest.mark.parametrize("warmup", [0.0, 1.0])
    def test_at_the_ends(self, warmup):
        shares = [learning_rate_share(step, 4, warmup) for step in range(4)]
        assert shares[0] == (0.25 if warmup else 1.0)
        assert max(shares) == 1.0

    def test_groups(self):
        network = make()
        names = dict(network.named_parameters())
        optimiser = make_optimiser(
            names,
            learning_rate=0.01,
            weight_decay=0.1,
            head=frozenset({"model.head.weight", "model.head.bias"}),
            head_learning_rate=0.05,
            undecayed=frozenset({"model.pos_embed"}),
        )
        set_learning_rate(optimiser, 0.5)
        found = {id(p): (group["lr"], group["weight_decay"]) for group in optimiser.param_groups for p in group["params"]}
        assert len(found) == len(names)
        expected = {
            "model.head.weight": (0.025, 0.1),
            "model.head.bias": (0.025, 0),
            "model.pos_embed": (0.005, 0),
            "model.blocks.0.norm1.weight": (0.005, 0),
            "model.blocks.0.attn.qkv.weight": (0.005, 0.1),
        }
        for name, numbers in expected.items():
            assert found[id(names[name])] == pytest.approx(numbers), name


class TestPrecision:
    def test_as_asked_for(self):
        assert pick_precision(CPU, "float32") is None
        assert pick_precision(CPU, "bfloat16") == torch.bfloat16

    @pytest.mark.parametrize(
        ("level", "has", "expected"),
        [
            ("AVX512", {"amx_bf16": True}, torch.bfloat16),
            ("AVX512", {"avx512_bf16": True}, torch.bfloat16),
            ("AVX512", {"avx512_f": True}, None),
            ("AVX2", {"avx512_bf16": True}, None),
            ("DEFAULT", {}, None),
        ],
    )
    def test_as_the_processor_can(self, monkeypatch, level, has, expected):
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: level)
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has, raising=False)
        assert pick_precision(CPU) == expected

    def test_torch_that_has_no_public_list(self, monkeypatch):
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
        monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False, raising=False)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True, raising=False)
        assert pick_precision(CPU) == torch.bfloat16
        monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
        assert pick_precision(CPU) is None

    def test_of_other_devices(self):
        assert pick_precision(torch.device("meta")) is None
