"""Images from values: edits, images from a prompt alone, round trips; masks, concepts, and what each costs."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from spurgekit.diffusion.concepts import Concept, load_concept, save_concept
from spurgekit.diffusion.image_tensors import from_model, read_picture, to_model
from spurgekit.diffusion.latent_model import Backbone
from spurgekit.diffusion.prompt_embeddings import Conditions
from spurgekit.diffusion.prompts import PromptReader
from spurgekit.diffusion.render import Edit, EditUnit, Renderer, RenderOptions
from spurgekit.diffusion.sampler import _Guide
from spurgekit.errors import InputError, ModelError
from tests.diffusion.pipelines import SIDE, backbone_of, load_pipeline, scheduled
from tests.diffusion.tiny import UNET_TERMS, WIDTH
from tests.rounding import assert_close

OPTIONS = RenderOptions(steps=4, guidance=5.0)
NOT_GREY = "{mask} is no grey image of 8 bits (RGB); masks are white where a tile may change"


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    """Five tiles of 50 x 50 px and one of 40 x 60, without black pixels."""
    folder = tmp_path_factory.mktemp("tiles")
    rng = np.random.default_rng(0)
    paths = [folder / f"tile_{number}.png" for number in range(6)]
    for number, path in enumerate(paths):
        coarse = Image.fromarray(rng.integers(1, 256, (8, 8, 3), np.uint8))
        coarse.resize((50, 50) if number < 5 else (60, 40), Image.Resampling.BILINEAR).save(path)
    return paths


@pytest.fixture(scope="module")
def spurge(tmp_path_factory):
    """A file of a concept."""
    path = tmp_path_factory.mktemp("concepts") / "leafy_spurge.safetensors"
    vectors = torch.randn(2, WIDTH, generator=torch.Generator().manual_seed(1)) / 10
    save_concept(Concept("<leafy_spurge>", (vectors,)), path)
    return path


@pytest.fixture(scope="module")
def pipeline(tiny):
    return load_pipeline(tiny, "StableDiffusionImg2ImgPipeline")


def calls_of(monkeypatch, owner, name):
    """The arguments of each call of a method from here on."""
    calls, method = [], getattr(owner, name)

    def noted(*args, **kwargs):
        calls.append(args)
        return method(*args, **kwargs)

    monkeypatch.setattr(owner, name, noted)
    return calls


def mask_of(path, pixels):
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)
    return path


def edits_of(tiles, **more):
    return tuple(Edit(f"image {number}", path, prompt="a plant", seed=number, **more) for number, path in enumerate(tiles))


def render(backbone, edits, mode="edit", strength=0.5, options=OPTIONS, **more):
    return Renderer(backbone, options, **more).render(EditUnit(tuple(edits), mode, strength))


def differ(one, other):
    """Greatest difference of two images, in grey levels."""
    return int(np.abs(one.astype(int) - other.astype(int)).max())


def img2img(plain, tile, prompt, **options):
    """What diffusers' own pipeline makes of a tile, with the seed, steps and guidance of the edits here."""
    images = plain(
        prompt,
        image=to_model([read_picture(tile)], SIDE) / 2 + 0.5,
        num_inference_steps=4,
        guidance_scale=5.0,
        generator=torch.Generator().manual_seed(3),
        output_type="pt",
        **options,
    ).images
    (picture,) = from_model(2 * images - 1, [(50, 50)])
    return picture


