"""Where a GPU, half precision, a compiler or a safety checker come to their bounds."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from spurgekit.diffusion import render as render_module
from spurgekit.diffusion.render import EditUnit, Renderer
from spurgekit.errors import ModelError
from tests.diffusion.pipelines import backbone_of, load_pipeline
from tests.diffusion.test_render import OPTIONS, differ, edits_of
from tests.diffusion.test_render import tiles as tiles
from tests.diffusion.tiny import make_taesd


@pytest.fixture
def pipeline(tiny):
    return load_pipeline(tiny, "StableDiffusionImg2ImgPipeline")


class SmallMemory(nn.Module):
    """A UNet that runs out of memory above a number of images, each of which it sees twice."""

    def __init__(self, unet, most):
        super().__init__()
        self.unet = unet
        self.most = most
        self.calls = []

    def forward(self, latents, *arguments, **named):
        self.calls.append(len(latents) // 2)
        if len(latents) > 2 * self.most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return self.unet(latents, *arguments, **named)


class Overflowing(nn.Module):
    """A UNet whose numbers become too large for one image of a batch, in half precision or in all."""

    def __init__(self, unet, row, only_in_half=True):
        super().__init__()
        self.unet = unet
        self.row = row
        self.only_in_half = only_in_half

    def forward(self, latents, *arguments, **named):
        (found,) = self.unet(latents, *arguments, **named)
        if latents.dtype == torch.bfloat16 or not self.only_in_half:
            found = found.clone()
            found[self.row] = torch.inf
        return (found,)


class TestMemory:
    def test_batches_are_halved_until_they_fit_and_stay_so(self, pipeline, tiles):
        backbone = backbone_of(pipeline)
        unit = EditUnit(edits_of(tiles), "edit", 0.5)
        wanted = Renderer(backbone, OPTIONS).render(unit)
        assert wanted.batch_size == 6
        backbone.unet = SmallMemory(backbone.unet, 2)
        warnings = []
        renderer = Renderer(backbone, OPTIONS, warn=warnings.append)
        found = renderer.render(unit)
        # 6 images do not fit, nor do 3; 1 does, at two steps each.
        assert backbone.unet.calls == [6, 3] + [1] * 12
        assert found.batch_size == 1
        assert warnings == [f"out of GPU memory: {size} images at a time from here on, with the same result" for size in (3, 1)]
        for one, other in zip(found.images, wanted.images, strict=True):
            assert differ(one, other) <= 1
        backbone.unet.calls.clear()
        renderer.render(unit)
        assert backbone.unet.calls == [1] * 12
        assert len(warnings) == 2

    def test_not_even_one_image(self, pipeline, tiles):
        backbone = backbone_of(pipeline)
        backbone.unet = SmallMemory(backbone.unet, 0)
        with pytest.raises(ModelError, match="the GPU has too little memory for one of the images; pass a smaller `size_px`"):
            Renderer(backbone, OPTIONS).render(EditUnit(edits_of(tiles[:1]), "edit", 0.5))

    def test_decoding(self, pipeline, tiles, monkeypatch):
        backbone = backbone_of(pipeline)
        decode, sizes = backbone.decode, []

        def small(latents):
            sizes.append(len(latents))
            if len(latents) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return decode(latents)

        monkeypatch.setattr(backbone, "decode", small)
        rendered = Renderer(backbone, OPTIONS).render(EditUnit(edits_of(tiles), "edit", 0.5))
        assert sizes == [4, 2, 2, 2]
        assert rendered.batch_size == 6


class TestOverflow:
    def test_images_are_made_again_in_float32_and_counted(self, pipeline, tiles):
        unit = EditUnit(edits_of(tiles[:3]), "edit", 0.5)
        exact = Renderer(backbone_of(pipeline), OPTIONS).render(unit).images
        half = backbone_of(pipeline, torch.bfloat16)
        usual = Renderer(half, OPTIONS).render(unit)
        assert usual.redone_in_float32 == 0
        half.unet = Overflowing(half.unet, 1)
        rendered = Renderer(half, OPTIONS).render(unit)
        assert rendered.redone_in_float32 == 1
        assert differ(rendered.images[0], usual.images[0]) == 0
        assert differ(rendered.images[2], usual.images[2]) == 0
        # Of weights that were rounded to bfloat16, so near the exact one and not the same.
        assert np.abs(rendered.images[1].astype(int) - exact[1].astype(int)).mean() < 3

    def test_the_copy_in_float32_is_made_once(self, pipeline, tiles, monkeypatch):
        half = backbone_of(pipeline, torch.bfloat16)
        half.unet = Overflowing(half.unet, 1)
        made = []
        in_float32 = half.in_float32
        monkeypatch.setattr(half, "in_float32", lambda: made.append(in_float32()) or made[-1])
        renderer = Renderer(half, OPTIONS)
        assert made == []
        for _ in range(2):
            assert renderer.render(EditUnit(edits_of(tiles[:2]), "edit", 0.5)).redone_in_float32 == 1
        assert len(made) == 1

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_what_is_not_finite_in_float32_either_is_named(self, pipeline, tiles, dtype):
        backbone = backbone_of(pipeline, dtype)
        backbone.unet = Overflowing(backbone.unet, 1, only_in_half=False)
        with pytest.raises(ModelError, match="the model paints no finite image for image 1, in float32 either; pass a lower"):
            Renderer(backbone, OPTIONS).render(EditUnit(edits_of(tiles[:2]), "edit", 0.5))

    def test_a_decoder_that_would_hide_it(self, tiny, tiles):
        """TAESD bends infinity to 3."""
        backbone = backbone_of(load_pipeline(tiny, "StableDiffusionImg2ImgPipeline", vae=make_taesd()))
        backbone.unet = Overflowing(backbone.unet, 0, only_in_half=False)
        with pytest.raises(ModelError, match="no finite image for image 0"):
            Renderer(backbone, OPTIONS).render(EditUnit(edits_of(tiles[:1]), "edit", 0.5))

    def test_memory_for_the_copy(self, pipeline, tiles):
        half = backbone_of(pipeline, torch.bfloat16)

        class Both(nn.Module):
            """Overflows for all images in half precision, and has too little memory for two in float32."""

            def __init__(self):
                super().__init__()
                self.unet = half.unet

            def forward(self, latents, *arguments, **named):
                (found,) = self.unet(latents, *arguments, **named)
                if latents.dtype == torch.bfloat16:
                    return (found * torch.inf,)
                if len(latents) > 2:
                    raise torch.OutOfMemoryError("CUDA out of memory.")
                return (found,)

        half.unet = Both()
        warnings = []
        rendered = Renderer(half, OPTIONS, warn=warnings.append).render(EditUnit(edits_of(tiles[:2]), "edit", 0.5))
        assert (rendered.redone_in_float32, rendered.batch_size) == (2, 2)
        assert warnings == ["out of GPU memory: 1 images in float32 at a time from here on, with the same result"]


class TestEncoding:
    def test_not_even_one_tile(self, pipeline, tiles, monkeypatch):
        backbone = backbone_of(pipeline)

        def encode(_):
            raise torch.OutOfMemoryError("CUDA out of memory.")

        monkeypatch.setattr(backbone, "encode", encode)
        with pytest.raises(ModelError, match="the GPU has too little memory for one of the encoded tiles; pass a"):
            Renderer(backbone, OPTIONS).render(EditUnit(edits_of(tiles[:1]), "edit", 0.5))


class TestSafetyChecker:
    def test_images_that_it_flags_are_kept_back(self, pipeline, tiles):
        backbone = backbone_of(pipeline)
        unit = EditUnit(edits_of(tiles), "edit", 0.5)
        wanted = Renderer(backbone, OPTIONS).render(unit).images

        class Processor:
            def __call__(self, images, **_):
                class Batch:
                    pixel_values = torch.stack([torch.from_numpy(image).float().mean()[None] for image in images])

                return Batch

        class Checker(nn.Module):
            """Flags the second image, which it knows by its mean."""

            def __init__(self):
                super().__init__()
                self.mean = nn.Parameter(torch.tensor(float(wanted[1].mean())))

            def forward(self, clip_input, images):
                return images, [bool(torch.isclose(value[0], self.mean, atol=1e-3)) for value in clip_input]

        backbone.safety_checker = (Checker(), Processor())
        images = Renderer(backbone, OPTIONS).render(unit).images
        assert [image is None for image in images] == [False, True, False, False, False, False]


class TestCompiling:
    def test_one_that_fails_is_told_once_and_done_without(self, monkeypatch):
        warnings = []

        def broken(unet):
            def call(*arguments, **named):
                raise RuntimeError("no C compiler\nand more")

            return call

        monkeypatch.setattr(torch, "compile", broken)
        unet = render_module._compiled(lambda latents: latents + 1, warnings.append)
        assert [unet(1), unet(2)] == [2, 3]
        assert warnings == ["the model cannot be compiled here (no C compiler); it goes on as it is, more slowly"]

    def test_errors_of_the_model_itself_stay_its_own(self, monkeypatch):
        def unet(latents):
            raise RuntimeError("shapes differ")

        monkeypatch.setattr(torch, "compile", lambda unet: unet)
        with pytest.raises(RuntimeError, match="shapes differ"):
            render_module._compiled(unet, lambda _: None)(1)

    def test_no_memory_is_not_a_failure_of_the_compiler(self, monkeypatch):
        warnings = []

        def compiled(latents):
            raise torch.OutOfMemoryError("CUDA out of memory.")

        monkeypatch.setattr(torch, "compile", lambda _: compiled)
        with pytest.raises(torch.OutOfMemoryError):
            render_module._compiled(lambda latents: latents, warnings.append)(1)
        assert warnings == []

    def test_on_a_cpu_nothing_is_compiled(self, pipeline, tiles, monkeypatch):
        monkeypatch.setattr(torch, "compile", lambda _: pytest.fail("compiled"))
        unit = EditUnit(edits_of(tiles[:1]), "edit", 0.5)
        Renderer(backbone_of(pipeline), replace(OPTIONS, compile=True)).render(unit)
