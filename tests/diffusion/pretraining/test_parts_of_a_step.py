"""What a step is made of: words, draws, weights of noise levels, means of weights."""

import re

import numpy as np
import pytest
import torch

from spurgekit.diffusion.pretraining.crop_draws import draw_step, sample_prompts
from spurgekit.diffusion.pretraining.crop_pool import CropPool, GroundPiece, crop_at, unit_latents
from spurgekit.diffusion.pretraining.ground_words import GroundWords, describe, phrase
from spurgekit.diffusion.pretraining.noise_weights import min_snr_weights
from spurgekit.diffusion.pretraining.weight_average import PowerAverage, exponent_of
from spurgekit.diffusion.textual_inversion.prompt_templates import TOP_DOWN, filled
from spurgekit.dihedral import view_of
from spurgekit.imagery.vegetation import excess_green


def plain(colour, side=8):
    return np.full((side, side, 3), colour, np.uint8)


def whole(picture):
    return lambda: (picture, np.ones(picture.shape[:2], np.bool_))


class TestWords:
    def test_a_picture_is_described_by_mean_colour_and_spread_of_luma(self):
        picture = plain((100, 100, 100))
        picture[:4] = 200
        assert describe([picture, plain((10, 20, 30))]).tolist() == [[150, 150, 150, 50], [10, 20, 30, 0]]

    def test_thirds_and_kinds(self):
        greys = [plain((v, v, v)) for v in (20, 30, 120, 130, 220, 230)]
        words = GroundWords.learn(describe(greys), kinds=3)
        facts = words.facts(describe(greys))
        assert facts[:, 0].tolist() == [0, 0, 1, 1, 2, 2]
        assert facts[:, 2].tolist() == [0, 0, 1, 1, 2, 2]  # the darkest kind is the first

    def test_green_is_relative_to_the_survey(self):
        tiles = [plain(colour) for colour in ((120, 100, 80), (100, 100, 100), (60, 120, 40))]
        assert GroundWords.learn(describe(tiles), kinds=1).facts(describe(tiles))[:, 1].tolist() == [0, 1, 2]
        assert excess_green(np.array([[60.0, 120.0, 40.0]]))[0] == pytest.approx((240 - 100) / 220)

    def test_ground_of_one_look_has_one_kind(self):
        words = GroundWords.learn(describe([plain((90, 90, 90))] * 5), kinds=8)
        assert len(words.centres) == 1
        assert words.facts(describe([plain((90, 90, 90))]))[0, 2] == 0

    def test_written_and_read_again(self):
        told = describe([plain((v, 2 * v, 30)) for v in range(10, 60)])
        words = GroundWords.learn(told, kinds=4)
        assert np.array_equal(GroundWords.of_record(words.record()).facts(told), words.facts(told))

    @pytest.mark.parametrize(
        ("kept", "said"),
        [
            ((1, 1, 1, 1, 1), "bright brown ground of kind 1, dune, May 2024"),
            ((0, 0, 0, 0, 0), "ground"),
            ((0, 1, 0, 1, 0), "brown ground, dune"),
        ],
    )
    def test_a_phrase_says_what_is_kept(self, kept, said):
        assert phrase((2, 0, 0), "dune", "May 2024", kept) == said


