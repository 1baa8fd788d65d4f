import numpy as np
import pytest
import torch

from spurgekit.diffusion.pretraining.crop_pool import CropPool, GroundPiece
from spurgekit.diffusion.pretraining.ground_words import GroundWords
from spurgekit.diffusion.pretraining.new_model import load_parts, new_backbone, save_pipeline
from spurgekit.diffusion.pretraining.pretraining import CHECKPOINT, Pretraining
from spurgekit.diffusion.pretraining.pretraining_options import PretrainingOptions
from spurgekit.diffusion.pretraining.sampling import paint, round_trip
from spurgekit.diffusion.pretraining.unet_sizes import UNET_SIZES, UnetSize
from spurgekit.errors import InputError, ModelError
from tests.stops import StopAfter

RUN = {"settings": "these"}


def drawn_pieces():
    """Draw tiles of bright sand and of dark weed."""
    rng = np.random.default_rng(0)
    pieces = []
    for number in range(16):
        colour = (210, 180, 120) if number % 2 else (50, 110, 40)
        tile = rng.normal(colour, 10, (32, 32, 3)).clip(0, 255).astype(np.uint8)
        pieces.append(GroundPiece(str(number), "dune", "", 1, lambda tile=tile: (tile, np.ones((32, 32), np.bool_))))
    return pieces


@pytest.fixture(scope="module")
def parts(tiny):
    return load_parts(tiny, tiny)


@pytest.fixture(scope="module")
def ground(backbone, tmp_path_factory):
    """Encoded tiles of bright sand and of dark weed."""
    pool = CropPool(tmp_path_factory.mktemp("pool"), drawn_pieces(), range(8), crop_px=32, size_px=64, count=1000)
    pool.fill(backbone, None)
    return pool, GroundWords.learn(pool.colours, kinds=2)


@pytest.fixture
def quick(parts, ground, least):
    """Return a training that takes seconds."""

    def make(**given):
        options = PretrainingOptions(
            **{"steps": 7, "batch": 4, "unet": least, "save_every": 2, "validate_every": 3, "warmup_steps": 0,
               "learning_rate": 2e-3, "precision": "float32", "device": "cpu", **given}
        )  # fmt: skip
        model = new_backbone(parts, options, 64, torch.device("cpu"))
        return Pretraining(model, *ground, options)

    return make


def looked(backbone, done):
    """Find what depends on the mean weights, which stand in the model."""
    return {"step": done, "weight": float(backbone.unet.conv_in.weight.detach().double().sum())}


def run(training, folder, look=looked, **given):
    return training.run(folder, training.resume(folder, RUN), RUN, look, **given)


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_loss_falls(quick, tmp_path):
    history = run(quick(steps=120, batch=8), tmp_path)
    assert history.losses[-20:].mean() < 0.8 * history.losses[:20].mean()


def test_both_unet_and_text_encoder_learn_and_the_vae_does_not(quick, tmp_path):
    training = quick(steps=2)
    before = [{name: value.clone() for name, value in module.state_dict().items()} for module in training.backbone.modules]
    run(training, tmp_path)
    moved = [
        any(not torch.equal(value, values[name]) for name, value in module.state_dict().items())
        for module, values in zip(training.backbone.modules, before, strict=True)
    ]
    assert moved == [True, False, True]  # UNet, VAE, text encoder
    assert not any(weight.requires_grad for module in training.backbone.modules for weight in module.parameters())


def test_stopped_and_gone_on_with_gives_the_same_bytes(quick, tmp_path):
    whole = quick()
    history = run(whole, tmp_path / "whole")
    save_pipeline(whole.backbone, tmp_path / "whole")
    for steps in (5, 3):  # after the checkpoint of step 4, and before another
        with pytest.raises(KeyboardInterrupt):
            run(quick(), tmp_path / "stopped", progress=StopAfter(steps))
    resumed = quick()
    again = run(resumed, tmp_path / "stopped")
    save_pipeline(resumed.backbone, tmp_path / "stopped")
    assert contents(tmp_path / "whole") == contents(tmp_path / "stopped")
    assert torch.equal(history.losses, again.losses)
    assert [one["step"] for one in again.judged] == [3, 6, 7]
    assert history.judged == again.judged


def test_a_shorter_run_is_the_beginning_of_a_longer_one(quick, tmp_path):
    long = run(quick(steps=6, validate_every=3), tmp_path / "long")
    first = run(quick(steps=3, validate_every=3), tmp_path / "two")
    second = run(quick(steps=6, validate_every=3), tmp_path / "two")
    assert torch.equal(first.losses, long.losses[:3])
    assert contents(tmp_path / "long") == contents(tmp_path / "two")
    assert second.judged == long.judged


def test_a_run_whose_minutes_are_over_ends_as_one_of_so_many_steps(quick, tmp_path):
    hurried = run(quick(steps=6, minutes=1e-9), tmp_path / "hurried")
    short = run(quick(steps=1), tmp_path / "short")
    assert hurried.step == 1
    assert [one["step"] for one in hurried.judged] == [1]
    assert contents(tmp_path / "hurried") == contents(tmp_path / "short")
    assert torch.equal(hurried.losses, short.losses)


@pytest.fixture
def one_level():
    """Name of a UNet of one level, whose compilation takes the fewest kernels."""
    size = UNET_SIZES.register(UnetSize("one level", "for tests", (32,), text_width=32, text_layers=1))
    yield size.name
    UNET_SIZES.unregister(size.name)


