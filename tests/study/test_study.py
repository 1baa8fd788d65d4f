"""A study from support sets to its page: what it chooses by, that it goes on, what it refuses."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spurgekit import StudyOptions, run_study
from spurgekit.augment import generation
from spurgekit.classify import features
from spurgekit.dataset import open_dataset
from spurgekit.errors import InputError, OutputExistsError
from spurgekit.progress import silent
from spurgekit.study.choosing import Choice, build_training_side, choose
from spurgekit.study.costs import Costs
from spurgekit.study.generating import Generator
from spurgekit.study.study import why_not_pasted
from spurgekit.tiles.png import encode_png
from tests.chain import BACKBONE
from tests.command import refuse, succeed
from tests.diffusion.tiny import make_taesd, make_tiny
from tests.evaluate.test_experiment import draw_dataset

OPTIONS = StudyOptions(
    backbone=BACKBONE, pretrained=False, image_size_px=32, precision="float32", device="cpu",
    arms=("plain", "probe", "probe+retrieval"), shots=(1, 2), trials=2, images=1, learn_steps=1, choose_trials=2,
    strengths=("0.1", "0.3"), mixings=(0.2, 0.4),
)  # fmt: skip


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return draw_dataset(tmp_path_factory.mktemp("drawn"), signal=1)


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    """With a diffusion model whose encoder and decoder are as small as can be."""
    return replace(OPTIONS, diffusion=str(make_tiny(tmp_path_factory.mktemp("sd") / "tiny", vae=make_taesd())))


@pytest.fixture(scope="module")
def studied(dataset, options, tmp_path_factory):
    out = tmp_path_factory.mktemp("studied") / "study"
    return out, run_study(dataset, out, options)


@pytest.fixture(scope="module")
def of_one_choice(dataset, options, tmp_path_factory):
    """A study with nothing to choose between, and the images that it looks at with the classifier's backbone."""
    looked_at: list[Path] = []
    read = features.batches

    def noting(paths, *args, **how):
        looked_at.extend(paths)
        return read(paths, *args, **how)

    one = replace(options, strengths=("0.3",), mixings=(0.2,), shots=(1,), arms=("probe",))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(features, "batches", noting)
        return run_study(dataset, tmp_path_factory.mktemp("one") / "study", one), looked_at


