"""Options of methods, presets, and prompts for classes."""

import pytest

from spurgekit.augment.augment_options import AugmentOptions
from spurgekit.errors import InputError

CLASSES = ("no spurge", "leafy spurge")


class TestPresets:
    def test_the_published_setting(self):
        options = AugmentOptions.of("published")
        assert (options.images, options.steps, options.scheduler, options.guidance) == (50, 50, "pndm", 7.5)
        assert str(options.schedule) == "1,0.75,0.5,0.25"
        assert options.size_px == 512
        assert options.prompts_of("leafy spurge", CLASSES) == ["a photo of a <leafy_spurge>"]

    def test_what_is_given_comes_first(self):
        options = AugmentOptions.of("published", images=3, strengths="0.2")
        assert (options.images, str(options.schedule), options.guidance) == (3, "0.2", 7.5)

    def test_real_guidance_edits_at_one_half(self):
        assert str(AugmentOptions(method="real-guidance").schedule) == "0.5"
        assert str(AugmentOptions(method="real-guidance", strengths="0.3").schedule) == "0.3"

    @pytest.mark.parametrize(
        ("method", "preset", "message"),
        [
            ("da-fuse", "published", "there is no method 'da-fuse', did you mean da-fusion"),
            ("da-fusion", "publish", "there is no preset 'publish', did you mean published"),
        ],
    )
    def test_unknown_names(self, method, preset, message):
        with pytest.raises(InputError, match=message):
            AugmentOptions.of(preset, method=method)


class TestPrompts:
    def test_what_stands_for_the_class(self):
        templates = ("a drone photo of {concept} in snow", "{class} + grassland")
        learned = AugmentOptions(prompts=templates)
        assert learned.prompts_of("no spurge", CLASSES) == ["a drone photo of <no_spurge> in snow", "no spurge + grassland"]
        plain = AugmentOptions(method="real-guidance", prompts=templates)
        assert plain.prompts_of("no spurge", CLASSES) == ["a drone photo of no spurge in snow", "no spurge + grassland"]

    def test_one_that_names_a_token_is_for_its_class(self):
        options = AugmentOptions(prompts=("{concept} seen from above", "<leafy_spurge> to the right of a <no_spurge> trail"))
        assert options.prompts_of("no spurge", CLASSES) == ["<no_spurge> seen from above"]
        assert len(options.prompts_of("leafy spurge", CLASSES)) == 2

    def test_unknown_tokens_are_refused(self):
        with pytest.raises(InputError, match=r"has the token <leafy_spurg>, did you mean <leafy_spurge>"):
            AugmentOptions(prompts=("a photo of <leafy_spurg>",)).prompts_of("leafy spurge", CLASSES)

    def test_a_class_without_a_prompt(self):
        with pytest.raises(InputError, match=r"no prompt is for 'no spurge'; add one with \{concept\} or <no_spurge>"):
            AugmentOptions(prompts=("a photo of <leafy_spurge>",)).prompts_of("no spurge", CLASSES)

    def test_what_has_to_be_learned(self):
        assert AugmentOptions().learns
        assert not AugmentOptions(method="text-to-image").learns
        assert AugmentOptions(method="text-to-image", prompts=("<leafy_spurge> in snow", "<no_spurge>")).learns
        assert not AugmentOptions(method="roundtrip", prompts=("<leafy_spurge>",)).learns


class TestNegative:
    def test_what_stands_for_other_classes(self):
        classes = ("no spurge", "leafy spurge", "snowberry")
        options = AugmentOptions(negative="{others}, people")
        assert options.negative_of("leafy spurge", classes) == "<no_spurge>, <snowberry>, people"
        plain = AugmentOptions(method="real-guidance", negative="{others}")
        assert plain.negative_of("no spurge", classes) == "leafy spurge, snowberry"

    def test_what_the_model_knew_by_the_name_of_the_class(self):
        options = AugmentOptions(negative="{class}")
        assert [options.negative_of(name, CLASSES) for name in CLASSES] == list(CLASSES)
        assert options.prompts_of("leafy spurge", CLASSES) == ["a drone photo of <leafy_spurge>"]

    def test_nothing(self):
        assert AugmentOptions().negative_of("no spurge", CLASSES) == ""

    def test_one_that_names_a_token_has_it_learned(self):
        options = AugmentOptions(method="text-to-image", negative="<no_spurge>")
        assert options.learns
        assert options.negative_of("leafy spurge", CLASSES) == "<no_spurge>"

    def test_unknown_tokens_are_refused(self):
        with pytest.raises(InputError, match=r"the negative prompt '<spurge>' has the token <spurge>"):
            AugmentOptions(negative="<spurge>").negative_of("leafy spurge", CLASSES)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"negative": "snow", "guidance": 1}, "and a guidance of 1 has none; leave it out, or pass a `guidance` above 1"),
        ({"negative": "snow", "method": "roundtrip"}, "`negative` steers away from a prompt, and roundtrip reads no prompts"),
        ({"images": 0}, "`images=0` is too small"),
        ({"steps": 0}, "`steps=0` is too small"),
        ({"batch_size": 0}, "`batch_size=0` is too small"),
        ({"guidance": -1}, "cannot be below 0"),
        ({"concept_noise": float("nan")}, "is not a number"),
        ({"cross": 1.5}, "`cross=1.5` is not a share"),
        ({"keep_detail": True, "method": "roundtrip"}, "`keep_detail` is of tiles that are edited, which roundtrip does not"),
        ({"cross": 0.5, "method": "text-to-image"}, "`cross` edits real tiles, which text-to-image does not"),
        ({"size_px": 500}, "the model cannot work at 500 px; pass a multiple of 64"),
        ({"prompts": ()}, "pass at least one prompt"),
        ({"method": "real-guidance", "prompts": ("<weed>",)}, r"real-guidance learns no tokens; write \{class\}"),
    ],
)
def test_what_cannot_be(options, message):
    with pytest.raises(InputError, match=message):
        AugmentOptions(**options)