class TestCropPool:
    def test_crops_lie_on_data_alone(self, tmp_path):
        rng = np.random.default_rng(0)
        picture, valid = rng.integers(1, 255, (40, 40, 3), dtype=np.uint8), np.ones((40, 40), np.bool_)
        valid[:, 10:20] = False  # two stripes, of 10 and 20 px
        picture[~valid] = 0
        origins = 25 * 5  # a crop of 16 px begins at 25 rows, and at 5 columns of the second stripe
        piece = GroundPiece("p", "dune", "", origins, lambda: (picture, valid))
        pool = CropPool(tmp_path, [piece], (0,), crop_px=16, size_px=64, count=10_000)
        assert len(pool) == origins
        crops = [crop_at(picture, valid, 16, number) for number in range(origins)]
        assert all((crop > 0).all() for crop in crops)
        assert np.array_equal(crops[0], picture[:16, 20:36])
        assert np.array_equal(crops[-1], picture[24:40, 24:40])

    def test_a_crop_is_what_the_vae_makes_of_it_alone(self, backbone, tmp_path):
        from spurgekit.diffusion.image_tensors import to_model

        rng = np.random.default_rng(1)
        tiles = [rng.integers(0, 256, (16, 16, 3), dtype=np.uint8) for _ in range(3)]
        pieces = [GroundPiece(str(i), "", "", 1, whole(tile)) for i, tile in enumerate(tiles)]
        pool = CropPool(tmp_path, pieces, range(8), crop_px=16, size_px=64, count=100)
        pool.fill(backbone, None)
        assert pool.of_piece.tolist() == [0] * 8 + [1] * 8 + [2] * 8
        expected = backbone.encode(view_of(to_model([tiles[1]], 64), 3))
        noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(pool.latents([8 + 3], noise), expected.sample(noise), rtol=2e-3, atol=2e-3)  # of float16

    def test_what_is_encoded_is_not_encoded_again(self, backbone, tmp_path):
        tile, reads = plain((90, 120, 60), 16), []

        def read():
            reads.append(1)
            return tile, np.ones((16, 16), np.bool_)

        for _ in range(2):
            pool = CropPool(tmp_path, [GroundPiece("p", "", "", 1, read)], (0, 4), crop_px=16, size_px=64, count=9)
            pool.fill(backbone, None)
        assert len(reads) == 1

    def test_latents_are_made_to_vary_by_one(self, tiny, tmp_path):
        from spurgekit.diffusion.image_tensors import to_model
        from spurgekit.diffusion.load import load_backbone

        model, rng = load_backbone(tiny, device="cpu"), np.random.default_rng(2)
        tiles = [rng.integers(0, 256, (16, 16, 3), dtype=np.uint8) for _ in range(6)]
        pieces = [GroundPiece(str(i), "", "", 1, whole(tile)) for i, tile in enumerate(tiles)]
        pool = CropPool(tmp_path, pieces, (0,), crop_px=16, size_px=64, count=100)
        pool.fill(model, None)
        factor = unit_latents(model, pool)
        drawn = pool.latents(range(6), torch.randn(6, 4, 8, 8, generator=torch.Generator().manual_seed(0)))
        assert float((drawn - drawn.mean(dim=(0, 2, 3), keepdim=True)).square().mean().sqrt()) == pytest.approx(1, abs=0.1)
        assert model.vae.config.scaling_factor == pytest.approx(0.18215 * factor)
        image = to_model([tiles[0]], 64)
        torch.testing.assert_close(model.encode(image).mean, pool.latents([0], torch.zeros(1, 4, 8, 8)), rtol=5e-3, atol=5e-3)
        plain = load_backbone(tiny, device="cpu")
        torch.testing.assert_close(model.decode(model.encode(image).mean), plain.decode(plain.encode(image).mean))

    def test_of_very_many_crops_some_are_drawn(self, tmp_path):
        pieces = [GroundPiece("a", "", "", 10, None), GroundPiece("b", "", "", 90, None)]
        pool = CropPool(tmp_path, pieces, range(8), crop_px=16, size_px=64, count=400, seed=1)
        assert len(pool) == 400
        assert 0.05 < (pool.of_piece == 0).mean() < 0.15  # each crop is as likely as any other


@pytest.fixture(scope="module")
def drawn(backbone, tmp_path_factory):
    """Crops of two places, and their words."""
    pieces = [
        GroundPiece(f"{place}{v}", place, "June 2024", 1, whole(plain((v, v, 40), 16)))
        for place in ("dune", "north pasture")
        for v in range(40, 240, 20)
    ]
    pool = CropPool(tmp_path_factory.mktemp("pool"), pieces, (0, 1), crop_px=16, size_px=64, count=1000)
    pool.fill(backbone, None)
    return pool, GroundWords.learn(pool.colours, kinds=2)