def digests(folder: Path) -> dict[str, str]:
    """What is in a folder, but for what its steps cost."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


class TestChoosing:
    GAINS = pd.DataFrame(
        {"strength": ["0.1", "0.1", "0.3", "0.3"], "n": [1, 4, 1, 4], "difference": [0.0, 0.02, 0.01, 0.02]}
    ).assign(guidance=7.5, mixing=0.1)

    def test_takes_what_gained_most_and_the_first_of_equals(self):
        assert choose(self.GAINS, (1, 4)) == (Choice("0.3", 7.5, 0.1, (1,)), Choice("0.1", 7.5, 0.1, (4,)))

    def test_more_shots_than_were_tried_take_the_next_smaller(self):
        assert choose(self.GAINS, (4, 8, 16)) == (Choice("0.1", 7.5, 0.1, (4, 8, 16)),)

    def test_a_gain_that_is_not_known_is_not_taken(self):
        gains = self.GAINS.assign(difference=[np.nan, 0.02, -0.1, 0.0])
        assert choose(gains, (1,)) == (Choice("0.3", 7.5, 0.1, (1,)),)

    def test_guidance_is_chosen_like_strength(self):
        gains = self.GAINS.assign(strength="0.1", guidance=[2.0, 2.0, 7.5, 7.5])
        assert choose(gains, (1, 4)) == (Choice("0.1", 7.5, 0.1, (1,)), Choice("0.1", 2.0, 0.1, (4,)))

    def test_fewer_shots_than_were_tried(self):
        with pytest.raises(InputError, match=r"too few tiles to choose by for 1 tiles a class; pass larger `shots`"):
            choose(self.GAINS[self.GAINS["n"] == 4], (1, 4))


class TestTrainingSide:
    def test_is_of_training_tiles_alone_and_parted_by_place(self, dataset, tmp_path):
        data = open_dataset(dataset)
        info = build_training_side(data, tmp_path, shots=(1, 2), trials=2)
        inner = open_dataset(tmp_path / "dataset")
        rows = {name: inner.split(name) for name in ("train", "test")}
        assert info.classes == data.info.classes
        assert set().union(*(of["tile_id"] for of in rows.values())) == set(data.split("train")["tile_id"])
        assert set(rows["train"]["group"]).isdisjoint(rows["test"]["group"])
        assert set(rows["train"]["group"]) | set(rows["test"]["group"]) == set(data.split("train")["group"])

    def test_of_one_place(self, tmp_path):
        dataset = draw_dataset(tmp_path, signal=1, groups=2)
        with pytest.raises(InputError, match=r"all training tiles of .* are of one place, P0"):
            build_training_side(open_dataset(dataset), tmp_path / "side", shots=(1,), trials=1)

    def test_a_choice_reads_no_image_and_no_label_of_the_test_side(self, dataset, options, studied, tmp_path):
        blind = shutil.copytree(dataset, tmp_path / "blind")
        data = open_dataset(blind)
        for path in data.split("test")["path"]:
            Path(path).write_bytes(b"not an image")
        table = pd.read_csv(blind / "test" / "metadata.csv")
        swapped = {"absent": "present", "present": "absent"}
        table.assign(label=1 - table["label"], **{"class": table["class"].map(swapped)}).to_csv(
            blind / "test" / "metadata.csv", index=False
        )
        said: list[str] = []
        (tmp_path / "out").mkdir()
        generator = Generator(
            open_dataset(blind), tmp_path / "out", options, Costs(tmp_path / "out"), False, said.append, said.append, silent
        )
        generator.prepare()
        choices, gains = generator.choose(BACKBONE)
        assert choices == studied[1].choices
        pd.testing.assert_frame_equal(gains, studied[1].gains)


class TestStudy:
    def test_compares_all_arms_over_the_same_support_sets(self, studied):
        out, report = studied
        assert list(dict.fromkeys(report.summary["arm"])) == [
            "plain", "probe", *(f"probe+synthetic:{name}" for name in ("roundtrip", "real-guidance", "da-fusion", "chosen")),
        ]  # fmt: skip
        predictions = pd.read_parquet(report.folder / "predictions.parquet")
        assert set(predictions.groupby("arm").size()) == {2 * 2 * 24}
        assert report.folder == out / BACKBONE / "report"
        assert report.best in ("plain", "probe")
        assert report.best not in set(report.differences["arm"])
        assert sorted(n for choice in report.choices for n in choice.shots) == [1, 2]
        assert len(report.gains) == 2 * 2 * 2
        assert any("no unlabelled tiles" in warning for warning in report.warnings)

    def test_page(self, studied):
        _, report = studied
        page = (report.folder / "study.md").read_text()
        assert page.startswith(
            "# Does augmentation help on dataset?\n\n24 training tiles and 24 test tiles of 2 classes. By place:"
        )
        assert f"The best arm without a generator is `{report.best}`" in page
        for step in (
            "words, published",
            "da-fusion",
            "choosing: edits-0-3-guidance-7-5",
            f"{BACKBONE}: without-generator",
        ):
            assert f"| {step} | " in page
        assert report.costs["seconds"].sum() > 0

    def test_edits_of_each_choice_are_made_for_its_shots_alone(self, studied):
        out, report = studied
        made = {path.name for path in out.glob("edits-*")}
        by_strength: dict[str, list[int]] = {}
        for choice in report.choices:
            by_strength.setdefault(choice.strength, []).extend(choice.shots)
        names = {strength.replace(".", "-"): "-".join(map(str, sorted(shots))) for strength, shots in by_strength.items()}
        assert made == {f"edits-{strength}-guidance-7-5-n{shots}" for strength, shots in names.items()}

    def test_one_that_was_stopped_goes_on_and_ends_the_same(self, dataset, options, studied, tmp_path, monkeypatch):
        whole, report = studied
        made = generation.encode_png
        left = [12]

        def stop(image):
            left[0] -= 1
            if not left[0]:
                raise KeyboardInterrupt
            return made(image)

        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(generation, "encode_png", stop)
            run_study(dataset, tmp_path / "study", options)
        again = run_study(dataset, tmp_path / "study", options)
        pd.testing.assert_frame_equal(again.differences, report.differences)
        same = {name: digest for name, digest in digests(whole).items() if name.endswith(".png")}
        assert {name: digest for name, digest in digests(tmp_path / "study").items() if name.endswith(".png")} == same

    def test_one_that_is_done_makes_nothing_again(self, dataset, options, studied, monkeypatch):
        monkeypatch.setattr("spurgekit.study.generating.augment_dataset", None)
        monkeypatch.setattr("spurgekit.study.generating.invert_classes", None)
        out, report = studied
        pd.testing.assert_frame_equal(run_study(dataset, out, options).summary, report.summary)

    def test_nothing_to_choose_between(self, of_one_choice):
        report, _ = of_one_choice
        assert report.choices == (Choice("0.3", 7.5, 0.2, (1,)),)
        assert not (report.folder.parents[1] / "choosing").exists()
        assert "There was nothing to choose between." in (report.folder / "study.md").read_text()

    def test_looks_once_at_tiles_of_the_dataset(self, dataset, of_one_choice):
        _, looked_at = of_one_choice
        data = open_dataset(dataset)
        own = [path for path in looked_at if path.is_relative_to(data.path)]
        assert sorted(own) == sorted(path for side in ("train", "test") for path in data.split(side)["path"])

    def test_each_place_left_out_in_turn(self, options, tmp_path):
        dataset = draw_dataset(tmp_path, signal=1, groups=4)
        left_out = replace(options, strengths=("0.3",), mixings=(0.2,), shots=(1,), arms=("probe",), leave_out="group")
        report = run_study(dataset, tmp_path / "study", left_out)
        predictions = pd.read_parquet(report.folder / "predictions.parquet")
        assert predictions["fold"].nunique() == 4
        assert set(predictions.groupby("arm").size()) == {2 * 24}

    def test_without_a_generator(self, dataset, tmp_path):
        report = run_study(dataset, tmp_path / "study", OPTIONS)
        assert set(report.summary["arm"]) == {"plain", "probe"}
        assert report.choices == ()
        assert "Nothing was generated." in (report.folder / "study.md").read_text()


@pytest.fixture(scope="module")
def masks(dataset, tmp_path_factory):
    """Masks of all tiles: a square in the middle."""
    folder = tmp_path_factory.mktemp("masks")
    data = open_dataset(dataset)
    mask = np.zeros((data.info.size_px,) * 2, np.uint8)
    mask[8:-8, 8:-8] = 255
    for side in ("train", "test"):
        for tile in data.split(side)["tile_id"]:
            (folder / f"{tile}.png").write_bytes(encode_png(mask))
    return folder


class TestPasting:
    def test_with_a_model_and_without_one(self, dataset, options, masks, tmp_path):
        pasting = replace(
            options, mask=masks, arms=("probe",), shots=(1,), strengths=("0.3",), guidances=(2.0, 4.0), mixings=(0.2,)
        )
        report = run_study(dataset, tmp_path / "study", pasting)
        assert list(dict.fromkeys(report.summary["arm"])) == [
            "probe", *(f"probe+synthetic:{name}" for name in (
                "copy-paste", "roundtrip", "real-guidance", "da-fusion", "insertion", "chosen",
            )),
        ]  # fmt: skip
        pasted, edited = (
            pd.read_parquet(tmp_path / "study" / name / "manifest.parquet") for name in ("copy-paste", "insertion")
        )
        for name in ("id", "tile_id", "ground", "cover", "weight"):
            assert pasted[name].tolist() == edited[name].tolist()
        (choice,) = report.choices
        assert choice.guidance in (2.0, 4.0)
        assert set(report.gains["guidance"]) == {2.0, 4.0}
        assert f"| 1 | 0.3 | {choice.guidance:g} | 0.2 |" in (report.folder / "study.md").read_text()

    def test_copy_and_paste_is_an_arm_without_a_generator(self, dataset, masks, tmp_path):
        options = replace(OPTIONS, mask=masks, arms=("probe",), shots=(1,))
        report = run_study(dataset, tmp_path / "study", options)
        assert set(report.summary["arm"]) == {"probe", "probe+synthetic:copy-paste"}
        assert "Nothing was generated." in (report.folder / "study.md").read_text()
        with pytest.raises(OutputExistsError, match=r"was begun with other settings \(images\)"):
            run_study(dataset, tmp_path / "study", replace(options, images=3))

    def test_it_is_said_where_nothing_is_pasted(self, dataset, studied):
        assert "copy-paste left out: nothing says where in its tiles a class is (`mask`)" in studied[1].warnings
        assert not (studied[0] / "copy-paste").exists()
        assert why_not_pasted(open_dataset(dataset), replace(OPTIONS, mask="excess-green")) is None


class TestRefused:
    def test_other_settings_of_what_is_generated(self, dataset, options, studied):
        with pytest.raises(OutputExistsError, match=r"was begun with other settings \(images\)"):
            run_study(dataset, studied[0], replace(options, images=3))

    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            ({"arms": ("probe", "probe+synthetic")}, "of generated tiles, which the study makes itself"),
            ({"arms": ("plain",)}, "`arms` lacks probe"),
            ({"shots": (0, 1)}, "pass numbers of tiles a class"),
            ({"trials": 0}, "`trials=0` is too small"),
            ({"strengths": ()}, "nothing to choose from"),
            ({"strengths": ("1:0.5;8:0.1",)}, "by shots, which the study chooses by"),
            ({"strengths": ("2",)}, "pass numbers above 0"),
            ({"guidances": ()}, "nothing to choose from"),
            ({"guidances": (-1.0,)}, "`guidances` of -1 cannot be"),
            ({"lora": "lora"}, "`lora` is merged into a diffusion model; name that as `diffusion`"),
            ({"mixings": (1.0,)}, "is no share of generated tiles"),
            ({"recipe": "lora"}, "cannot be"),
            ({"leave_out": "group", "diffusion": "model"}, "no training side to choose by"),
        ],
    )
    def test_options(self, changes, says):
        with pytest.raises(InputError, match=says):
            replace(OPTIONS, **changes)

    def test_on_the_command_line(self, dataset, tmp_path):
        line = refuse("study", dataset, "--out", tmp_path / "study", "--shots", "1,32")
        assert "has no support sets of 32 shots" in line
        assert not (tmp_path / "study").exists()


def test_the_command(dataset, tmp_path):
    said = succeed(
        "study", dataset, "--out", tmp_path / "study", "--arms", "plain,probe", "--shots", "1", "--trials", "2",
        "--backbone", BACKBONE, "--no-pretrained", "--image-size", "32",
    )  # fmt: skip
    assert "Nothing was generated." in said
    assert (tmp_path / "study" / BACKBONE / "report" / "study.md").is_file()
