"""The loop of steps gives what the pipelines of diffusers give, image by image."""

import pytest
import torch

from spurgekit.diffusion.edits import steps_of
from spurgekit.diffusion.latent_model import Posterior
from spurgekit.diffusion.noise import draw, generators_of
from spurgekit.diffusion.prompt_embeddings import Conditions
from spurgekit.diffusion.prompts import joined
from spurgekit.diffusion.sampler import Hole, denoise
from spurgekit.diffusion.schedulers import SCHEDULERS
from spurgekit.errors import InputError
from tests.diffusion.pipelines import SIDE, backbone_of, load_pipeline, scheduled
from tests.diffusion.tiny import UNET_TERMS, make_taesd
from tests.rounding import assert_close

PROMPTS = ["a photo of a plant", "grassland from above"]
NEGATIVE = ["snow", "a road"]
SEEDS = [7, 8]
STEPS = 6
SOME = ["dpm++", "pndm", "ddim", "euler", "euler-a"]


@pytest.fixture(scope="module")
def images():
    """Two pictures from 0 to 1."""
    return torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def mask():
    """An L, the same for both pictures."""
    mask = torch.zeros(1, 1, SIDE, SIDE)
    mask[..., 16:, 8:40] = 1
    mask[..., 48:, 8:] = 1
    return mask


@pytest.fixture(scope="module")
def img2img(tiny):
    return load_pipeline(tiny, "StableDiffusionImg2ImgPipeline")


def assert_same(found, wanted):
    assert found.shape == wanted.shape
    assert_close(found, wanted, terms=UNET_TERMS)


def plain(pipeline, **arguments):
    """Latents of both prompts as the pipeline makes them."""
    given = {"prompt": PROMPTS, "negative_prompt": NEGATIVE, "num_inference_steps": STEPS, "guidance_scale": 7.5}
    return pipeline(**{**given, **arguments}, generator=generators_of(SEEDS), output_type="latent").images


def encoded(backbone, images):
    """What the encoder makes of images, one by one."""
    found = [backbone.encode(image[None]) for image in images]
    return Posterior(torch.cat([one.mean for one in found]), torch.cat([one.std for one in found]))


def ours(pipeline, scheduler, rows=(0, 1), *, image=None, hole=None, guidance=7.5, **options):
    """The same of some of the prompts."""
    backbone = backbone_of(pipeline)
    conditions = Conditions(backbone)
    return denoise(
        backbone,
        scheduler,
        joined([conditions.of(PROMPTS[row], ()) for row in rows]),
        joined([conditions.of(NEGATIVE[row], ()) for row in rows]),
        generators_of([SEEDS[row] for row in rows]),
        steps=STEPS,
        guidance=guidance,
        size_px=SIDE,
        image=None if image is None else encoded(backbone, 2 * image[list(rows)] - 1),
        hole=hole,
        **options,
    )


@pytest.mark.parametrize("name", SCHEDULERS)
def test_edits(img2img, images, name):
    pipeline, scheduler = scheduled(img2img, name)
    assert_same(ours(pipeline, scheduler, image=images, strength=0.7), plain(pipeline, image=images, strength=0.7))


@pytest.mark.parametrize("strength", [0.17, 1.0])
def test_edits_of_the_least_and_the_greatest_strength(img2img, images, strength):
    pipeline, scheduler = scheduled(img2img, "dpm++")
    assert_same(ours(pipeline, scheduler, image=images, strength=strength), plain(pipeline, image=images, strength=strength))


def test_a_scheduler_serves_again(img2img, images):
    pipeline, scheduler = scheduled(img2img, "pndm")
    first = ours(pipeline, scheduler, image=images, strength=0.5)
    assert torch.equal(ours(pipeline, scheduler, image=images, strength=0.5), first)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_images_from_noise_alone(tiny, name):
    pipeline, scheduler = scheduled(load_pipeline(tiny, "StableDiffusionPipeline"), name)
    assert_same(ours(pipeline, scheduler), plain(pipeline, height=SIDE, width=SIDE))


@pytest.mark.parametrize("name", SOME)
@pytest.mark.parametrize("strength", [0.7, 1.0])
@pytest.mark.parametrize("channels", [4, 9])
def test_edits_within_a_mask(tiny, tiny_inpaint, images, mask, name, strength, channels):
    folder = tiny if channels == 4 else tiny_inpaint
    pipeline, scheduler = scheduled(load_pipeline(folder, "StableDiffusionInpaintPipeline"), name)
    around = encoded(backbone_of(pipeline), (2 * images - 1) * (mask < 0.5)) if channels == 9 else None
    hole = Hole(mask[..., ::8, ::8].repeat(2, 1, 1, 1), around)
    assert_same(
        ours(pipeline, scheduler, image=images, hole=hole, strength=strength),
        plain(pipeline, image=images, mask_image=mask, strength=strength, height=SIDE, width=SIDE),
    )


@pytest.mark.parametrize("name", SOME)
def test_edits_of_sdxl(tiny_xl, images, name):
    pipeline, scheduler = scheduled(load_pipeline(tiny_xl, "StableDiffusionXLImg2ImgPipeline"), name)
    assert_same(ours(pipeline, scheduler, image=images, strength=0.7), plain(pipeline, image=images, strength=0.7))


def test_images_of_sdxl_from_noise_alone(tiny_xl):
    pipeline, scheduler = scheduled(load_pipeline(tiny_xl, "StableDiffusionXLPipeline"), "euler")
    assert_same(ours(pipeline, scheduler), plain(pipeline, height=SIDE, width=SIDE))