class TestDraws:
    def draw(self, drawn, step, **given):
        return draw_step(*drawn, step, **{"seed": 0, "batch": 64, "levels": 1000, "prompt_dropout": 0.25, **given})

    def test_depend_on_seed_and_step_alone(self, drawn):
        first, again = self.draw(drawn, 3), self.draw(drawn, 3)
        assert torch.equal(first.latents, again.latents)
        assert torch.equal(first.noise, again.noise)
        assert first.prompts == again.prompts
        assert not torch.equal(first.noise, self.draw(drawn, 4).noise)
        assert not torch.equal(first.noise, self.draw(drawn, 3, seed=1).noise)

    def test_have_a_timestep_of_each_part_of_the_range(self, drawn):
        steps, parts = self.draw(drawn, 0).timesteps, torch.arange(64)
        assert ((steps + 1) * 64 / 1000 > parts).all()
        assert (steps * 64 / 1000 < parts + 1).all()

    def test_say_nothing_of_a_share_of_crops(self, drawn):
        said = [prompt for step in range(20) for prompt in self.draw(drawn, step).prompts]
        assert 0.2 < np.mean([prompt == "" for prompt in said]) < 0.3
        assert not any(prompt == "" for prompt in self.draw(drawn, 0, prompt_dropout=0.0).prompts)

    def test_use_the_templates_of_textual_inversion(self, drawn):
        patterns = [re.compile(re.escape(template).replace(r"\{\}", ".*ground.*")) for template in TOP_DOWN]
        prompts = self.draw(drawn, 1, prompt_dropout=0.0).prompts
        assert all(any(pattern.fullmatch(prompt) for pattern in patterns) for prompt in prompts)
        assert len({prompt.split(" ground")[0] for prompt in prompts}) > 8

    def test_samples_are_told_all_that_is_known(self, drawn):
        prompts = sample_prompts(*drawn, 30, seed=0)
        assert {prompt.split(", ")[1] for prompt in prompts} == {"dune", "north pasture"}
        assert all(prompt.endswith(", June 2024") for prompt in prompts)
        assert prompts[0].startswith(filled(TOP_DOWN[0], "").strip())


class TestNoiseWeights:
    def weights(self, prediction, gamma):
        from diffusers import DDPMScheduler

        scheduler = DDPMScheduler(num_train_timesteps=3, prediction_type=prediction)
        scheduler.alphas_cumprod = torch.tensor([0.9, 0.5, 0.1])  # ratios of signal to noise 9, 1, 1/9
        return min_snr_weights(scheduler, gamma).tolist()

    def test_of_the_velocity(self):
        assert self.weights("v_prediction", 5) == pytest.approx([5 / 10, 1 / 2, (1 / 9) / (10 / 9)])

    def test_of_the_noise(self):
        assert self.weights("epsilon", 5) == pytest.approx([5 / 9, 1, 1])

    def test_all_weigh_the_same_without_a_limit(self):
        assert self.weights("epsilon", float("inf")) == [1, 1, 1]
        assert self.weights("v_prediction", float("inf")) == [1, 1, 1]


class TestPowerAverage:
    def test_weighs_steps_by_a_power_of_their_number(self):
        weight = torch.zeros(1)
        average = PowerAverage([weight], width=0.1)
        values = [3.0, -1.0, 2.0, 5.0]
        for step, value in enumerate(values, start=1):
            weight.fill_(value)
            average.update(step)
        power = average.exponent + 1
        shares = [step**power - (step - 1) ** power for step in range(1, 5)]
        assert float(average.means[0]) == pytest.approx(np.average(values, weights=shares), rel=1e-5)

    @pytest.mark.parametrize("width", [0.05, 0.1, 0.2])
    def test_its_width_is_the_one_that_was_asked_for(self, width):
        when = (np.arange(200_000) + 0.5) / 200_000
        density = when ** exponent_of(width)
        mean = np.average(when, weights=density)
        assert np.sqrt(np.average((when - mean) ** 2, weights=density)) == pytest.approx(width, rel=1e-3)

    def test_is_exchanged_with_the_weights_and_back(self):
        weight = torch.ones(2)
        average = PowerAverage([weight], width=0.1)
        weight.fill_(7)
        average.exchange()
        assert (weight.tolist(), average.means[0].tolist()) == ([1, 1], [7, 7])
        average.exchange()
        assert (weight.tolist(), average.means[0].tolist()) == ([7, 7], [1, 1])