class TestModes:
    def test_an_edit_is_what_plain_diffusers_makes(self, pipeline, tiles):
        plain, _ = scheduled(pipeline, "dpm++")
        edit = Edit("one", tiles[0], prompt="a plant", negative="snow", seed=3)
        wanted = img2img(plain, tiles[0], "a plant", strength=0.5, negative_prompt="snow")
        assert differ(render(backbone_of(pipeline), [edit]).images[0], wanted) <= 1

    def test_images_have_the_sizes_of_their_tiles(self, backbone, tiles):
        for mode in ("edit", "text", "roundtrip"):
            rendered = render(backbone, edits_of(tiles), mode)
            assert [image.shape for image in rendered.images] == [(50, 50, 3)] * 5 + [(40, 60, 3)]
            assert all(image.dtype == np.uint8 for image in rendered.images)
            assert (rendered.redone_in_float32, rendered.batch_size) == (0, 6)

    def test_an_image_from_the_prompt_alone_takes_only_the_size_of_its_tile(self, backbone, tiles):
        first, second = (render(backbone, [Edit("one", tile, prompt="a plant")], "text").images[0] for tile in tiles[:2])
        assert (first == second).all()
        assert differ(first, render(backbone, [Edit("one", tiles[0], prompt="a road")], "text").images[0]) > 0

    def test_a_round_trip_is_encoder_and_decoder_and_nothing_else(self, backbone, tiles):
        posterior = backbone.encode(to_model([read_picture(tiles[0])], SIDE))
        (wanted,) = from_model(backbone.decode(posterior.mean), [(50, 50)])
        for edit in (Edit("one", tiles[0], prompt="a plant", seed=1), Edit("one", tiles[0], prompt="a road", seed=2)):
            assert (render(backbone, [edit], "roundtrip", 0.0).images[0] == wanted).all()

    def test_kept_detail_is_what_the_round_trip_loses(self, backbone, tiles):
        edits = edits_of(tiles)
        keeping = replace(OPTIONS, keep_detail=True)
        plain, kept = (render(backbone, edits, options=options).images for options in (OPTIONS, keeping))
        back = render(backbone, edits, "roundtrip", 0.0).images
        for edit, one, other, lost in zip(edits, plain, kept, back, strict=True):
            wanted = one.astype(int) + read_picture(edit.source) - lost
            assert differ(other, wanted.clip(0, 255)) <= 1  # a tile comes back by itself here, and in a batch there
            assert (other != one).any()
        round_trip = render(backbone, edits, "roundtrip", 0.0, options=keeping).images
        assert all((one == other).all() for one, other in zip(round_trip, back, strict=True))

    def test_no_images(self, backbone):
        assert render(backbone, []).images == ()

    def test_sdxl(self, backbone_xl, tiles):
        edits = [replace(edit, negative=negative) for edit, negative in zip(edits_of(tiles[:2]), ("", "snow"), strict=True)]
        together = render(backbone_xl, edits)
        for edit, image in zip(edits, together.images, strict=True):
            assert differ(render(backbone_xl, [edit]).images[0], image) <= 1


class TestSeeds:
    @pytest.mark.parametrize("scheduler", ["dpm++", "euler-a"])
    def test_a_batch_equals_single_images(self, backbone, tiles, scheduler):
        options = replace(OPTIONS, scheduler=scheduler)
        edits = edits_of(tiles)
        every = render(backbone, edits, options=options).images
        fours = [render(backbone, edits[rows], options=options).images for rows in (slice(4), slice(4, 6))]
        for number, image in enumerate(every):
            assert differ(image, [*fours[0], *fours[1]][number]) <= 1
            assert differ(image, render(backbone, [edits[number]], options=options).images[0]) <= 1

    def test_images_of_one_tile_differ_by_their_seeds(self, backbone, tiles):
        first, second, again = render(backbone, [Edit("one", tiles[0], seed=seed) for seed in (1, 2, 1)]).images
        assert differ(first, second) > 5
        assert differ(first, again) <= 1

    def test_what_was_made_before_changes_nothing(self, backbone, tiles):
        """A run that was interrupted gives the same bytes, with other tiles in the cache."""
        unit = EditUnit(edits_of(tiles), "edit", 0.5)
        renderer = Renderer(backbone, OPTIONS)
        renderer.render(EditUnit(edits_of(tiles[2:4]), "edit", 1.0))
        for one, other in zip(renderer.render(unit).images, Renderer(backbone, OPTIONS).render(unit).images, strict=True):
            assert (one == other).all()

    def test_decoding_fewer_at_a_time_changes_nothing(self, backbone, tiles):
        few = render(backbone, edits_of(tiles), options=replace(OPTIONS, decode_batch=2)).images
        for one, other in zip(few, render(backbone, edits_of(tiles)).images, strict=True):
            assert differ(one, other) <= 1


