"""Prompts with concepts give what diffusers gives for them, and what cannot be read is refused."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spurgekit.diffusion.concepts import Concept, save_concept
from spurgekit.diffusion.load import load_backbone
from spurgekit.diffusion.prompts import PromptReader, tokens_in
from spurgekit.errors import InputError
from tests.diffusion.pipelines import load_pipeline
from tests.diffusion.tiny import TEXT_TERMS, UNET_TERMS, WIDTH, make_tiny, make_tokenizer, read_tokenizer
from tests.rounding import assert_close, rounding

PROMPTS = ["", "a drone photo", "A Drone photo, of  grassland's edge.", "snow"]


def concept(token="<leafy_spurge>", vectors=1, encoders=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Concept(token, tuple(torch.randn(vectors, WIDTH, generator=generator) for _ in range(encoders)))


def close(one, other):
    """Tell whether two encodings are the same but for rounding."""
    return torch.allclose(one, other, rtol=0, atol=rounding(other, TEXT_TERMS))


@pytest.fixture(scope="module", params=["drawn", "CLIP"])
def tokenizer(request):
    """What reads prompts: all tests here hold for the vocabulary of the small models, and for CLIP's own where it is there."""
    if request.param == "drawn":
        return make_tokenizer()
    return read_tokenizer(request.getfixturevalue("weights") / "clip_tokenizer")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, tokenizer):
    return make_tiny(tmp_path_factory.mktemp("sd") / "tiny", tokenizer=tokenizer)


@pytest.fixture(scope="module")
def tiny_xl(tmp_path_factory, tokenizer):
    return make_tiny(tmp_path_factory.mktemp("sdxl") / "tiny-xl", kind="sdxl", tokenizer=tokenizer)


@pytest.fixture(scope="module")
def backbone(tiny):
    return load_backbone(tiny, device="cpu", precision="float32")


@pytest.fixture(scope="module")
def backbone_xl(tiny_xl):
    return load_backbone(tiny_xl, device="cpu", precision="float32")


@pytest.fixture
def pipeline(tiny):
    return load_pipeline(tiny, "StableDiffusionPipeline")


@pytest.fixture
def pipeline_xl(tiny_xl):
    return load_pipeline(tiny_xl, "StableDiffusionXLPipeline")


def encoded(pipeline, prompt):
    """Return what diffusers makes of a prompt: embeddings, and for SDXL the pooled ones."""
    if hasattr(pipeline, "text_encoder_2"):
        embeds, _, pooled, _ = pipeline.encode_prompt(prompt, device="cpu", do_classifier_free_guidance=False)
        return embeds, pooled
    return pipeline.encode_prompt(prompt, "cpu", 1, do_classifier_free_guidance=False)[0], None


def load_into(pipeline, one, folder):
    """Have diffusers itself load a concept from its file."""
    save_concept(one, folder / "concept.safetensors")
    if not hasattr(pipeline, "text_encoder_2"):
        pipeline.load_textual_inversion(str(folder), weight_name="concept.safetensors", token=one.token)
        return
    from safetensors.torch import load_file

    saved = load_file(folder / "concept.safetensors")
    for key, number in (("clip_l", ""), ("clip_g", "_2")):
        parts = {
            "tokenizer": getattr(pipeline, f"tokenizer{number}"),
            "text_encoder": getattr(pipeline, f"text_encoder{number}"),
        }
        pipeline.load_textual_inversion(saved[key], token=one.token, **parts)


