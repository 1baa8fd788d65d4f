import json
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest

from spurgekit.diffusion.load import check_backbone, load_backbone
from spurgekit.errors import InputError, ModelError, OutputExistsError
from spurgekit.outputs import partial_folder
from spurgekit.pretrain import PretrainOptions, pretrain_backbone
from spurgekit.pretrain.backbone_card import PretrainedInfo
from tests.diffusion.pipelines import load_pipeline
from tests.diffusion.pretraining.conftest import register_least
from tests.pretrain.conftest import JUDGE
from tests.stops import killed_when


@pytest.fixture(scope="module")
def quick(tiny, least, judge):
    """Return options of a training that takes seconds."""

    def make(**given):
        return PretrainOptions(
            **{"vae": tiny, "tokenizer": tiny, "unet": least, "tile_px": 16, "size_px": 32, "steps": 4, "batch": 2, "crops": 64,
               "samples": 32, "validate_every": 2, "save_every": 2, "held_out": 0.25, "judge_backbone": JUDGE,
               "judge_weights": judge, "device": "cpu", "precision": "float32", "threads": 1, **given}
        )  # fmt: skip

    return make


@pytest.fixture(scope="module")
def pretrained(site, quick, tmp_path_factory):
    """The folder of a model of two kinds of ground, what it returned, and the plans and reports on the way."""
    folder, plans, reports = tmp_path_factory.mktemp("pretrained") / "backbone", [], []
    options = quick(licence="cc-by-sa-4.0", kinds=2)
    return folder, pretrain_backbone(site, folder, options, announce=plans.append, report=reports.append), plans, reports


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_a_folder_holds(pretrained):
    folder, info, plans, reports = pretrained
    assert {path.name for path in folder.iterdir()} == {
        "unet", "vae", "text_encoder", "tokenizer", "scheduler", "model_index.json", "validation", "README.md", "SHA256SUMS",
        "backbone.json", "losses.parquet", "nearest.png", "provenance.json", "sheet.png", "words.json",
    }  # fmt: skip
    assert PretrainedInfo.model_validate_json((folder / "backbone.json").read_text()) == info
    assert (info.training_tiles, info.held_out_tiles, info.crops, info.steps) == (84, 16, 64, 4)
    assert [one["step"] for one in info.judged] == [one["step"] for one in reports] == [2, 4]
    assert set(info.references) == {"training tiles", "held-out tiles through the VAE"}
    assert pd.read_parquet(folder / "losses.parquet")["step"].tolist() == [1, 2, 3, 4]
    (plan,) = plans
    assert (plan.steps, plan.done, plan.size_px, plan.parameters) == (4, 0, 32, info.parameters)
    assert plan.seconds > 0
    card = (folder / "README.md").read_text()
    assert "license: cc-by-sa-4.0" in card
    assert "| painted, after 4 steps |" in card
    assert "| training tiles |" in card
    assert not partial_folder(folder).exists()


def test_is_a_backbone_like_any_other(pretrained):
    folder, *_ = pretrained
    assert check_backbone(folder).licence == "cc-by-sa-4.0"
    assert load_backbone(folder, device="cpu").info.size_px == 32
    pipeline = load_pipeline(folder, "StableDiffusionPipeline")
    assert pipeline("a drone photo of ground", height=32, width=32, num_inference_steps=1).images[0].size == (32, 32)


def pretrain_least(site, out, options):
    """Train in a process that does not know the size that tests have."""
    sys.argv = ["spurgekit"]
    register_least()
    pretrain_backbone(site, out, options)


def test_killed_and_gone_on_with_gives_the_same_bytes(site, quick, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["spurgekit"])
    pretrain_backbone(site, tmp_path / "whole" / "backbone", quick())
    out = tmp_path / "killed" / "backbone"
    checkpoint = partial_folder(out) / "checkpoint.safetensors"
    killed_when(checkpoint.exists, pretrain_least, site, out, quick())
    assert checkpoint.is_file() or out.is_dir()
    if not out.is_dir():
        plans = []
        pretrain_backbone(site, out, quick(), announce=plans.append)
        assert plans[0].done >= 2
    assert contents(tmp_path / "whole" / "backbone") == contents(out)


def test_ended_early_and_never_with_other_settings(site, quick, tmp_path):
    out = tmp_path / "backbone"

    class Killed(BaseException):
        pass

    def stop(found):
        if found["step"] == 4:
            raise Killed

    with pytest.raises(Killed):
        pretrain_backbone(site, out, quick(steps=100), report=stop)
    with pytest.raises(OutputExistsError, match=r"backbone was begun with other settings \(learning_rate\); pass `overwrite`"):
        pretrain_backbone(site, out, quick(steps=100, learning_rate=1e-3))
    with pytest.raises(InputError, match=r"the run has done 2 steps; pass `steps=2` to end it there"):
        pretrain_backbone(site, out, quick(steps=1))
    assert pretrain_backbone(site, out, quick(steps=2)).steps == 2
    with pytest.raises(OutputExistsError, match="exists already; pass `overwrite` to replace it"):
        pretrain_backbone(site, out, quick(steps=2))


def test_other_pixels_are_other_settings(site, quick, tmp_path):
    own = shutil.copy(site, tmp_path / "dune.tif")

    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pretrain_backbone(own, tmp_path / "backbone", quick(), report=stop)
    data = bytearray(Path(own).read_bytes())
    data[-100] ^= 1
    Path(own).write_bytes(data)
    with pytest.raises(OutputExistsError, match=r"begun with other settings \(sources\)"):
        pretrain_backbone(own, tmp_path / "backbone", quick())


def test_nothing_held_out_is_not_judged(site, quick, tmp_path):
    notes = []
    info = pretrain_backbone(site, tmp_path / "backbone", quick(held_out=0.0), warn=notes.append)
    assert notes == ["no place is held out, so that the model is not judged"]
    assert (info.judged_by, info.references, info.judged) == (None, {}, [{"step": 2}, {"step": 4}])
    assert "It was not judged." in (tmp_path / "backbone" / "README.md").read_text()
    assert not (tmp_path / "backbone" / "nearest.png").exists()


def test_without_a_network_that_judges(site, quick, tmp_path, no_offline_weights):
    notes = []
    info = pretrain_backbone(site, tmp_path / "backbone", quick(judge_backbone=None, judge_weights=None), warn=notes.append)
    assert info.judged_by is None
    assert notes[0].startswith("nothing judges the model: pass a model of timm as `judge_backbone`")


def test_parts_are_asked_for_before_ground_is_read(quick, tmp_path):
    with pytest.raises(ModelError, match="images need a VAE"):
        pretrain_backbone(tmp_path / "no.tif", tmp_path / "backbone", quick(vae=None))
    assert not list(tmp_path.iterdir())


def test_words_are_written(pretrained):
    words = json.loads((pretrained[0] / "words.json").read_text())
    assert len(words["centres"]) == 2
    assert sum(words["centres"][0][:3]) < sum(words["centres"][1][:3])  # weed is darker than sand
