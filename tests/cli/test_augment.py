"""``spurgekit augment`` as a user calls it."""

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from PIL import Image

from tests.chain import BACKBONE, TILE_PX
from tests.command import refuse, succeed

FEW = ("--shots", 1, "--trials", 1, "--images", 2, "--steps", 4, "--device", "cpu")
LEARN = ("--learn-steps", 2, "--learn-batch", 1, "--validate-every", 0)


@pytest.fixture
def arguments(chain, tiny):
    return ("augment", chain.dataset, "--backbone", tiny)


class TestRun:
    def test_da_fusion_from_nothing(self, arguments, tiny):
        printed = succeed(*arguments, *FEW, *LEARN, "--strengths", "0.25-1").splitlines()
        assert printed[0] == f"{tiny} (licence: not stated) on cpu; safety checker: off"
        assert printed[1].startswith("4 images to make for 1 support set in augmented: about ")
        assert printed[1].endswith(" MB")
        assert printed[2].startswith("4 images, ")
        assert printed[2].endswith(" images/s in augmented: manifest.parquet (4 rows), contact_sheet.png")
        assert len(printed) == 3
        assert Path("embeddings/t00-n01/weed.safetensors").is_file()

    def test_what_it_made_is_trained_with(self, arguments, chain):
        succeed(*arguments, *FEW, "--method", "real-guidance")
        evaluated = succeed(
            "evaluate", chain.dataset, "--arms", "probe,probe+synthetic", "--synthetic", "augmented", "--shots", 1,
            "--trials", 1, "--backbone", BACKBONE, "--no-pretrained", "--image-size", TILE_PX,
        )  # fmt: skip
        assert "| probe+synthetic |" in evaluated

    def test_the_whole_split_is_trained_with_too(self, arguments, chain):
        succeed(*arguments, "--method", "roundtrip")
        succeed(
            "train", chain.dataset, "--arm", "probe+synthetic", "--synthetic", "augmented",
            "--backbone", BACKBONE, "--no-pretrained", "--image-size", TILE_PX, "--out", "model",
        )  # fmt: skip
        assert json.loads(Path("model/provenance.json").read_text())["parameters"]["arm"] == "probe+synthetic"

    def test_polygons_in_another_crs(self, arguments, chain):
        weed = gpd.read_file(chain.weed)
        gpd.GeoDataFrame(geometry=weed.buffer(0.02), crs=weed.crs).to_crs("EPSG:4326").to_file("plants.geojson")
        succeed(
            *arguments, *FEW, "--method", "real-guidance", "--mask", "plants.geojson", "--where", "outside", "--dilate", 2,
            "--feather", 2, "--skip-unmasked",
        )  # fmt: skip
        rows = pd.read_parquet("augmented/manifest.parquet")
        assert set(rows["class"]) == {"weed"}
        tiles = gpd.read_parquet(chain.tiles / "tiles.parquet").set_index("tile_id")
        for _, row in rows.iterrows():
            made = np.asarray(Image.open(Path("augmented") / row["file_name"]))
            real = np.asarray(Image.open(chain.tiles / tiles.loc[row["tile_id"], "file_name"]))
            may = np.asarray(Image.open(f"augmented/masks/{row['tile_id']}.png"))
            assert (made[may == 0] == real[may == 0]).all()
            assert (made[may == 255] != real[may == 255]).any()

    def test_near_duplicates_have_no_weight(self, arguments):
        printed = succeed(
            *arguments, *FEW, "--method", "real-guidance", "--strengths", "0.25", "--guidance", 0, "--drop-duplicates"
        )
        rows = pd.read_parquet("augmented/manifest.parquet")
        dropped = int((rows["weight"] == 0).sum())
        assert (f"{dropped} rows show what another one shows, and have weight 0" in printed) is (dropped > 0)
        assert (rows.groupby("class")["weight"].max() == 1).all()


class TestControls:
    def evaluate(self, chain, arms, *folders):
        named = [part for folder in folders for part in ("--synthetic", folder)]
        return (
            "evaluate", chain.dataset, "--arms", arms, *named, "--shots", 1, "--trials", 1,
            "--backbone", BACKBONE, "--no-pretrained", "--image-size", TILE_PX,
        )  # fmt: skip

    def test_are_compared_in_one_evaluation(self, arguments, chain):
        succeed(*arguments, *FEW, "--method", "real-guidance", "--out", "edits")
        succeed(*arguments, *FEW, "--method", "roundtrip", "--out", "coded")
        arms = "probe,probe+synthetic:edits,probe+synthetic:coded"
        printed = succeed(*self.evaluate(chain, arms, "edits=edits", "coded=coded"))
        assert [line.split(" | ")[0] for line in printed.splitlines()[2:5]] == [f"| {arm}" for arm in arms.split(",")]

    def test_folders_that_cannot_be_told_apart(self, arguments, chain):
        succeed(*arguments, *FEW, "--method", "roundtrip", "--out", "coded")
        for arms, folders, message in (
            ("probe+synthetic:other", ["coded=coded"], "none of the folders of --synthetic (coded); write synthetic:NAME"),
            ("probe+synthetic", ["a=coded", "b=coded"], "is of none of the folders of --synthetic (a, b)"),
            ("probe+synthetic", ["coded", "coded"], "of several folders each needs a name"),
            ("probe+synthetic", ["a=coded", "a=coded"], "two folders are called 'a'"),
        ):
            assert message in refuse(*self.evaluate(chain, arms, *folders))