class TestOnce:
    def test_each_tile_and_prompt_is_encoded_once(self, backbone, tiles, spurge, monkeypatch):
        encoded, read = (calls_of(monkeypatch, *method) for method in ((Backbone, "encode"), (PromptReader, "read")))
        renderer = Renderer(backbone, OPTIONS)
        for strength in (0.25, 1.0):
            edits = [
                Edit("one", tile, prompt=prompt, seed=seed, concepts=(spurge,))
                for tile in tiles[:2]
                for prompt in ("a plant", "a <leafy_spurge>")
                for seed in range(2)
            ]
            renderer.render(EditUnit(tuple(edits), "edit", strength))
        assert len(encoded) == 2
        assert len(read) == 3  # with that of nothing

    def test_prompts_without_concepts_are_the_same_for_all_support_sets(self, backbone, tiles, spurge, tmp_path, monkeypatch):
        read = calls_of(monkeypatch, PromptReader, "read")
        other = tmp_path / "other.safetensors"
        other.write_bytes(spurge.read_bytes())
        renderer = Renderer(backbone, OPTIONS)
        edits = [Edit("one", tiles[0], prompt="a plant", concepts=(path,)) for path in (spurge, other)]
        renderer.render(EditUnit(tuple(edits), "edit", 0.5))
        assert len(read) == 2


class TestMasks:
    @pytest.mark.parametrize("folder", ["tiny", "tiny_inpaint"])
    @pytest.mark.parametrize("mode", ["edit", "roundtrip"])
    def test_the_tile_stays_as_it_is_outside_to_the_bit(self, request, tiles, tmp_path, folder, mode):
        backbone = backbone_of(load_pipeline(request.getfixturevalue(folder), "StableDiffusionInpaintPipeline"))
        pixels = np.zeros((50, 50), np.uint8)
        pixels[10:31, 20:37] = 255
        rendered = render(backbone, edits_of(tiles[:2], mask=mask_of(tmp_path / "mask.png", pixels)), mode, 1.0)
        for tile, image in zip(tiles, rendered.images, strict=False):
            real = np.asarray(Image.open(tile))
            assert (image[pixels == 0] == real[pixels == 0]).all()
            assert (image[pixels == 255] != real[pixels == 255]).any(axis=-1).mean() > 0.9

    def test_also_where_the_tile_has_no_data(self, backbone, tiles, tmp_path):
        real = np.asarray(Image.open(tiles[0])).copy()
        real[:20] = 0
        Image.fromarray(real).save(tmp_path / "tile.png")
        pixels = np.zeros((50, 50), np.uint8)
        pixels[10:40] = 255
        edit = Edit("one", tmp_path / "tile.png", mask=mask_of(tmp_path / "mask.png", pixels))
        image = render(backbone, [edit]).images[0]
        assert (image[pixels == 0] == real[pixels == 0]).all()

    def test_grey_mixes_both(self, backbone, tiles, tmp_path):
        tile = np.asarray(Image.open(tiles[0])).astype(int)
        white = mask_of(tmp_path / "white.png", np.full((50, 50), 255))
        grey = mask_of(tmp_path / "grey.png", np.full((50, 50), 51))
        full, some = (render(backbone, [Edit("one", tiles[0], seed=5, mask=mask)]).images[0] for mask in (white, grey))
        assert (np.abs(some - (0.2 * full + 0.8 * tile)) <= 0.5 + 1e-6).all()

    @pytest.mark.parametrize("strength", [0.5, 1.0])
    @pytest.mark.parametrize("channels", [4, 9])
    def test_inside_it_is_what_plain_diffusers_paints(self, tiny, tiny_inpaint, tmp_path, strength, channels):
        pipeline = load_pipeline(tiny if channels == 4 else tiny_inpaint, "StableDiffusionInpaintPipeline")
        plain, _ = scheduled(pipeline, "dpm++")
        rng = np.random.default_rng(1)
        tile = rng.integers(1, 256, (SIDE, SIDE, 3), np.uint8)
        Image.fromarray(tile).save(tmp_path / "tile.png")
        pixels = np.zeros((SIDE, SIDE), np.uint8)
        pixels[16:48, 8:40] = 255
        edit = Edit("one", tmp_path / "tile.png", "a plant", "snow", 3, mask=mask_of(tmp_path / "mask.png", pixels))
        images = plain(
            "a plant",
            negative_prompt="snow",
            image=to_model([tile], SIDE) / 2 + 0.5,
            mask_image=torch.from_numpy(pixels / 255)[None, None].float(),
            num_inference_steps=4,
            strength=strength,
            guidance_scale=5.0,
            height=SIDE,
            width=SIDE,
            generator=[torch.Generator().manual_seed(3)],
            output_type="pt",
        ).images
        (wanted,) = from_model(2 * images - 1, [(SIDE, SIDE)])
        found = render(backbone_of(pipeline), [edit], strength=strength).images[0]
        assert differ(found[pixels == 255], wanted[pixels == 255]) <= 1

    def test_an_inpainting_model_without_a_mask_paints_all(self, tiny_inpaint, tiles):
        backbone = backbone_of(load_pipeline(tiny_inpaint, "StableDiffusionInpaintPipeline"))
        for mode in ("edit", "text"):
            together = render(backbone, edits_of(tiles[:2]), mode).images
            alone = render(backbone, edits_of(tiles[:2])[1:], mode).images
            assert differ(together[1], alone[0]) <= 1

    @pytest.mark.parametrize(
        ("pixels", "message"),
        [
            (np.zeros((40, 50), np.uint8), "{mask} is 50 x 40 px and its tile tile_0.png 50 x 50 px; make the mask again"),
            (
                np.zeros((50, 50, 3), np.uint8),
                "{mask} is no grey image of 8 bits (RGB); masks are white where a tile may change",
            ),
            (None, "{mask}: no such file; it is the mask of {tile}"),
        ],
    )
    def test_masks_that_do_not_serve(self, backbone, tiles, tmp_path, pixels, message):
        mask = tmp_path / "mask.png"
        if pixels is not None:
            Image.fromarray(pixels).save(mask)
        with pytest.raises(InputError) as error:
            render(backbone, [Edit("one", tiles[0], mask=mask)])
        assert str(error.value) == message.format(mask=mask, tile=tiles[0])

    def test_a_damaged_mask(self, backbone, tiles, tmp_path):
        (tmp_path / "mask.png").write_bytes(b"\x89PNG")
        with pytest.raises(InputError, match=r"mask.png is damaged or no image; it is the mask of .*tile_0.png: make it again"):
            render(backbone, [Edit("one", tiles[0], mask=tmp_path / "mask.png")])

    def test_no_masks_for_images_from_the_prompt_alone(self, tiles, tmp_path):
        with pytest.raises(InputError, match="an image from the prompt alone has no tile to leave as it is"):
            EditUnit((Edit("one", tiles[0], mask=tmp_path / "mask.png"),), "text", 1.0)