def test_nothing_unwanted_is_told_to_sdxl_as_it_was_trained(tiny_xl, images):
    pipeline, scheduler = scheduled(load_pipeline(tiny_xl, "StableDiffusionXLImg2ImgPipeline"), "euler")
    backbone = backbone_of(pipeline)
    conditions = Conditions(backbone)
    found = denoise(
        backbone,
        scheduler,
        joined([conditions.of(prompt, ()) for prompt in PROMPTS]),
        joined([conditions.of_nothing()] * 2),
        generators_of(SEEDS),
        steps=STEPS,
        guidance=7.5,
        size_px=SIDE,
        strength=0.7,
        image=encoded(backbone, 2 * images - 1),
    )
    assert_same(found, plain(pipeline, image=images, strength=0.7, negative_prompt=None))


def test_an_encoder_that_is_certain_draws_nothing(tiny, images):
    pipeline, scheduler = scheduled(load_pipeline(tiny, "StableDiffusionImg2ImgPipeline", vae=make_taesd()), "ddim")
    assert_same(ours(pipeline, scheduler, image=images, strength=0.5), plain(pipeline, image=images, strength=0.5))


@pytest.mark.parametrize(("guidance", "rows"), [(1.0, 2), (0.0, 2), (1.5, 4)])
def test_no_guidance_takes_one_pass_a_step(img2img, images, guidance, rows):
    pipeline, scheduler = scheduled(img2img, "dpm++")
    seen = []

    def unet(latents, *arguments, **named):
        seen.append(len(latents))
        return pipeline.unet(latents, *arguments, **named)

    found = ours(pipeline, scheduler, image=images, strength=0.7, guidance=guidance, unet=unet)
    assert seen == [rows] * 4
    assert_same(found, plain(pipeline, image=images, strength=0.7, guidance_scale=guidance))


@pytest.mark.parametrize("name", ["dpm++", "euler-a"])
def test_a_batch_equals_single_images(img2img, images, name):
    pipeline, scheduler = scheduled(img2img, name)
    together = ours(pipeline, scheduler, image=images, strength=0.7)
    alone = [ours(pipeline, scheduler, [row], image=images, strength=0.7) for row in range(2)]
    assert_same(together, torch.cat(alone))


class Rounding:
    """A scheduler that leaves latents in bfloat16, as pipelines in half precision do."""

    def __init__(self, scheduler):
        self.scheduler = scheduler

    def __getattr__(self, name):
        return getattr(self.scheduler, name)

    def step(self, predicted, step, latents, return_dict):
        return (self.scheduler.step(predicted, step, latents, return_dict=return_dict)[0].bfloat16().float(),)


def test_latents_stay_in_float32_beside_a_unet_in_half_precision(img2img, images):
    pipeline, scheduler = scheduled(img2img, "euler")
    exact = backbone_of(pipeline)
    half = exact.in_dtype(torch.bfloat16)

    def latents(backbone, scheduler):
        conditions = Conditions(exact)
        told = joined([conditions.of(prompt, ()) for prompt in PROMPTS])
        found = denoise(backbone, scheduler, told, None, generators_of(SEEDS), steps=50, guidance=1.0, size_px=SIDE)
        assert found.dtype == torch.float32
        return found

    wanted = latents(exact, scheduler)
    kept, rounded = (latents(half, one) - wanted for one in (scheduler, Rounding(scheduler)))
    assert kept.abs().mean() < rounded.abs().mean() / 2


def test_noise_is_the_generators_own():
    first, second = draw(generators_of([3, 4]), (4, 8, 8), torch.device("cpu"))
    assert torch.equal(first, torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(3))[0])
    assert torch.equal(second, torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(4))[0])


def test_steps():
    assert [steps_of(25, strength) for strength in (0.04, 0.5, 0.999, 1)] == [1, 12, 24, 25]


@pytest.mark.parametrize(
    ("steps", "strength", "message"),
    [
        (25, 0.03, "a strength of 0.03 is less than one of 25 steps; pass a strength of 0.04 or more, or `steps=34`"),
        (3, 0.3, "a strength of 0.3 is less than one of 3 steps; pass a strength of 0.334 or more, or `steps=4`"),
        (25, 0.0, "a strength of 0 cannot be; pass a number above 0, at most 1"),
        (25, 1.2, "a strength of 1.2 cannot be; pass a number above 0, at most 1"),
        (25, float("nan"), "a strength of nan cannot be; pass a number above 0, at most 1"),
    ],
)
def test_strengths_that_leave_no_step(steps, strength, message):
    with pytest.raises(InputError) as error:
        steps_of(steps, strength)
    assert str(error.value) == message


def test_a_unet_that_takes_a_mask_is_not_run_without(tiny_inpaint):
    pipeline, scheduler = scheduled(load_pipeline(tiny_inpaint, "StableDiffusionInpaintPipeline"), "ddim")
    with pytest.raises(ValueError, match="a UNet that takes a mask needs a hole"):
        ours(pipeline, scheduler)


def test_more_steps_than_a_scheduler_takes(backbone, tmp_path):
    from PIL import Image

    from spurgekit.diffusion.render import Edit, EditUnit, Renderer, RenderOptions

    Image.new("RGB", (32, 32), (60, 90, 40)).save(tmp_path / "tile.png")
    unit = EditUnit((Edit("a", tmp_path / "tile.png"),), "edit", 1.0)
    with pytest.raises(InputError, match=r"the scheduler cannot go in 60 steps \(.*\); pass fewer `steps`"):
        Renderer(backbone, RenderOptions(steps=60, scheduler="lcm")).render(unit)