class TestPlainPrompts:
    def test_are_read_as_diffusers_reads_them(self, backbone, pipeline):
        found = PromptReader(backbone).read(PROMPTS, {})
        assert found.pooled is None
        for row, prompt in enumerate(PROMPTS):
            assert close(found.embeds[row : row + 1], encoded(pipeline, prompt)[0])

    def test_of_sdxl_are_too(self, backbone_xl, pipeline_xl):
        found = PromptReader(backbone_xl).read(PROMPTS, {})
        for row, prompt in enumerate(PROMPTS):
            embeds, pooled = encoded(pipeline_xl, prompt)
            assert close(found.embeds[row : row + 1], embeds)
            assert close(found.pooled[row : row + 1], pooled)

    def test_end_where_the_text_encoder_looks_for_the_end(self, backbone_xl, tokenizer):
        """Older configurations have 2 for the mark of the end, and mean the highest number, which a new token must not have."""
        one = concept(encoders=2)
        last = tokenizer.eos_token_id
        pooled = {}
        try:
            for end in (2, last, 320):
                set_end(backbone_xl.text_encoders, end)
                pooled[end] = PromptReader(backbone_xl).read([f"a photo of {one.token} in snow"], {one.token: one}).pooled
        finally:
            set_end(backbone_xl.text_encoders, last)
        assert torch.equal(pooled[2], pooled[last])
        assert not close(pooled[320], pooled[last])  # that is "a"


def set_end(encoders, end):
    """Have text encoders look for another mark of the end."""
    for encoder in encoders:
        for module in (encoder, *encoder.modules()):
            if hasattr(module, "eos_token_id"):
                module.eos_token_id = end
        encoder.config.eos_token_id = end


class TestConcepts:
    @pytest.mark.parametrize("vectors", [1, 3])
    @pytest.mark.parametrize(
        "prompt", ["a drone photo of <leafy_spurge>, in snow", "<leafy_spurge>", "x <leafy_spurge> <leafy_spurge>y"]
    )
    def test_are_read_as_diffusers_reads_their_files(self, backbone, pipeline, tmp_path, vectors, prompt):
        one = concept(vectors=vectors)
        load_into(pipeline, one, tmp_path)
        found = PromptReader(backbone).read([prompt], {one.token: one})
        assert close(found.embeds, encoded(pipeline, prompt)[0])
        plain = PromptReader(backbone).read([prompt.replace("<leafy_spurge>", "plant")], {})
        assert not close(found.embeds, plain.embeds)

    @pytest.mark.parametrize("vectors", [1, 3])
    def test_of_sdxl_are_too(self, backbone_xl, pipeline_xl, tmp_path, vectors):
        one = concept(vectors=vectors, encoders=2)
        load_into(pipeline_xl, one, tmp_path)
        prompt = "a drone photo of <leafy_spurge>, in snow"
        found = PromptReader(backbone_xl).read([prompt], {one.token: one})
        embeds, pooled = encoded(pipeline_xl, prompt)
        assert close(found.embeds, embeds)
        assert close(found.pooled, pooled)

    def test_give_the_same_image_in_diffusers(self, backbone, pipeline, tmp_path):
        one = concept(vectors=2)
        load_into(pipeline, one, tmp_path)
        prompt = "a drone photo of <leafy_spurge>"
        wanted = {"num_inference_steps": 3, "height": 64, "width": 64, "guidance_scale": 3.0, "output_type": "pt"}
        image = pipeline(prompt, generator=torch.Generator().manual_seed(0), **wanted).images
        reader = PromptReader(backbone)
        embeds = {
            "prompt_embeds": reader.read([prompt], {one.token: one}).embeds,
            "negative_prompt_embeds": reader.read([""], {}).embeds,
        }
        again = pipeline(generator=torch.Generator().manual_seed(0), **embeds, **wanted).images
        assert_close(again, image, terms=UNET_TERMS)
        other = pipeline("a drone photo", generator=torch.Generator().manual_seed(0), **wanted).images
        assert float((other - image).abs().max()) > 1e-3

    def test_of_one_token_can_be_used_side_by_side(self, backbone):
        """No model is changed, so that one support set's word does not leak into the prompts of another."""
        reader = PromptReader(backbone)
        before = {key: rows.clone() for key, rows in backbone.text_encoders[0].state_dict().items()}
        prompt = "a photo of <leafy_spurge>"
        first, second = concept(seed=1), concept(seed=2)
        found = [reader.read([prompt], {one.token: one}).embeds for one in (first, second, first)]
        assert torch.equal(found[0], found[2])
        assert not close(found[0], found[1])
        after = backbone.text_encoders[0].state_dict()
        assert all(torch.equal(after[key], rows) for key, rows in before.items())
        assert not backbone.text_encoders[0].get_input_embeddings()._forward_hooks

    def test_of_two_tokens_are_told_apart(self, backbone):
        spurge, absence = concept(vectors=2), concept("<no_spurge>", vectors=3, seed=5)
        both = {one.token: one for one in (spurge, absence)}
        reader = PromptReader(backbone)
        prompts = ["a <no_spurge> beside <leafy_spurge>", "a <leafy_spurge>"]
        found = reader.read(prompts, both)
        turned = reader.read(prompts, dict(reversed(both.items())))
        assert torch.equal(found.embeds, turned.embeds)
        assert close(found.embeds[1:], reader.read(prompts[1:], {spurge.token: spurge}).embeds)
        (tokens,) = reader.tokenize(prompts, both)
        assert tokens.vectors[0, :9].tolist() == [-1, -1, 2, 3, 4, -1, 0, 1, -1]

    def test_are_what_gradients_flow_to(self, backbone):
        one = concept(vectors=2)
        reader = PromptReader(backbone)
        table = one.vectors[0].clone().requires_grad_()
        tokens = reader.tokenize([f"a {one.token}", "a plant"], {one.token: one})
        found = reader.encode(tokens, [table])
        found.embeds[1].sum().backward(retain_graph=True)
        assert not table.grad.any()
        (found.embeds[0] ** 2).sum().backward()
        assert table.grad.abs().amin(dim=1).gt(0).all()
        assert all(parameter.grad is None for parameter in backbone.text_encoders[0].parameters())

    @given(st.lists(st.sampled_from(["a photo of", "<leafy_spurge>", "snow,", "grass-land's", "<no_spurge>"]), max_size=8))
    def test_a_batch_is_as_single_prompts(self, backbone, words):
        concepts = {one.token: one for one in (concept(vectors=2), concept("<no_spurge>", seed=3))}
        reader = PromptReader(backbone)
        prompts = [" ".join(words), "a photo", " ".join(reversed(words))]
        together = reader.read(prompts, concepts)
        for row, prompt in enumerate(prompts):
            assert close(together.embeds[row : row + 1], reader.read([prompt], concepts).embeds)
        assert torch.equal(together.pick([1, 1]).embeds, together.embeds[[1, 1]])