class TestConcepts:
    def make(self, backbone, tile, concepts, prompt="a <leafy_spurge>", **more):
        return render(backbone, [Edit("one", tile, prompt=prompt, concepts=concepts, **more)]).images[0]

    @pytest.mark.parametrize("count", [1, 2])
    def test_plain_diffusers_makes_the_same_of_the_same_file(self, backbone, tiny, tiles, tmp_path, count):
        plain, _ = scheduled(load_pipeline(tiny, "StableDiffusionImg2ImgPipeline"), "dpm++")
        path = tmp_path / "spurge.safetensors"
        save_concept(Concept("<spurge>", (torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(2)),)), path)
        plain.load_textual_inversion(path)
        wanted = img2img(plain, tiles[0], "a drone photo of <spurge> beside a trail", strength=0.75)
        edit = Edit("one", tiles[0], "a drone photo of <spurge> beside a trail", seed=3, concepts=(path,))
        assert differ(render(backbone, [edit], strength=0.75).images[0], wanted) <= 1
        other = replace(edit, prompt="a drone photo of grass beside a trail")
        assert differ(render(backbone, [other], strength=0.75).images[0], wanted) > 1

    def test_a_learned_negative_is_that_of_plain_diffusers(self, backbone, tiny, tiles, spurge, tmp_path):
        plain, _ = scheduled(load_pipeline(tiny, "StableDiffusionImg2ImgPipeline"), "dpm++")
        sand = tmp_path / "sand.safetensors"
        save_concept(Concept("<sand>", (torch.randn(1, WIDTH, generator=torch.Generator().manual_seed(4)),)), sand)
        for path in (spurge, sand):
            plain.load_textual_inversion(path)
        wanted = img2img(plain, tiles[0], "a photo of <leafy_spurge>", strength=0.75, negative_prompt="<sand>, snow")
        edit = Edit("one", tiles[0], "a photo of <leafy_spurge>", "<sand>, snow", seed=3, concepts=(spurge, sand))
        assert differ(render(backbone, [edit], strength=0.75).images[0], wanted) <= 1
        for other in ("", "snow", "<leafy_spurge>, snow"):
            assert differ(render(backbone, [replace(edit, negative=other)], strength=0.75).images[0], wanted) > 1

    def test_guidance_goes_away_from_a_learned_negative(self, backbone, spurge):
        conditions = Conditions(backbone)
        wanted, negative = (conditions.of(prompt, (spurge,)) for prompt in ("a plant", "<leafy_spurge>"))
        latents, step = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor(500)
        with torch.inference_mode():
            found = _Guide(backbone, wanted, negative, 5.0, SIDE, backbone.unet)(latents, step, ())
            alone, away = (backbone.unet(latents, step, one.embeds).sample for one in (wanted, negative))
        assert_close(found, away + 5 * (alone - away), terms=5 * UNET_TERMS)
        assert float((alone - away).abs().max()) > 1e-3

    def test_scale_multiplies_the_vectors(self, backbone, tiles, spurge, tmp_path):
        (vectors,) = load_concept(spurge).vectors
        save_concept(Concept("<leafy_spurge>", (2 * vectors,)), tmp_path / "double.safetensors")
        stronger = self.make(backbone, tiles[0], (spurge,), concept_scale=2.0)
        assert (stronger == self.make(backbone, tiles[0], (tmp_path / "double.safetensors",))).all()
        assert differ(stronger, self.make(backbone, tiles[0], (spurge,))) > 0

    def test_noise_is_the_images_own(self, backbone, tiles, spurge):
        edits = [Edit("one", tiles[0], "a <leafy_spurge>", seed=s, concepts=(spurge,), concept_noise=0.5) for s in (1, 2)]
        together = render(backbone, edits).images
        for edit, image in zip(edits, together, strict=True):
            assert differ(render(backbone, [edit]).images[0], image) <= 1
            assert differ(render(backbone, [replace(edit, concept_noise=0.0)]).images[0], image) > 1

    def test_noise_on_concepts_leaves_other_prompts_alone(self, backbone, tiles, spurge):
        plain = self.make(backbone, tiles[0], (spurge,), prompt="a plant")
        assert (self.make(backbone, tiles[0], (spurge,), prompt="a plant", concept_noise=0.5) == plain).all()

    def test_unknown_tokens(self, backbone, tiles, spurge):
        with pytest.raises(InputError, match=r"the token <leafy_spruge>, which was not learned, did you mean <leafy_spurge>\?"):
            self.make(backbone, tiles[0], (spurge,), prompt="a <leafy_spruge>")

    def test_two_files_of_one_token(self, backbone, tiles, spurge, tmp_path):
        other = tmp_path / "other.safetensors"
        other.write_bytes(spurge.read_bytes())
        with pytest.raises(InputError, match=r"leafy_spurge.safetensors and .*other.safetensors are both of <leafy_spurge>"):
            self.make(backbone, tiles[0], (spurge, other))

    def test_concepts_of_another_model(self, backbone, tiles, tmp_path):
        path = tmp_path / "wide.safetensors"
        save_concept(Concept("<leafy_spurge>", (torch.zeros(1, 768),)), path)
        with pytest.raises(ModelError, match=r"wide.safetensors holds vectors of 768 numbers, and .* takes 32; learn"):
            self.make(backbone, tiles[0], (path,))


