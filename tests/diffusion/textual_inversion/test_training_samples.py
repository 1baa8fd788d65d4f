from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from spurgekit.diffusion.textual_inversion.inversion_options import PRESETS, InversionOptions
from spurgekit.diffusion.textual_inversion.placeholder_tokens import initial_vectors
from spurgekit.diffusion.textual_inversion.prompt_templates import (
    PUBLISHED,
    TEMPLATES,
    TOP_DOWN,
    check_classes_of,
    read_templates,
    templates_of,
)
from spurgekit.diffusion.textual_inversion.training_samples import EVALUATED, InversionTask, draw_samples, shown_images
from spurgekit.errors import InputError

SHAPE = (4, 2, 2)
TILES = tuple(Path(f"{number}.png") for number in range(5))
WEED = InversionTask("all/weed", "<weed>", TILES, "weed")
SAND = InversionTask("all/sand", "<sand>", TILES[:2], "sand")


def draw(tasks, options, step, rows=None):
    count = len(tasks) * (EVALUATED if step is None else options.batch)
    return draw_samples(tasks, options, step, rows or slice(0, count), shape=SHAPE, levels=1000)


class TestOptions:
    def test_the_published_recipe(self):
        options = PRESETS["published"]
        assert (options.steps, options.batch, options.size_px, options.vectors) == (1000, 4, 512, 1)
        assert (options.learning_rate, options.schedule, options.weight_decay) == (4 * 5e-4, "constant", 1e-2)
        assert (options.init_word, options.views, options.timesteps) == ("the", (0, 4), "uniform")
        assert options.templates == PUBLISHED

    def test_ours_takes_as_many_steps_and_samples(self):
        ours, published = InversionOptions(), PRESETS["published"]
        assert PRESETS["spurgekit"] == ours
        for name in ("steps", "batch", "learning_rate", "weight_decay", "vectors"):
            assert getattr(ours, name) == getattr(published, name)
        assert (ours.init_word, ours.views, ours.templates) == (None, tuple(range(8)), TOP_DOWN)

    def test_what_is_given_counts_more_than_the_preset(self):
        options = InversionOptions.of("published", steps=10, init_word="plant")
        assert (options.steps, options.vectors, options.init_word, options.schedule) == (10, 1, "plant", "constant")

    def test_learning_rates(self):
        falling, level = InversionOptions(steps=4), InversionOptions.of("published", steps=4)
        np.testing.assert_allclose(
            [falling.rate_at(step) for step in range(5)], [0.002, 0.001 + 0.001 * 0.5**0.5, 0.001, 0.001 - 0.001 * 0.5**0.5, 0],
            atol=1e-12,
        )  # fmt: skip
        assert [level.rate_at(step) for step in range(4)] == [0.002] * 4

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"vectors": 0}, "`vectors=0` is too small; pass 1 or more"),
            ({"steps": 0}, "`steps=0` is too small"),
            ({"save_every": 0}, "`save_every=0` is too small"),
            ({"size_px": 0}, "`size_px=0` is too small"),
            ({"learning_rate": 0.0}, "a learning rate of 0 cannot be"),
            ({"learning_rate": float("nan")}, "`learning_rate=nan` is not a number"),
            ({"weight_decay": -1.0}, "a weight decay of -1 cannot be"),
            ({"augmentation": "flips"}, "`augmentation='flips'` cannot be, did you mean hflip"),
            ({"init_word": " "}, "`init_word` is empty"),
            ({"templates": ()}, "there are no templates"),
            ({"templates": ("a photo",)}, "the template 'a photo' has 0 gaps {} for the word; each takes one"),
            ({"templates": ("{} and {}",)}, "has 2 gaps"),
        ],
    )
    def test_what_cannot_be(self, given, said):
        with pytest.raises(InputError, match=said):
            InversionOptions(**given)

    def test_an_unknown_preset(self):
        with pytest.raises(InputError, match="there is no preset 'publisht', did you mean published"):
            InversionOptions.of("publisht")


