import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from spurgekit.diffusion.concepts import load_concept
from spurgekit.diffusion.load import load_backbone
from spurgekit.diffusion.prompts import Conditioning, PromptReader
from spurgekit.diffusion.textual_inversion.denoising_loss import DenoisingLoss
from spurgekit.diffusion.textual_inversion.inversion import CHECKPOINT, InversionTask, invert
from spurgekit.diffusion.textual_inversion.inversion_options import InversionOptions
from spurgekit.errors import InputError, ModelError
from tests.stops import StopAfter

TEMPLATES = ("a drone photo of {}", "an aerial photo of {}")


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    """Small tiles of two classes: smooth sand, and sand with green dots."""
    folder = tmp_path_factory.mktemp("tiles")
    paths = {"sand": [], "weed": []}
    for name, drawn in paths.items():
        for number in range(4):
            rng = np.random.default_rng([number, len(name)])
            pixels = rng.normal((205, 170, 120), 12, (48, 48, 3))
            if name == "weed":
                for row, column in rng.integers(0, 44, (40, 2)):
                    pixels[row : row + 4, column : column + 4] = rng.normal((40, 120, 30), 10)
            drawn.append(folder / f"{name}-{number}.png")
            Image.fromarray(pixels.clip(1, 255).astype(np.uint8)).save(drawn[-1])
    return paths


@pytest.fixture(scope="module")
def attentive(backbone):
    """A small model with random weights that listens to prompts more than such models do."""
    copied = backbone.in_float32()
    for name, module in copied.unet.named_modules():
        if name.endswith("attn2"):
            module.to_out[0].weight.data *= 40
    return copied


@pytest.fixture(scope="module")
def tasks(tiles):
    return (
        InversionTask("t00-n04/weed", "<weed>", tuple(tiles["weed"]), "sand"),
        InversionTask("t00-n04/sand", "<sand>", tuple(tiles["sand"]), "leafy spurge"),
    )


def quick(**given):
    return InversionOptions(**{"steps": 6, "batch": 2, "validate_every": 0, "templates": TEMPLATES, **given})


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_loss_falls_on_each_class(attentive, tasks, tmp_path):
    learned = invert(attentive, tasks, quick(steps=50, batch=4, learning_rate=0.01), tmp_path)
    assert list(learned) == [task.key for task in tasks]
    for one in learned.values():
        assert one.loss_after < one.loss_before - 0.002
    losses = pd.read_parquet(tmp_path / "losses.parquet")
    assert losses["step"].tolist() == [step for step in range(1, 51) for _ in tasks]
    assert losses["key"].tolist() == [task.key for task in tasks] * 50
    assert losses["loss"].between(0.5, 2).all()


def test_nothing_but_the_vectors_moves(attentive, tasks, tmp_path):
    before = [{name: value.clone() for name, value in module.state_dict().items()} for module in attentive.modules]
    learned = invert(attentive, tasks, quick(), tmp_path)
    for module, values in zip(attentive.modules, before, strict=True):
        assert all(torch.equal(value, values[name]) for name, value in module.state_dict().items())
        assert all(parameter.grad is None and not parameter.requires_grad for parameter in module.parameters())
    (table,) = (encoder.get_input_embeddings().weight for encoder in attentive.text_encoders)
    sand = table[attentive.tokenizers[0]("sand", add_special_tokens=False).input_ids]
    moved = (learned["t00-n04/weed"].concept.vectors[0] - sand).abs()
    assert float(moved.min()) > 0
    assert float(moved.max()) < 6 * 2e-3  # AdamW's steps are no longer than the learning rate


def test_a_model_that_moves_is_found_out(backbone, tasks, tmp_path):
    model = backbone.in_float32()

    class Meddler:
        def __init__(self, *_):
            pass

        def __enter__(self):
            return lambda _: model.unet.conv_in.bias.data.add_(1e-3)

        def __exit__(self, *_):
            pass

    with pytest.raises(RuntimeError, match="was changed while words were learned"):
        invert(model, tasks, quick(steps=1), tmp_path, progress=Meddler)
    assert not list(tmp_path.rglob("weed.safetensors"))