class TestOptions:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"steps": 0}, "`steps=0` is too small; pass 1 or more"),
            ({"decode_batch": 0}, "`decode_batch=0` is too small; pass 1 or more"),
            ({"guidance": -1.0}, "a guidance of -1 cannot be; pass 0 or more"),
            ({"guidance": float("nan")}, "a guidance of nan cannot be; pass 0 or more"),
        ],
    )
    def test_what_cannot_be(self, options, message):
        with pytest.raises(InputError) as error:
            RenderOptions(**options)
        assert str(error.value) == message

    def test_sizes_that_do_not_fit_the_model(self, backbone):
        with pytest.raises(InputError, match="images of 100 px do not fit the model; pass a multiple of 8"):
            Renderer(backbone, replace(OPTIONS, size_px=100))

    def test_another_size(self, backbone, tiles):
        assert render(backbone, edits_of(tiles[:1]), options=replace(OPTIONS, size_px=96)).images[0].shape == (50, 50, 3)

    def test_strengths_are_looked_at_before_anything_is_read(self, backbone, tmp_path):
        with pytest.raises(InputError, match=r"a strength of 0.2 is less than one of 4 steps; pass a strength of 0.25 or more"):
            render(backbone, [Edit("one", tmp_path / "none.png")], strength=0.2)

    def test_missing_tiles(self, backbone, tmp_path):
        for mode in ("edit", "text"):
            with pytest.raises(InputError, match=r"none.png: no such file"):
                render(backbone, [Edit("one", tmp_path / "none.png")], mode)