class TestTemplates:
    def test_by_name(self):
        assert read_templates("top-down") == TOP_DOWN
        assert all(len(set(templates)) == len(templates) for templates in TEMPLATES.values())

    def test_from_a_file(self, tmp_path):
        path = tmp_path / "prompts.txt"
        path.write_text("# ours\na map of {}\n\n  {} in snow  \n")
        assert read_templates(path) == ("a map of {}", "{} in snow")

    def test_what_cannot_be(self, tmp_path):
        with pytest.raises(InputError, match="there are no templates 'topdown', did you mean top-down"):
            read_templates("topdown")
        path = tmp_path / "prompts.txt"
        path.write_text("a map\n")
        with pytest.raises(InputError, match=r"prompts.txt: the template 'a map' has 0 gaps"):
            read_templates(path)
        path.write_bytes(b"\xff\xfe{}")
        with pytest.raises(InputError, match=r"prompts.txt is not text in UTF-8 \(byte 0\); write one template"):
            read_templates(path)


class TestTemplatesOfClasses:
    """Prompts that name what stands beside a class in its tiles, so that its word need not."""

    LINES = ("a photo of {}", "[leafy spurge]", "{} beside grass", "{} in hay", "[sand]", "{} without plants")

    def test_a_section_for_a_class(self, tmp_path):
        path = tmp_path / "prompts.txt"
        path.write_text("a photo of {}\n[leafy spurge]\n{} beside grass\n{} in hay\n\n [sand] \n{} without plants\n")
        assert read_templates(path) == self.LINES
        assert InversionOptions(templates=str(path)).templates == self.LINES
        assert templates_of(self.LINES, "leafy spurge") == ("{} beside grass", "{} in hay")
        assert templates_of(self.LINES, "sand") == ("{} without plants",)

    def test_what_is_ahead_of_sections_is_for_classes_without_one(self):
        assert templates_of(self.LINES, "moss") == templates_of(self.LINES) == ("a photo of {}",)
        check_classes_of(self.LINES, ["sand", "leafy spurge", "moss"])
        check_classes_of(TOP_DOWN, ["sand", "weed"])

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("[sand]\n[weed]\n{}", r"the section '\[sand\]' has no templates; write some, or take it out"),
            ("{}\n[sand]\n", r"the section '\[sand\]' has no templates"),
            ("[sand]\n{}\n[weed]\n{}\n[sand]\n{}", r"there are two sections '\[sand\]'; put their templates into one"),
            ("[sand]\na map", "the template 'a map' has 0 gaps"),
        ],
    )
    def test_sections_that_cannot_be(self, tmp_path, text, said):
        (tmp_path / "prompts.txt").write_text(text)
        with pytest.raises(InputError, match=rf"prompts\.txt: {said}"):
            read_templates(tmp_path / "prompts.txt")

    def test_sections_of_other_classes(self):
        with pytest.raises(InputError, match=r"a section of the class 'sands?', did you mean sand"):
            check_classes_of(("{}", "[sands]", "{}"), ["sand", "weed"])
        with pytest.raises(InputError, match=r"no template is for 'weed'; add a section \[weed\], or templates for all ahead"):
            check_classes_of(("[sand]", "{}"), ["sand", "weed"])

    def test_samples_are_drawn_with_those_of_their_task(self):
        weed = replace(WEED, templates=("{} beside grass", "{} in hay"))
        options = InversionOptions(batch=4, templates=("a photo of {}", "a map of {}", "a view of {}"))
        prompts = [set(), set()]
        for step in range(40):
            drawn = draw([weed, SAND], options, step).prompts.tolist()
            prompts[0] |= set(drawn[:4])
            prompts[1] |= set(drawn[4:])
        assert prompts == [{0, 1}, {2, 3, 4}]  # those of the second task are counted on from the first's