def test_together_as_alone(attentive, tasks, tmp_path):
    tasks = (replace(tasks[0], templates=("{} in snow", "{} beside sand", "a plant of {}")), tasks[1])  # of other prompts
    together = invert(attentive, tasks, quick(vectors=2), tmp_path / "together")
    for task in tasks:
        alone = invert(attentive, [task], quick(vectors=2), tmp_path / task.token)[task.key]
        other = together[task.key]
        torch.testing.assert_close(alone.concept.vectors[0], other.concept.vectors[0], rtol=0, atol=2e-5)
        assert alone.loss_before == pytest.approx(other.loss_before, abs=1e-5)
        assert alone.loss_after == pytest.approx(other.loss_after, abs=1e-5)


def test_how_many_samples_at_once_changes_nothing(attentive, tasks, tmp_path):
    whole = invert(attentive, tasks, quick(), tmp_path / "whole")
    parts = invert(attentive, tasks, quick(samples_at_once=3), tmp_path / "parts")
    for key, one in whole.items():
        torch.testing.assert_close(one.concept.vectors[0], parts[key].concept.vectors[0], rtol=0, atol=2e-5)


def test_stopped_and_gone_on_with_gives_the_same_bytes(attentive, tasks, tmp_path):
    options = quick(steps=7, save_every=2, validate_every=3)
    invert(attentive, tasks, options, tmp_path / "whole")

    for _ in range(2):  # the second time before another checkpoint
        with pytest.raises(KeyboardInterrupt):
            invert(
                attentive,
                tasks,
                options,
                tmp_path / "stopped",
                progress=lambda what, _: StopAfter(5) if "learn" in what else Idle(),
            )
    assert (tmp_path / "stopped" / CHECKPOINT).is_file()
    invert(attentive, tasks, options, tmp_path / "stopped")
    whole = contents(tmp_path / "whole")
    assert contents(tmp_path / "stopped") == whole
    assert sorted(whole) == [
        "checkpoint.safetensors", "losses.parquet", "t00-n04/sand.safetensors", "t00-n04/weed.safetensors",
        "validation/step-00003.png", "validation/step-00006.png",
    ]  # fmt: skip
    again = invert(attentive, tasks, options, tmp_path / "stopped")  # done already
    assert contents(tmp_path / "stopped") == whole
    assert again["t00-n04/sand"].loss_after != again["t00-n04/sand"].loss_before


class Idle:
    def __enter__(self):
        return lambda _: None

    def __exit__(self, *_):
        pass


def test_the_checkpoint_of_another_run_is_refused(backbone, tasks, tmp_path):
    invert(backbone, tasks, quick(steps=1), tmp_path)
    with pytest.raises(InputError, match="is the checkpoint of a training with other options; delete it to start again"):
        invert(backbone, tasks, quick(steps=2), tmp_path)
    (tmp_path / CHECKPOINT).write_bytes(b"half")
    with pytest.raises(InputError, match=r"checkpoint.safetensors is damaged; delete it"):
        invert(backbone, tasks, quick(steps=1), tmp_path)


