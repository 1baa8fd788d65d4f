from pathlib import Path

import pytest

from spurgekit.augment.embeddings import read_embeddings
from spurgekit.errors import InputError
from tests.command import refuse, succeed

QUICK = ("--steps", 2, "--batch", 1, "--validate-every", 0, "--device", "cpu")


@pytest.fixture
def dataset(chain):
    return chain.dataset


def test_words_of_two_sets(dataset, tiny):
    output = succeed("invert", dataset, "--backbone", tiny, "--shots", "1,2", "--trials", 1, *QUICK).splitlines()
    assert output[0] == f"{tiny} (licence: not stated) on cpu"
    assert output[1] == "4 words to learn from 2 sets of tiles, 2 steps of 1 sample of each, in embeddings"
    assert output[2].split() == ["set", "word", "tiles", "loss", "before", "after"]
    assert [line.split()[:3] for line in output[3:7]] == [
        ["t00-n01", "<sand>", "1"], ["t00-n01", "<weed>", "1"], ["t00-n02", "<sand>", "2"], ["t00-n02", "<weed>", "2"],
    ]  # fmt: skip
    assert output[7] == "4 words in embeddings: embeddings.json, losses.parquet, validation/"
    assert (Path("embeddings") / "t00-n02" / "weed.safetensors").is_file()


def test_the_whole_split_as_published_but_for_what_is_given(dataset, tiny):
    prompts = Path("prompts.txt")
    prompts.write_text("a map of {}\n")
    succeed(
        "invert", dataset, "--backbone", tiny, "--out", "words", "--preset", "published", "--size", 64, "--vectors", 2,
        "--templates", prompts, "--init-word", "plant", "--learning-rate", 0.01, "--seed", 3, *QUICK,
    )  # fmt: skip
    info = read_embeddings(Path("words"))
    assert [word.set for word in info.words] == ["all", "all"]
    chosen = {"steps": 2, "batch": 1, "size_px": 64, "vectors": 2, "templates": ["a map of {}"], "init_word": "plant",
              "learning_rate": 0.01, "seed": 3, "augmentation": "hflip", "schedule": "constant"}  # fmt: skip
    assert {name: info.options[name] for name in chosen} == chosen


def test_a_folder_that_is_there_is_replaced_when_asked(dataset, tiny):
    succeed("invert", dataset, "--backbone", tiny, "--shots", 1, "--trials", 1, *QUICK)
    arguments = ("invert", dataset, "--backbone", tiny, "--shots", 2, "--trials", 1, *QUICK)
    assert "embeddings exists already; pass --overwrite" in refuse(*arguments)
    succeed(*arguments, "--overwrite")
    assert {word.set for word in read_embeddings(Path("embeddings")).words} == {"t00-n02"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "prompts.txt: there are no templates; write some, e.g. 'a drone photo of {}'"),
        ("weed", "prompts.txt: the template 'weed' has 0 gaps {} for the word; each takes one"),
        ("{}\n[weeds]\n{}", "templates have a section of the class 'weeds', did you mean weed?"),
        ("[weed]\n{} in sand", "no template is for 'sand'; add a section [sand], or templates for all ahead of the first"),
    ],
)
@pytest.mark.parametrize("command", ["invert", "augment"])
def test_templates_that_cannot_be(dataset, tiny, command, text, said):
    Path("prompts.txt").write_text(text)
    assert said in refuse(command, dataset, "--backbone", tiny, "--device", "cpu", "--templates", "prompts.txt")
    assert not Path("embeddings").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--vectors", 0), "vectors 0 is too small; pass 1 or more"),
        (("--templates", "topdown"), "there are no templates 'topdown', did you mean top-down"),
        (("--init-word", " "), "--init-word is empty"),
        (("--shots", 3), "has no support sets of 3 shots"),
        (("--backbone", "nowhere/at-all/really"), "nowhere/at-all/really"),
        (("--device", "cuda:99"), "no device 'cuda:99' on this machine"),
        (("--size", 60), "images of 60 px do not fit the model; pass a multiple of 8"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(dataset, tiny, arguments, said):
    assert said in refuse("invert", dataset, "--backbone", tiny, *arguments)


def test_without_a_dataset_or_a_survey():
    assert "name a dataset, or run this in a survey's folder" in refuse("invert")


@pytest.mark.parametrize(
    ("arguments", "chosen"),
    [
        ((), {"steps": 1000, "augmentation": "dihedral", "size_px": None, "seed": 5}),
        (("--preset", "published"), {"steps": 1000, "augmentation": "hflip", "size_px": 512}),
        (("--preset", "published", "--learn-preset", "spurgekit"), {"augmentation": "dihedral"}),
        (("--size", 256), {"size_px": 256}),
        (
            ("--size", 256, "--learn-size", 128, "--learn-steps", 7, "--learn-batch", 2),
            {"size_px": 128, "steps": 7, "batch": 2},
        ),
    ],
)
def test_augment_may_learn_words_too(arguments, chosen, dataset, monkeypatch):
    told = []

    def note(dataset, out, options, **_):
        told.append(options)
        raise InputError("that is all")

    monkeypatch.setattr("spurgekit.augment_dataset", note)
    assert "that is all" in refuse("augment", dataset, "--steps", 30, "--seed", 5, *arguments)
    (options,) = told
    assert options.steps == 30  # its own
    assert {name: getattr(options.inversion, name) for name in chosen} == chosen
