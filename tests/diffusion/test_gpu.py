"""What must not change on a GPU: images, but for rounding; and what only a GPU shows: half precision, memory that runs out."""

import numpy as np
import pytest
import torch

from spurgekit.diffusion.concepts import Concept, save_concept
from spurgekit.seeds import seed_of

pytestmark = pytest.mark.gpu

DEVICE = "cuda"
PROMPT = "a drone photo of <leafy_spurge>"


@pytest.fixture(scope="module", autouse=True)
def exact():
    """Have convolutions and products in float32 counted in float32, as on a CPU, not in TF32."""
    convolutions, products = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = convolutions, products


@pytest.fixture(scope="module")
def load(tiny):
    """Return a function that loads the small Stable Diffusion on a device."""
    from spurgekit.diffusion.load import load_backbone

    return lambda device, precision: load_backbone(tiny, device=device, precision=precision)


@pytest.fixture(scope="module")
def unit(tmp_path_factory, tiny):
    """Return edits of two tiles by a concept."""
    from PIL import Image

    from spurgekit.diffusion.render import Edit, EditUnit

    folder = tmp_path_factory.mktemp("tiles")
    rng = np.random.default_rng(0)
    for name in "ab":
        coarse = Image.fromarray(rng.integers(40, 200, (10, 10, 3), np.uint8))
        coarse.resize((50, 50), Image.Resampling.BICUBIC).save(folder / f"{name}.png")
    concept = folder / "concept.safetensors"
    save_concept(Concept("<leafy_spurge>", (torch.randn(1, 32, generator=torch.Generator().manual_seed(0)),)), concept)

    def edits(count):
        return EditUnit(
            tuple(
                Edit(
                    id=str(i), source=folder / f"{'ab'[i % 2]}.png", prompt=PROMPT, seed=seed_of("gpu", i), concepts=(concept,)
                )
                for i in range(count)
            ),
            "edit",
            0.5,
        )

    return edits


def rendered(backbone, unit, **given):
    from spurgekit.diffusion.render import Renderer, RenderOptions

    return Renderer(backbone, RenderOptions(steps=8), **given).render(unit)


def pixels(result):
    return np.stack(result.images).astype(int)


def test_makes_the_images_of_a_cpu(load, unit):
    here = pixels(rendered(load("cpu", "float32"), unit(3)))
    there = pixels(rendered(load(DEVICE, "float32"), unit(3)))
    assert np.abs(here - there).max() <= 1  # of 255: what is between two greys may be rounded either way


def test_a_batch_makes_the_images_that_each_would_be_alone(load, unit):
    backbone = load(DEVICE, "float32")
    together = pixels(rendered(backbone, unit(4)))
    for number in range(4):
        one = unit(4)
        alone = pixels(rendered(backbone, type(one)(one.edits[number : number + 1], one.mode, one.strength)))
        assert np.abs(together[number] - alone[0]).max() <= 1


@pytest.mark.parametrize(("precision", "mean_error"), [("float16", 1), ("bfloat16", 6)])
def test_half_precision_gives_nearly_these_images_and_no_nan(load, unit, precision, mean_error):
    exact = pixels(rendered(load(DEVICE, "float32"), unit(3)))
    half = rendered(load(DEVICE, precision), unit(3))
    assert half.redone_in_float32 == 0
    assert np.abs(pixels(half) - exact).mean() <= mean_error


def test_auto_takes_half_precision_on_a_gpu(load):
    assert load(DEVICE, "auto").dtype in (torch.float16, torch.bfloat16)


def test_a_batch_that_does_not_fit_is_halved_and_makes_the_same_images(load, unit):
    backbone = load(DEVICE, "float32")

    def peak(count):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        result = rendered(backbone, unit(count))
        return torch.cuda.max_memory_reserved(), result

    peak(1)  # warm
    few, _ = peak(8)
    many, whole = peak(64)
    torch.cuda.empty_cache()
    said = []
    torch.cuda.set_per_process_memory_fraction((few + many) / 2 / torch.cuda.get_device_properties(0).total_memory)
    try:
        halved = rendered(backbone, unit(64), warn=said.append)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert whole.batch_size == 64
    assert 1 <= halved.batch_size < 64
    assert any("out of GPU memory" in text for text in said)
    assert np.abs(pixels(halved) - pixels(whole)).max() <= 1


def test_words_are_learned_in_bfloat16_where_the_model_is_float16(load, unit, tmp_path):
    from spurgekit.diffusion.textual_inversion.inversion import invert
    from spurgekit.diffusion.textual_inversion.inversion_options import InversionOptions
    from spurgekit.diffusion.textual_inversion.training_samples import InversionTask

    tiles = tuple(dict.fromkeys(edit.source for edit in unit(2).edits))
    tasks = [InversionTask(key=key, token=f"<{key}>", images=tiles, init="plant") for key in ("one", "two")]
    said = []
    learned = invert(load(DEVICE, "float16"), tasks, InversionOptions(steps=3, validate_every=0), tmp_path, warn=said.append)
    assert any("bfloat16" in text for text in said)
    for task in learned.values():
        (rows,) = task.concept.vectors
        assert rows.isfinite().all()
    assert not torch.equal(learned["one"].concept.vectors[0], learned["two"].concept.vectors[0])
