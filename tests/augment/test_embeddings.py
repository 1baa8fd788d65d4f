import json

import pandas as pd
import pytest

from spurgekit.augment.embeddings import check_embeddings, embedding_path, learn_embeddings, plan_inversions, read_embeddings
from spurgekit.augment.support_sets import ALL_TILES, SupportSetKey, tiles_of
from spurgekit.dataset import Dataset, open_dataset
from spurgekit.diffusion.concepts import load_concept
from spurgekit.diffusion.textual_inversion.inversion_options import InversionOptions
from spurgekit.errors import InputError, LeakageError, ModelError, OutputExistsError
from tests.stops import StopAfter

SETS = [SupportSetKey(0, 2), SupportSetKey(1, 2), ALL_TILES]
OPTIONS = InversionOptions(steps=3, batch=1, validate_every=3, save_every=1)


@pytest.fixture(scope="module")
def dataset(chain):
    return open_dataset(chain.dataset)


@pytest.fixture(scope="module")
def backbone(tiny):
    from spurgekit.diffusion.load import load_backbone

    return load_backbone(tiny, device="cpu", precision="float32")


@pytest.fixture(scope="module")
def embeddings(dataset, backbone, tmp_path_factory):
    """Words for two support sets and the whole split; not to be changed."""
    out = tmp_path_factory.mktemp("learned") / "embeddings"
    learn_embeddings(dataset, tiles_of(dataset, SETS), backbone, OPTIONS, out)
    return out


def renamed(dataset, *classes):
    return Dataset(dataset.path, dataset.info.model_copy(update={"classes": classes}))


class TestPlan:
    def test_a_task_for_each_class_of_each_set(self, dataset):
        planned = plan_inversions(dataset, tiles_of(dataset, SETS), OPTIONS)
        assert [one.task.key for one in planned] == [
            "t00-n02/sand", "t00-n02/weed", "t01-n02/sand", "t01-n02/weed", "all/sand", "all/weed",
        ]  # fmt: skip
        assert [one.task.token for one in planned] == ["<sand>", "<weed>"] * 3
        assert [one.task.init for one in planned] == ["sand", "weed"] * 3
        table = dataset.support_sets()
        listed = table[(table["trial"] == 1) & (table["n"] == 2) & (table["class"] == "weed")]["tile_id"]
        assert planned[3].tile_ids == tuple(listed)
        assert [path.stem for path in planned[3].task.images] == list(listed)
        assert len(planned[5].tile_ids) == (dataset.split("train")["class"] == "weed").sum()

    def test_the_init_word_of_the_options(self, dataset):
        assert {
            one.task.init for one in plan_inversions(dataset, tiles_of(dataset, SETS), InversionOptions.of("published"))
        } == {"the"}

    def test_templates_of_classes(self, dataset):
        options = InversionOptions(templates=("a photo of {}", "[weed]", "{} beside sand"))
        planned = plan_inversions(dataset, tiles_of(dataset, SETS[:1]), options)
        assert [one.task.templates for one in planned] == [("a photo of {}",), ("{} beside sand",)]
        with pytest.raises(InputError, match=r"no template is for 'sand'; add a section \[sand\]"):
            plan_inversions(dataset, tiles_of(dataset, SETS), InversionOptions(templates=("[weed]", "{}")))

    def test_classes_that_would_have_one_token(self, dataset):
        with pytest.raises(
            InputError, match="the classes 'leafy spurge' and 'Leafy-Spurge' would have one token, <leafy_spurge>"
        ):
            plan_inversions(renamed(dataset, "leafy spurge", "Leafy-Spurge"), tiles_of(dataset, SETS), OPTIONS)
        with pytest.raises(InputError, match="'—' has no letters to make a token of; rename the class"):
            plan_inversions(renamed(dataset, "—", "weed"), tiles_of(dataset, SETS), OPTIONS)

    def test_a_class_without_tiles(self, dataset):
        with pytest.raises(InputError, match="the class 'moss' has no tiles in the training split"):
            tiles_of(renamed(dataset, "sand", "weed", "moss"), SETS)