@pytest.mark.parametrize("vectors", [1, 3])
def test_plain_diffusers_paints_the_same(tiny, backbone, tasks, tmp_path, vectors):
    from diffusers import StableDiffusionPipeline

    invert(backbone, tasks, quick(steps=2, vectors=vectors), tmp_path)
    path = tmp_path / "t00-n04" / "weed.safetensors"
    pipeline = StableDiffusionPipeline.from_pretrained(tiny, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.load_textual_inversion(path)
    how = {"num_inference_steps": 2, "output_type": "np"}
    prompt = "a drone photo of <weed> beside a trail"
    theirs = pipeline(prompt, generator=torch.Generator().manual_seed(0), **how).images
    read = PromptReader(backbone).read([prompt], {"<weed>": load_concept(path)})
    ours = pipeline(prompt_embeds=read.embeds, generator=torch.Generator().manual_seed(0), **how).images
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert len(load_concept(path)) == vectors


def test_sdxl_learns_for_both_text_encoders(backbone_xl, tiny_xl, tasks, tmp_path):
    from diffusers import StableDiffusionXLPipeline

    invert(backbone_xl, tasks, quick(steps=2, validate_every=2), tmp_path)
    path = tmp_path / "t00-n04" / "weed.safetensors"
    stored = load_file(path)
    pipeline = StableDiffusionXLPipeline.from_pretrained(tiny_xl)
    pipeline.load_textual_inversion(
        stored["clip_l"], token="<weed>", text_encoder=pipeline.text_encoder, tokenizer=pipeline.tokenizer
    )
    if pipeline.tokenizer_2 is not pipeline.tokenizer:
        pipeline.load_textual_inversion(
            stored["clip_g"], token="<weed>", text_encoder=pipeline.text_encoder_2, tokenizer=pipeline.tokenizer_2
        )
    theirs = pipeline.encode_prompt("a photo of <weed>", do_classifier_free_guidance=False)
    read = PromptReader(backbone_xl).read(["a photo of <weed>"], {"<weed>": load_concept(path)})
    torch.testing.assert_close(read.embeds, theirs[0], rtol=0, atol=1e-5)
    torch.testing.assert_close(read.pooled, theirs[2], rtol=0, atol=1e-5)


def test_a_model_that_inpaints_learns_too(tiny_inpaint, tasks, tmp_path):
    model = load_backbone(tiny_inpaint, device="cpu", precision="float32")
    learned = invert(model, tasks, quick(steps=2, validate_every=2), tmp_path)
    assert all(math.isfinite(one.loss_after) for one in learned.values())


def test_a_sheet_shows_each_task(backbone, tasks, tmp_path):
    invert(backbone, tasks, quick(steps=2, validate_every=1), tmp_path)
    pages = [np.array(Image.open(tmp_path / "validation" / f"step-0000{step}.png")) for step in (1, 2)]
    assert pages[0].shape == pages[1].shape
    assert pages[0].shape[0] == 2 * (64 + 18 + 3 * 6) + 6
    assert (pages[0] != pages[1]).any()  # two words, two pictures
    np.testing.assert_array_equal(pages[0][24 + 6 : 24 + 70, :70], pages[1][24 + 6 : 24 + 70, :70])  # the tile


def test_bfloat16_learns_nearly_the_same(attentive, tasks, tmp_path):
    exact = invert(attentive, tasks, quick(), tmp_path / "exact")
    half = invert(attentive.in_dtype(torch.bfloat16), tasks, quick(), tmp_path / "half")
    for key, one in exact.items():
        assert half[key].concept.vectors[0].dtype == torch.float32
        assert half[key].loss_before == pytest.approx(one.loss_before, rel=0.01)


def test_a_model_of_float16_learns_as_a_copy(backbone, tasks, tmp_path):
    said = []
    model = backbone.in_dtype(torch.float16)
    learned = invert(model, tasks, quick(steps=1), tmp_path, warn=said.append)
    assert said == ["words are learned in float32, with a copy of the model: gradients vanish in float16"]
    assert model.unet.dtype == torch.float16
    assert all(math.isfinite(one.loss_after) for one in learned.values())


@pytest.mark.parametrize(
    ("dtype", "hint"),
    [(torch.float32, "pass a smaller `learning_rate`, or another `backbone`"), (torch.bfloat16, "pass `precision=float32`")],
)
def test_a_loss_that_is_no_number_is_said(backbone, tasks, tmp_path, dtype, hint):
    model = backbone.in_dtype(dtype)
    model.unet.conv_out.bias.data[0] = math.nan
    name = str(dtype).removeprefix("torch.")
    with pytest.raises(ModelError, match=f"the loss of t00-n04/weed is not a number at step 1 in {name}; {hint}$"):
        invert(model, tasks, quick(), tmp_path)
    assert not list(tmp_path.rglob("*.safetensors"))


class Cramped(torch.nn.Module):
    """A UNet on a GPU that holds a few samples."""

    def __init__(self, unet, most):
        super().__init__()
        self.unet = unet
        self.most = most

    def forward(self, latents, *arguments, **named):
        if len(latents) > self.most:
            raise torch.OutOfMemoryError
        return self.unet(latents, *arguments, **named)


def test_out_of_memory_takes_fewer_at_once(attentive, tasks, tmp_path):
    options = quick(batch=4)
    roomy = invert(attentive, tasks, options, tmp_path / "roomy")
    model = attentive.in_float32()
    model.unet = Cramped(model.unet, 3)
    said = []
    cramped = invert(model, tasks, options, tmp_path / "cramped", warn=said.append)
    assert said == [f"out of GPU memory: {left} samples at a time from here on, with the same result" for left in (8, 4, 2)]
    for key, one in roomy.items():
        torch.testing.assert_close(one.concept.vectors[0], cramped[key].concept.vectors[0], rtol=0, atol=2e-5)
    model.unet.most = 0
    with pytest.raises(ModelError, match="too little memory for one of the samples; pass a smaller `size_px`"):
        invert(model, tasks, options, tmp_path / "none")


def test_what_cannot_be_learned(backbone, tasks, tiles, tmp_path):
    with pytest.raises(InputError, match="nothing to learn"):
        invert(backbone, [], quick(), tmp_path)
    with pytest.raises(InputError, match="two tasks have the key t00-n04/weed"):
        invert(backbone, [tasks[0], tasks[0]], quick(), tmp_path)
    missing = InversionTask("all/weed", "<weed>", (*tiles["weed"], tmp_path / "gone.png", tmp_path / "lost.png"), "plant")
    with pytest.raises(InputError, match=r"gone.png: no such file, nor 1 more; the dataset lists it"):
        invert(backbone, [missing], quick(), tmp_path)
    with pytest.raises(InputError, match="images of 60 px do not fit the model; pass a multiple of 8"):
        invert(backbone, tasks, quick(size_px=60), tmp_path)
    with pytest.raises(InputError, match="has the token <weeds>, which was not learned"):
        invert(backbone, tasks, quick(templates=("a photo of {} by <weeds>",)), tmp_path)
    with pytest.raises(InputError, match="tokens long, and the model reads 75; shorten it"):
        invert(backbone, tasks, quick(vectors=80), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("predicts", ["epsilon", "v_prediction"])
def test_the_loss_of_a_perfect_guess_is_nothing(backbone, predicts):
    """The velocity is sqrt(a) * noise - sqrt(1 - a) * latents, where a is the share of the image's variance."""
    model = backbone.in_float32()
    model.scheduler = type(model.scheduler).from_config(model.scheduler.config, prediction_type=predicts)
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    kept = torch.cumprod(1 - betas, dim=0)
    latents, noise = torch.randn(2, 3, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    timesteps = torch.tensor([0, 500, 999])
    share = kept[timesteps].view(3, 1, 1, 1)
    seen = []

    def perfect(noisy, when, **_):
        seen.append((noisy, when))
        return (noise if predicts == "epsilon" else share.sqrt() * noise - (1 - share).sqrt() * latents,)

    model.unet = perfect
    loss = DenoisingLoss(model, 64)(latents, noise, timesteps, Conditioning(torch.zeros(3, 77, 32)))
    torch.testing.assert_close(loss, torch.zeros(3), atol=1e-9, rtol=0)
    ((noisy, when),) = seen
    assert when.tolist() == [0, 500, 999]
    torch.testing.assert_close(noisy, share.sqrt() * latents + (1 - share).sqrt() * noise)


def test_models_that_predict_something_else_are_refused(backbone):
    model = backbone.in_float32()
    model.scheduler = type(model.scheduler).from_config(model.scheduler.config, prediction_type="sample")
    with pytest.raises(ModelError, match="predicts 'sample'; words can be learned for epsilon or v_prediction"):
        DenoisingLoss(model, 64)