class TestSamples:
    def test_do_not_depend_on_other_tasks_or_parts(self):
        options = InversionOptions(batch=3)
        both, alone = draw([SAND, WEED], options, 7), draw([WEED], options, 7)
        assert both.images[3:] == alone.images
        assert both.views[3:] == alone.views
        assert both.prompts[3:].tolist() == [number + len(TOP_DOWN) for number in alone.prompts.tolist()]
        assert torch.equal(both.timesteps[3:], alone.timesteps)
        assert torch.equal(both.noise[3:], alone.noise)
        part = draw([SAND, WEED], options, 7, slice(2, 5))
        assert part.images == both.images[2:5]
        assert torch.equal(part.encoder_noise, both.encoder_noise[2:5])
        assert torch.equal(both.part(slice(2, 5)).noise, part.noise)

    def test_all_images_come_before_one_comes_again(self):
        options = InversionOptions(batch=2, steps=10)
        shown = [image for step in range(10) for image in draw([WEED], options, step).images]
        for start in range(0, 20, 5):
            assert sorted(shown[start : start + 5]) == list(TILES)
        assert len({tuple(shown[start : start + 5]) for start in range(0, 20, 5)}) > 1

    def test_of_many_images_and_few_steps_only_those_that_are_shown_are_named(self):
        many = InversionTask("all/weed", "<weed>", tuple(Path(f"{number}.png") for number in range(100)), "weed")
        options = InversionOptions(batch=4, steps=6)
        shown = {image for step in (None, *range(6)) for image in draw([many], options, step).images}
        assert set(shown_images(many, options)) == shown
        assert len(shown) == 24
        assert shown_images(WEED, options) == TILES

    @pytest.mark.parametrize(("preset", "views"), [("spurgekit", range(8)), ("published", range(2))])
    def test_views_and_templates_are_drawn_evenly(self, preset, views):
        options = InversionOptions.of(preset, batch=4)
        samples = [draw([WEED], options, step) for step in range(200)]
        counts = Counter(view for one in samples for view in one.views)
        assert set(counts) == set(views)
        assert min(counts.values()) > 0.7 * 800 / len(views)
        assert {prompt for one in samples for prompt in one.prompts.tolist()} == set(range(len(options.templates)))

    def test_timesteps_are_uniform_and_with_ours_spread_over_each_step(self):
        for preset in PRESETS:
            options = InversionOptions.of(preset, batch=4)
            times = torch.stack([draw([WEED], options, step).timesteps for step in range(300)])
            assert 0 <= int(times.min()) < 10
            assert 990 < int(times.max()) < 1000
            assert float(times.float().mean()) == pytest.approx(499.5, abs=25)  # 3 standard errors of 1200 draws
            quarters = (times // 250).sort(dim=1).values
            assert (quarters == torch.arange(4)).all() == (preset == "spurgekit")

    def test_noise_is_normal_and_differs(self):
        samples = draw([WEED, SAND], InversionOptions(batch=200), 0)
        for noise in (samples.noise, samples.encoder_noise):
            assert float(noise.mean()) == pytest.approx(0, abs=0.05)
            assert float(noise.std()) == pytest.approx(1, abs=0.05)
        assert len({tuple(row.flatten().tolist()) for row in torch.cat([samples.noise, samples.encoder_noise])}) == 800

    def test_another_seed_draws_otherwise(self):
        one, other = (draw([WEED], InversionOptions(seed=seed), 0) for seed in (0, 1))
        assert not torch.equal(one.noise, other.noise)

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"token": "weed"}, "'weed' is no token"),
            ({"images": ()}, "all/weed has no images to learn <weed> from"),
            ({"init": ""}, "the init word of all/weed is empty"),
        ],
    )
    def test_tasks_that_cannot_be(self, given, said):
        with pytest.raises(InputError, match=said):
            InversionTask(**{"key": "all/weed", "token": "<weed>", "images": TILES, "init": "weed", **given})


class TestInitialVectors:
    def test_a_word_of_several_tokens(self, backbone):
        ids = backbone.tokenizers[0]("leafy spurge", add_special_tokens=False).input_ids
        assert len(ids) == 3
        table = backbone.text_encoders[0].get_input_embeddings().weight
        ((mean,),) = initial_vectors(backbone, "leafy spurge", 1)
        torch.testing.assert_close(mean, table[ids].mean(dim=0))
        (three,) = initial_vectors(backbone, "leafy spurge", 3)
        assert torch.equal(three, table[ids])
        (five,) = initial_vectors(backbone, "leafy spurge", 5)
        assert torch.equal(five, table[[*ids, *ids[:2]]])

    def test_each_text_encoder_has_its_own(self, backbone_xl):
        first, second = initial_vectors(backbone_xl, "the", 2)
        assert first.shape == second.shape == (2, 32)
        assert not torch.equal(first, second)