class TestLearn:
    def test_what_is_in_the_folder(self, backbone, embeddings):
        assert sorted(path.relative_to(embeddings).as_posix() for path in embeddings.rglob("*") if path.is_file()) == [
            "SHA256SUMS", "all/sand.safetensors", "all/weed.safetensors", "embeddings.json", "losses.parquet",
            "provenance.json",
            "t00-n02/sand.safetensors", "t00-n02/weed.safetensors", "t01-n02/sand.safetensors", "t01-n02/weed.safetensors",
            "validation/step-00003.png",
        ]  # fmt: skip
        info = read_embeddings(embeddings)
        assert (info.backbone, info.lora) == (backbone.info.name, None)
        assert [(word.set, word.class_name, word.token) for word in info.words[:2]] == [
            ("t00-n02", "sand", "<sand>"), ("t00-n02", "weed", "<weed>"),
        ]  # fmt: skip
        assert info.options["steps"] == 3
        for word in info.words:
            assert word.loss_before != word.loss_after
        assert load_concept(embedding_path(embeddings, SupportSetKey(1, 2), "weed")).token == "<weed>"
        assert len(pd.read_parquet(embeddings / "losses.parquet")) == 3 * 6
        assert json.loads((embeddings / "provenance.json").read_text())["parameters"]["options"]["steps"] == 3

    def test_stopped_and_gone_on_with_gives_the_same_bytes(self, dataset, backbone, embeddings, tmp_path):
        def stops(what, _):
            return StopAfter(2 if "learning" in what else 10**6)

        out = tmp_path / "embeddings"
        with pytest.raises(KeyboardInterrupt):
            learn_embeddings(dataset, tiles_of(dataset, SETS), backbone, OPTIONS, out, progress=stops)
        assert not out.exists()
        with pytest.raises(OutputExistsError, match=r"was begun with other settings \(options\)"):
            learn_embeddings(dataset, tiles_of(dataset, SETS), backbone, InversionOptions(steps=4), out)
        learn_embeddings(dataset, tiles_of(dataset, SETS), backbone, OPTIONS, out)
        files = [path.relative_to(embeddings) for path in embeddings.rglob("*") if path.is_file()]
        assert len(files) == len([path for path in out.rglob("*") if path.is_file()])
        for file in files:
            assert (out / file).read_bytes() == (embeddings / file).read_bytes(), file

    def test_what_cannot_be_learned_leaves_nothing_behind(self, dataset, backbone, tmp_path):
        with pytest.raises(InputError, match="images of 60 px do not fit"):
            learn_embeddings(dataset, tiles_of(dataset, SETS), backbone, InversionOptions(size_px=60), tmp_path / "embeddings")
        assert not list(tmp_path.iterdir())

    def test_a_folder_that_is_there(self, dataset, backbone, embeddings):
        with pytest.raises(OutputExistsError, match="exists already"):
            learn_embeddings(dataset, tiles_of(dataset, SETS), backbone, OPTIONS, embeddings)


class TestCheck:
    def test_words_that_fit(self, dataset, backbone, embeddings):
        check_embeddings(embeddings, dataset, tiles_of(dataset, SETS), backbone.info)
        check_embeddings(embeddings, dataset, tiles_of(dataset, SETS[:1]), backbone.info)
        with pytest.raises(InputError):
            check_embeddings(embeddings, dataset, tiles_of(dataset, [*SETS, SupportSetKey(2, 2)]), backbone.info)

    def test_words_of_another_model(self, dataset, backbone_info, embeddings):
        with pytest.raises(ModelError, match=r"were learned with .*tiny, not other; pass another folder of `embeddings`"):
            check_embeddings(embeddings, dataset, tiles_of(dataset, SETS), backbone_info(name="other"))
        with pytest.raises(ModelError, match=r"were learned with UNet none, not erased\.safetensors;"):
            check_embeddings(embeddings, dataset, tiles_of(dataset, SETS), backbone_info(unet="erased.safetensors"))
        with pytest.raises(ModelError, match="were learned with LoRA none, not meadow;"):
            check_embeddings(embeddings, dataset, tiles_of(dataset, SETS), backbone_info(lora="meadow"))

    def test_words_that_are_missing(self, dataset, backbone, embeddings):
        with pytest.raises(InputError, match="has no word for 'sand' of t02-n02; pass another folder of `embeddings`"):
            check_embeddings(embeddings, dataset, tiles_of(dataset, [SupportSetKey(2, 2)]), backbone.info)

    def test_words_that_know_other_tiles(self, dataset, backbone, embeddings, tmp_path):
        info = json.loads((embeddings / "embeddings.json").read_text())
        folder = tmp_path / "embeddings"
        folder.mkdir()
        info["words"][0]["tiles"].append("dune_r00007_c00011")
        (folder / "embeddings.json").write_text(json.dumps(info))
        for word in info["words"]:
            (folder / word["set"]).mkdir(exist_ok=True)
            (folder / word["set"] / f"{word['class_name']}.safetensors").touch()
        with pytest.raises(LeakageError, match=r"'sand' of t00-n02 .* outside of that support set, e.g. dune_r00007_c00011"):
            check_embeddings(folder, dataset, tiles_of(dataset, SETS), backbone.info)

    def test_no_folder_of_words(self, tmp_path):
        with pytest.raises(InputError, match="does not exist; learn words with 'spurgekit invert'"):
            read_embeddings(tmp_path / "none")
        with pytest.raises(InputError, match=r"holds no embeddings.json"):
            read_embeddings(tmp_path)
        (tmp_path / "embeddings.json").write_text("{}")
        with pytest.raises(InputError, match=r"embeddings\.json: backbone is missing; learn the words again"):
            read_embeddings(tmp_path)


@pytest.fixture
def backbone_info(backbone):
    from dataclasses import replace

    return lambda **changed: replace(backbone.info, **changed)