def test_a_compiled_model_learns_the_same_and_goes_on_to_the_same_bytes(quick, one_level, tmp_path):
    how = {"steps": 4, "validate_every": 0, "unet": one_level}
    plain = run(quick(**how), tmp_path / "plain")
    whole = run(quick(**how, compile=True), tmp_path / "whole")
    torch.testing.assert_close(whole.losses, plain.losses, rtol=1e-3, atol=0)
    with pytest.raises(KeyboardInterrupt):
        run(quick(**how, compile=True), tmp_path / "stopped", progress=StopAfter(3))
    run(quick(**how, compile=True), tmp_path / "stopped")
    assert contents(tmp_path / "whole") == contents(tmp_path / "stopped")


def test_a_run_that_has_gone_further_is_not_cut_short(quick, tmp_path):
    run(quick(steps=4), tmp_path)
    with pytest.raises(InputError, match=r"the run has done 4 steps; pass `steps=4` to end it there, or more to go on"):
        run(quick(steps=3), tmp_path)
    assert run(quick(steps=4), tmp_path).step == 4


def test_how_long_a_step_takes_is_measured_without_a_trace(quick, tmp_path):
    plain, timed = quick(steps=3), quick(steps=3)
    assert timed.seconds_each() > 0
    assert torch.equal(run(plain, tmp_path / "a").losses, run(timed, tmp_path / "b").losses)


def test_the_model_that_is_left_is_the_mean(quick, tmp_path):
    training = quick(steps=5)
    history = run(training, tmp_path)
    assert looked(training.backbone, 5)["weight"] == history.judged[-1]["weight"]
    trained = torch.cat([mean.flatten() for mean in training.average.means])
    kept = torch.cat([weight.flatten() for weight in training.parameters])
    assert not torch.equal(trained, kept)


def test_prompts_are_learned(tiny, weights, least, tmp_path):
    """Crops of sand and weed through a real VAE: what is painted is as bright as the prompt says."""
    options = PretrainingOptions(steps=300, batch=16, unet=least, learning_rate=2e-3, warmup_steps=20, validate_every=0,
                                 device="cpu", precision="float32", kinds=2)  # fmt: skip
    model = new_backbone(load_parts(weights / "taesd", tiny), options, 32, torch.device("cpu"))
    pool = CropPool(tmp_path, drawn_pieces(), range(8), crop_px=32, size_px=32, count=1000)
    pool.fill(model, None)
    training = Pretraining(model, pool, GroundWords.learn(pool.colours, kinds=2), options)
    run(training, tmp_path, lambda *_: {})
    bright, dark = (
        paint(model, [f"a drone photo of {words} ground, dune"] * 8, range(8), 32) for words in ("bright brown", "dark green")
    )
    assert np.shape(bright) == (8, 32, 32, 3)
    assert np.mean(bright) > np.mean(dark) + 40


def test_painting_depends_on_the_seed_alone(quick):
    model = quick().backbone
    both, (alone,) = paint(model, ["a", "a"], [5, 6], 32), paint(model, ["a"], [6], 32)
    assert np.abs(alone.astype(int) - both[1]).max() <= 1  # sums are rounded otherwise in another batch
    assert not np.array_equal(both[0], both[1])


def test_a_weak_edit_is_near_the_round_trip(quick):
    model = quick().backbone
    tile = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    (trip,) = round_trip(model, [tile])
    weak, strong = (paint(model, [""], [0], 32, pictures=[tile], strength=strength)[0].astype(int) for strength in (0.05, 0.9))
    assert np.abs(weak - trip).mean() < np.abs(strong - trip).mean()


def test_a_loss_that_is_not_finite(quick, tmp_path):
    training = quick()
    training.backbone.unet.conv_in.bias.data[:] = float("nan")
    with pytest.raises(ModelError, match=r"the loss is not a number at step 1; pass a smaller `learning_rate`$"):
        run(training, tmp_path)


def test_the_checkpoint_of_another_run(quick, tmp_path):
    run(quick(steps=2), tmp_path)
    with pytest.raises(ModelError, match="is the checkpoint of a training with other settings; delete it to start again"):
        quick().resume(tmp_path, {"settings": "others"})


def test_a_damaged_checkpoint(quick, tmp_path):
    run(quick(steps=2), tmp_path)
    file = tmp_path / CHECKPOINT
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(ModelError, match="is damaged; delete it to start again"):
        quick().resume(tmp_path, RUN)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"steps": 0}, "`steps=0` is too small; pass 1 or more"),
        ({"crops": 0}, "`crops=0` is too small"),
        ({"learning_rate": 0.0}, "a learning rate of 0 cannot be"),
        ({"snr_gamma": 0.0}, "`snr_gamma=0` cannot be; pass a number above 0, or inf"),
        ({"ema_width": 0.5}, "`ema_width=0.5` is no share that weights are averaged over"),
        ({"prompt_dropout": 1.0}, "`prompt_dropout=1` is no share below 1"),
        ({"unet": "smal"}, "there is no size of a UNet 'smal', did you mean small?"),
        ({"prediction_type": "sample"}, "`prediction_type='sample'` cannot be; known are v_prediction, epsilon"),
    ],
)
def test_options_that_cannot_be(given, said):
    with pytest.raises(InputError) as caught:
        PretrainingOptions(**given)
    assert said in str(caught.value)