class TestControl:
    def test_prompts_with_a_context(self, arguments):
        succeed(
            *arguments, *FEW, *LEARN, "--prompt", "a drone photo of <weed> to the right of a trail",
            "--prompt", "{concept} in snow", "--negative", "people", "--concept-scale", 1.2, "--concept-noise", 0.01,
        )  # fmt: skip
        rows = pd.read_parquet("augmented/manifest.parquet")
        assert set(rows["prompt"][rows["class"] == "sand"]) == {"<sand> in snow"}
        of_weed = {"a drone photo of <weed> to the right of a trail", "<weed> in snow"}
        assert set(rows["prompt"][rows["class"] == "weed"]) == of_weed
        assert set(rows["negative"]) == {"people"}

    def test_words_that_were_learned_paint_from_noise_alone(self, arguments):
        succeed(*arguments, *FEW, *LEARN, "--method", "text-to-image", "--prompt", "<sand>", "--prompt", "<weed>")
        assert Path("embeddings/t00-n01/sand.safetensors").is_file()

    def test_edits_across_classes_are_trained_with_as_soft_labels(self, arguments, chain):
        succeed(*arguments, *FEW, *LEARN, "--cross", 0.5, "--strengths", "0.25")
        rows = pd.read_parquet("augmented/manifest.parquet")
        assert rows["share"].tolist() == [1, 0.5, 1, 0.5]
        assert rows["class"].tolist() == ["sand", "weed", "weed", "sand"]
        succeed(
            "evaluate", chain.dataset, "--arms", "probe+synthetic", "--synthetic", "augmented", "--shots", 1,
            "--trials", 1, "--backbone", BACKBONE, "--no-pretrained", "--image-size", TILE_PX,
        )  # fmt: skip

    def test_other_models_by_the_same_options(self, chain, tiny_xl, tiny_inpaint):
        for backbone in (tiny_xl, tiny_inpaint):
            learned = ("--embeddings", f"{backbone.name}-words", "--out", f"{backbone.name}-tiles")
            succeed("augment", chain.dataset, "--backbone", backbone, *FEW, *LEARN, *learned)
            assert len(pd.read_parquet(f"{backbone.name}-tiles/manifest.parquet")) == 4


class TestWeigh:
    def test_weights_go_into_the_manifest(self, arguments, chain):
        judge = ("--backbone", BACKBONE, "--no-pretrained", "--image-size", TILE_PX)
        succeed(*arguments, *FEW, "--method", "roundtrip")
        printed = succeed("weigh", "augmented", chain.dataset, "--keep", "weighted", "--min-confidence", 1, *judge).splitlines()
        rows = pd.read_parquet("augmented/manifest.parquet")
        assert rows["weight"].tolist() == rows["confidence"].tolist()
        assert printed[0].split() == ["set", "class", "images", "kept", "confidence"]
        assert [line.split()[:4] for line in printed[1:3]] == [["t00-n01", "sand", "1", "1"], ["t00-n01", "weed", "1", "1"]]
        assert printed[-1] == "2 of 2 synthetic tiles kept in augmented/manifest.parquet"

    def test_what_cannot_be(self, chain):
        assert "nowhere does not exist" in refuse("weigh", "nowhere", chain.dataset)
        assert "name a folder of synthetic tiles and a dataset" in refuse("weigh")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--strengths", "0.1"),
            "a strength of 0.1 is less than one of 4 steps; pass a strength of 0.25 or more, or --steps 10",
        ),
        (("--strengths", "strong"), "'strong' are no strengths; pass e.g. 1,0.75,0.5,0.25"),
        (("--prompt", "a photo of <wead>"), "has the token <wead>, did you mean <weed>"),
        (("--prompt", "a photo of <weed>"), "no prompt is for 'sand'; add one with {concept} or <sand>"),
        (("--scheduler", "eular"), "'eular' is not known, did you mean euler"),
        (("--shots", "3"), "has no support sets of 3 shots"),
        (("--size", "100"), "the model cannot work at 100 px; pass a multiple of 64"),
        (("--cross", "2"), "--cross 2 is not a share"),
        (("--mask", "nowhere.gpkg"), "nowhere.gpkg: no such file or folder"),
        (("--mask-crs", "EPSG:0", "--mask", "nowhere.gpkg"), "nowhere.gpkg: no such file or folder"),
        (("--method", "text-to-image", "--mask", "nowhere.gpkg"), "text-to-image edits no tile; leave --mask out"),
        (("--device", "cuda:99"), "no device 'cuda:99' on this machine"),
        (("--safety-checker",), "has no safety checker"),
    ],
)
def test_one_line_says_what_is_wrong(arguments, options, message):
    assert message in refuse(*arguments, *FEW, *options)


def test_a_mask_that_misses_the_tiles(arguments):
    polygon = shapely.box(400_000, 5_000_000, 400_001, 5_000_001)
    gpd.GeoDataFrame(geometry=[polygon], crs="EPSG:32612").to_file("far.gpkg")
    line = refuse(*arguments, *FEW, "--mask", "far.gpkg")
    assert "the mask far.gpkg misses all 2 tiles" in line


def test_without_the_weights_and_without_a_connection(chain, monkeypatch):
    monkeypatch.setattr("spurgekit.hub._reaches", lambda _: False)
    line = refuse("augment", chain.dataset, *FEW, code=1)
    assert "stable-diffusion-v1-5/stable-diffusion-v1-5" in line
    assert "--backbone" in line


def test_pickled_weights_only(chain, tiny, tmp_path):
    import shutil

    folder = shutil.copytree(tiny, tmp_path / "pickled")
    (folder / "unet" / "diffusion_pytorch_model.safetensors").rename(folder / "unet" / "diffusion_pytorch_model.bin")
    line = refuse("augment", chain.dataset, "--backbone", folder, *FEW)
    assert "pickle" in line


def test_without_a_dataset_or_a_survey():
    assert "name a dataset, or run this in a survey's folder" in refuse("augment")