class TestWhatCannotBeRead:
    def test_a_token_that_was_not_learned(self, backbone):
        one = concept()
        with pytest.raises(InputError) as error:
            PromptReader(backbone).read(["a <leavy_spurge>"], {one.token: one})
        assert str(error.value) == (
            "the prompt 'a <leavy_spurge>' has the token <leavy_spurge>, which was not learned, did you mean <leafy_spurge>? "
            "known are <leafy_spurge>"
        )

    def test_a_token_where_none_was_learned(self, backbone):
        with pytest.raises(InputError, match=r"the prompt 'a <weed>' has the token <weed>, which was not learned$"):
            PromptReader(backbone).read(["a <weed>"], {})

    def test_the_tokenizers_own_marks(self, backbone):
        """The end in the middle of a prompt would cut it there without a word."""
        with pytest.raises(InputError, match=r"the token <\\|endoftext\\|>, which was not learned"):
            PromptReader(backbone).read(["a <|endoftext|> plant"], {})

    @pytest.mark.parametrize(("words", "vectors"), [(75, 0), (74, 1), (60, 15)])
    def test_more_than_fits(self, backbone, words, vectors):
        """Diffusers would leave the rest out; 75 tokens fit between the marks of beginning and end."""
        reader = PromptReader(backbone)
        one = concept(vectors=max(1, vectors))
        prompt = f"{'plant ' * words}{one.token if vectors else ''}"
        concepts = {one.token: one}
        assert reader.read([prompt], concepts).embeds.shape == (1, 77, WIDTH)
        with pytest.raises(InputError) as error:
            reader.read([f"plant {prompt}"], concepts)
        assert "is 76 tokens long, and the model reads 75; shorten it" in str(error.value)


def test_tokens_of_a_prompt():
    assert tokens_in("<a> and 5 < 6 > 4, <b_c>, < d>") == ["<a>", "<b_c>"]
