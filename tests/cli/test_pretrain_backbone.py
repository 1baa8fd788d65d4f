import pytest

from spurgekit.cli.pretrain_backbone import _duration
from tests.command import refuse, succeed
from tests.pretrain.conftest import JUDGE, judge, site

__all__ = ["judge", "site"]


def arguments(tiny, judge):
    return (
        "--vae", tiny, "--tokenizer", tiny, "--tile-size", 16, "--size", 32, "--steps", 2, "--batch", 2,
        "--crops", 64, "--samples", 32, "--validate-every", 2, "--held-out", 0.25, "--judge-backbone", JUDGE,
        "--judge-weights", judge, "--device", "cpu", "--threads", 1,
    )  # fmt: skip


def test_of_an_orthomosaic(site, tiny, judge):
    lines = succeed("pretrain-backbone", site, *arguments(tiny, judge)).splitlines()
    assert lines[0] == "64 crops of 84 tiles to learn from, 16 tiles of other places held out, shown at 32 px"
    assert " M numbers to train on cpu: 2 steps of " in lines[1]
    assert lines[1].endswith("about 1 minute, in backbone")
    assert lines[2].startswith("step 2: KID x 1000 ")
    assert lines[3].startswith("training tiles: KID x 1000 ")
    assert lines[4].startswith("held-out tiles through the VAE: KID x 1000 ")
    assert lines[5].startswith("backbone: a checkpoint in diffusers' layout")


def test_is_taken_by_invert_and_augment(site, tiny, judge, chain):
    succeed("pretrain-backbone", site, *arguments(tiny, judge))
    few = ("--backbone", "backbone", "--device", "cpu", "--shots", 1, "--trials", 1)
    succeed("invert", chain.dataset, *few, "--steps", 2, "--batch", 1, "--validate-every", 0)
    output = succeed("augment", chain.dataset, *few, "--embeddings", "embeddings", "--images", 1, "--steps", 4)
    assert "in augmented" in output


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--vae", "nowhere"), "nowhere: no such folder; pass that of a vae as --vae"),
        (("--size", 40), "--size 40 does not fit the model; pass a multiple of 32"),
        (("--tile-size", 80), "to learn from, of 4; it takes 32 at least"),
        (("--unet", "huge"), "'huge' is not known"),
        (("--device", "cuda:99"), "no device 'cuda:99' on this machine"),
        (("--snr-gamma", 0), "--snr-gamma 0 cannot be; pass a number above 0, or inf"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(site, tiny, judge, given, said):
    assert said in refuse("pretrain-backbone", site, *arguments(tiny, judge), *given)


def test_without_a_vae_or_a_tokenizer(site, tiny):
    assert "images need a VAE; pass the folder of one, or of a checkpoint that has one, as --vae" in refuse(
        "pretrain-backbone", site
    )
    assert "prompts need a tokenizer" in refuse("pretrain-backbone", site, "--vae", tiny)


def test_outside_a_survey():
    assert "name orthomosaics or tiles, or run this in a survey's folder" in refuse("pretrain-backbone")


@pytest.mark.parametrize(("seconds", "said"), [(5, "1 minute"), (600, "10 minutes"), (9000, "2 h 30 min")])
def test_durations(seconds, said):
    assert _duration(seconds) == said
