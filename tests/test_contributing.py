"""The varieties that CONTRIBUTING.md adds, taken from its text and run as anybody's own: from imagery to map."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import torch
from PIL import Image
from sklearn.metrics import matthews_corrcoef
from sklearn.neighbors import NearestCentroid

import spurgekit.cli
from spurgekit.augment.augmentation import AUGMENTATIONS, parse_augmentation
from spurgekit.classify.arms import RECIPES, parse_arm
from spurgekit.classify.classifier import TilePredictions
from spurgekit.classify.metrics import METRICS
from spurgekit.classify.probe import ProbeSamples
from spurgekit.classify.probe_samples import ProbeUnit, SupportSet, probe_unit, tile_features
from spurgekit.classify.scores import value_of
from spurgekit.classify.setup import set_up
from spurgekit.classify.tile_reader import read_tile
from spurgekit.dataset import open_dataset
from spurgekit.dataset.imagefolder import read_imagefolder
from spurgekit.errors import InputError, UnknownNameError
from spurgekit.evaluate.analysis import analyse
from spurgekit.evaluate.report_page import report_lines
from spurgekit.maps import load_map_model
from spurgekit.maps.bands import BANDS
from spurgekit.markers.families import FAMILIES
from spurgekit.simulate.painted_markers import PaintedMarker, paint_marker
from spurgekit.tiles.tile_formats import TILE_FORMATS, TileFormat
from spurgekit.vector_formats import VECTOR_FORMATS, VectorFormat
from tests.chain import BACKBONE, CLASSES, TILE_PX
from tests.command import refuse, succeed
from tests.evaluate.drawn import simulated

PAGE = Path(__file__).resolve().parents[1] / "CONTRIBUTING.md"
NAMES = {
    "A marker family": (FAMILIES, "quartered-disc"),
    "A recipe": (RECIPES, "nearest-mean"),
    "An augmentation": (AUGMENTATIONS, "exposure"),
    "A metric": (METRICS, "mcc"),
    "A band of maps": (BANDS, "ambiguity"),
}
"""What the block under each heading of the page registers, and where."""

FAMILY, RECIPE, OTHER = "quartered-disc", "nearest-mean", "nearest-mean-as-it-lies"
"""The other recipe is the same on features of any length, of the tile as it lies."""

GSD_M, MARKER_M = 0.025, 0.6
OPTIONS = spurgekit.TrainOptions(backbone=BACKBONE, pretrained=False, image_size_px=TILE_PX, device="cpu", precision="float32")
FLAGS = ("--backbone", BACKBONE, "--no-pretrained", "--image-size", TILE_PX, "--device", "cpu", "--precision", "float32")


def blocks():
    """Return the Python on the page by the heading that it stands under."""
    sections = re.split(r"^#{2,3} (.+)\n", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    found = {
        head: re.findall(r"^```python\n(.*?)^```", body, flags=re.DOTALL | re.MULTILINE)
        for head, body in zip(sections[::2], sections[1::2], strict=True)
    }
    return {head: "\n\n".join(codes) for head, codes in found.items() if codes}


@contextmanager
def commands_imported_anew():
    """Forget the commands, whose choices are made as they are imported; remember them in the end as they were."""
    before = {name: module for name, module in sys.modules.items() if name.startswith("spurgekit.cli.")}
    shown = dict(vars(spurgekit.cli))
    for name in before.keys() - {"spurgekit.cli.main"}:
        del sys.modules[name]
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name.startswith("spurgekit.cli.")]:
            del sys.modules[name]
        sys.modules.update(before)
        vars(spurgekit.cli).clear()
        vars(spurgekit.cli).update(shown)


@pytest.fixture(scope="module")
def varieties(chain):  # made without them, whichever test is the first to ask for it
    """Run the blocks, each by itself, and in the end take out again what they registered."""
    before = [(registry, dict(registry)) for registry, _ in NAMES.values()]
    try:
        for head, code in blocks().items():
            exec(compile(code, f"{PAGE.name}: {head}", "exec"), {"__name__": head})
        RECIPES.register(replace(RECIPES[RECIPE], name=OTHER, unit_features=False, views=1))
        with commands_imported_anew():
            yield
    finally:
        for registry, records in before:
            for name in registry.keys() - records.keys():
                registry.unregister(name)
    assert all(dict(registry) == records for registry, records in before)


@pytest.fixture(scope="module")
def survey(varieties, tmp_path_factory):
    """Two plots with a marker of the family at each of six corners."""
    folder = tmp_path_factory.mktemp("survey") / "site"
    succeed(
        "simulate", folder, "--family", FAMILY, "--marker-size", MARKER_M, "--plot-rows", 1, "--plot-columns", 2,
        "--plot-size", 4, "--gsd", GSD_M, "--rotation", 20, "--distractors", 4, "--seed", 4,
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def models(varieties, chain, tmp_path_factory):
    """A model of each recipe, with the augmentation; probabilities as they come, not calibrated."""
    folder = tmp_path_factory.mktemp("models")
    for recipe in (RECIPE, OTHER):
        arm = f"{recipe}+exposure"
        succeed("train", chain.dataset, "--arm", arm, "--calibration", "none", *FLAGS, "--out", folder / recipe)
    return {recipe: folder / recipe for recipe in (RECIPE, OTHER)}


@pytest.fixture(scope="module")
def evaluation(varieties, chain, tmp_path_factory):
    """Both recipes with the augmentation, compared by the metric."""
    out = tmp_path_factory.mktemp("evaluation") / "out"
    arms = f"probe,{RECIPE}+exposure,{OTHER}+exposure"
    shots = ("--shots", "1,4,all", "--trials", 2)
    succeed("evaluate", chain.dataset, "--arms", arms, *shots, "--metric", "mcc", "--calibration", "none", *FLAGS, "--out", out)
    return out


@pytest.fixture(scope="module")
def site_map(models, chain, tmp_path_factory):
    out = tmp_path_factory.mktemp("map") / "out"
    succeed("map", chain.site, "--model", models[RECIPE], "--device", "cpu", "--out", out)
    return out


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """The script that the page shows, in a folder with the varieties that it imports."""
    folder = tmp_path_factory.mktemp("script")
    (folder / "my_varieties.py").write_text("\n\n".join(blocks().values()), encoding="utf-8")
    text = PAGE.read_text(encoding="utf-8")
    (code,) = re.findall(r'^```python title="my_spurgekit.py"\n(.*?)^```', text, flags=re.DOTALL | re.MULTILINE)
    (folder / "my_spurgekit.py").write_text(code, encoding="utf-8")
    return folder / "my_spurgekit.py"


def python(*arguments):
    """Run Python in a process of its own."""
    return subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.usefixtures("varieties")
class TestPage:
    def test_there_is_an_example_of_each_of_five(self):
        assert blocks().keys() == NAMES.keys()

    @pytest.mark.parametrize("head", NAMES)
    def test_each_registers_one_variety_that_was_not_there(self, head):
        registry, name = NAMES[head]
        registry.unregister(name)
        before = set(registry)
        exec(blocks()[head], {})
        assert set(registry) - before == {name}

    @pytest.mark.parametrize("head", NAMES)
    def test_none_replaces_another(self, head):
        with pytest.raises(ValueError, match="already; give yours another name"):
            exec(blocks()[head], {})


class TestScript:
    def test_help_lists_them(self, script):
        told = python(script, "evaluate", "--help").stdout
        assert "|mcc]" in re.sub(r"\s", "", told)
        assert re.search(rf"Recipes: .*, {RECIPE}$", told, flags=re.MULTILINE)
        assert re.search(r"Augmentations: .*, exposure$", told, flags=re.MULTILINE)
        assert f"finetune, mil, segment, {RECIPE}. Augmentations" in " ".join(python(script, "train", "--help").stdout.split())

    def test_a_typo_is_told_what_was_meant(self, script, tmp_path):
        for arguments, meant in (
            (("markers", tmp_path / "site.tif", "--family", "quarterd-disc"), FAMILY),
            (("evaluate", tmp_path, "--metric", "mc"), "mcc"),
            (("train", tmp_path, "--arm", "nearest-men"), RECIPE),
            (("train", tmp_path, "--arm", f"{RECIPE}+exposures"), "exposure"),
        ):
            assert f"did you mean {meant}?" in python(script, *arguments).stderr

    def test_they_load_nothing_large(self, script):
        large = "{'torch', 'timm', 'sklearn', 'cv2', 'rasterio', 'matplotlib'}"
        done = python("-c", f"import sys; sys.path.insert(0, {str(script.parent)!r}); import my_varieties; "
                      f"print({large} & set(sys.modules))")  # fmt: skip
        assert done.stdout.strip() == "set()", done.stderr


@pytest.mark.usefixtures("varieties")
class TestMarkerFamily:
    def test_it_is_painted_as_its_template_shows_it(self):
        rgb = np.full((60, 60, 3), 120, np.uint8)
        paint_marker(rgb, PaintedMarker(FAMILY, 30, 30, 40), np.random.default_rng(0))
        north_west, north_east, south_west, south_east = (int(rgb[y, x, 0]) for y in (22, 38) for x in (22, 38))
        assert min(north_west, south_east) > 200
        assert max(north_east, south_west) < 40
        assert {int(rgb[y, x, 0]) for y in (12, 47) for x in (12, 47)} == {120}  # a disc leaves the corners of its square

    def test_a_survey_with_it_is_tiled_in_its_plots(self, survey, tmp_path, monkeypatch):
        monkeypatch.chdir(survey)
        said = succeed("tile", "--size", 60, "--out", tmp_path / "tiles")
        assert f"plots (auto: 6 markers of family {FAMILY}, {MARKER_M} m)" in said
        assert "6 of 6 corners have a marker" in said
        found = gpd.read_file(tmp_path / "tiles" / "plots.gpkg", layer="markers")
        assert set(found["family"]) == {FAMILY}
        assert found["score"].min() > 0.95
        plots = gpd.read_file(tmp_path / "tiles" / "plots.gpkg", layer="plots").set_index("id").geometry
        truth = gpd.read_file(survey / "plots.gpkg", layer="plots").set_index("plot").geometry
        assert sorted(plots.index) == sorted(truth.index) == ["1", "2"]
        for name in truth.index:
            laid, seen = (np.array(shapes[name].exterior.coords)[:4] for shapes in (truth, plots))
            assert np.abs(laid - seen).max() < 0.1  # metres: markers were laid out with a tape

    def test_its_markers_are_listed_to_a_tenth_of_a_pixel(self, survey, tmp_path):
        flags = ("--family", FAMILY, "--marker-size", MARKER_M)
        succeed("markers", survey / "site.tif", *flags, "--out", tmp_path / "found.gpkg")
        found, truth = (gpd.read_file(folder, layer="markers") for folder in (tmp_path / "found.gpkg", survey / "markers.gpkg"))
        assert len(found) == len(truth) == 6
        assert max(truth.distance(place).min() for place in found.geometry) < 0.1 * GSD_M

    def test_codes_and_colours_are_refused(self):
        with pytest.raises(InputError, match="carry no codes"):
            FAMILIES[FAMILY].detector(MARKER_M, ids=(1,))
        with pytest.raises(InputError, match="are light and dark"):
            FAMILIES[FAMILY].detector(MARKER_M, color=(200, 0, 0))


@pytest.mark.usefixtures("varieties")
class TestRecipe:
    def test_by_hand(self):
        """Means 1 and 5, samples 1 from theirs: the logits differ by (x - 1)^2 / 2 - (x - 5)^2 / 2 = 4 x - 12."""
        features, targets = np.array([[0.0], [2.0], [4.0], [6.0]]), np.array([0, 0, 1, 1])
        samples = ProbeSamples.of_tiles(features, targets, 2)
        probe = ProbeUnit(RECIPES[RECIPE], samples, features, targets, None, 0).fit()
        assert np.diff(probe.logits(np.array([[3.0], [4.0]]))).ravel() == pytest.approx([0, 4])
        # Without the tile at 0 the means are 2 and 5, and the others 0, 1 and 1 from theirs: s^2 is 2 / 3.
        assert np.diff(probe.left_out[0]) == pytest.approx((2**2 - 5**2) / (2 * 2 / 3))

    def test_it_is_scikit_learns(self):
        rng = np.random.default_rng(0)
        targets = np.arange(60) % 3
        features = rng.normal(size=(60, 5)) + np.eye(3, 5)[targets]
        probe = ProbeUnit(RECIPES[RECIPE], ProbeSamples.of_tiles(features, targets, 3), features, targets, None, 0).fit()
        theirs = NearestCentroid().fit(features, targets).predict(features)
        assert (theirs != targets).any()
        assert probe.logits(features).argmax(axis=1).tolist() == theirs.tolist()

    def test_one_tile_a_class_is_enough(self):
        targets = np.arange(3)
        probe = ProbeUnit(RECIPES[RECIPE], ProbeSamples.of_tiles(np.eye(3), targets, 3), np.eye(3), targets, None, 0).fit()
        assert probe.logits(np.eye(3)).argmax(axis=1).tolist() == [0, 1, 2]
        assert np.isnan(probe.left_out).all()

    @pytest.mark.parametrize("recipe", [RECIPE, OTHER])
    def test_train_and_evaluate_say_the_same_of_test_tiles(self, recipe, models, evaluation):
        trained = pd.read_csv(models[recipe] / "test_predictions.csv").set_index("tile_id")["p(weed)"]
        cells = pd.read_parquet(evaluation / "predictions.parquet").query("n == 0")
        evaluated = cells[cells["arm"] == f"{recipe}+exposure"].set_index("tile_id")["p1"]
        assert len(evaluated) == len(trained) == 32
        assert trained.to_numpy() == pytest.approx(evaluated[trained.index].to_numpy(), abs=2e-5)  # one is rounded to 1e-5

    def test_features_of_length_1_are_not_those_of_any(self, models):
        one, other = (pd.read_csv(folder / "test_predictions.csv")["p(weed)"] for folder in models.values())
        assert np.abs(one - other).max() > 0.01

    @pytest.mark.parametrize(("recipe", "unit", "views"), [(RECIPE, True, 8), (OTHER, False, 1)])
    def test_the_model_sees_tiles_as_the_recipe_was_fitted_to_them(self, recipe, unit, views, models, chain):
        train = open_dataset(chain.dataset).split("train")
        model, rows = spurgekit.load_model(models[recipe], "cpu"), train.head(5)
        found = model.predictions(np.stack([read_tile(path) for path in rows["path"]]), features=True)
        fitted = tile_features(set_up(OPTIONS, train).store(), rows, RECIPES[recipe])
        assert (model.info.unit_features, model.info.views) == (unit, views)
        assert found.features == pytest.approx(fitted, abs=1e-5)

    def test_a_cell_of_the_map_is_what_the_model_says_of_its_tile(self, models, site_map, chain):
        index = spurgekit.read_tiles(chain.tiles)
        said = load_map_model(models[RECIPE], "cpu").predict(
            np.stack([read_tile(chain.tiles / name) for name in index["file_name"]])
        )
        with rasterio.open(site_map / "presence.tif") as file:
            cells = file.read([1, 2])[:, index["row"], index["col"]].T
        assert cells == pytest.approx(said, abs=1e-5)

    def test_it_tells_weed_from_sand(self, evaluation):
        means = pd.read_csv(evaluation / "summary.csv").set_index(["arm", "n", "metric"])["mean"]
        assert means[f"{RECIPE}+exposure", 4, "balanced_accuracy"] > 0.9

    def test_it_is_calibrated_by_the_tiles_left_out(self, chain, tmp_path):
        info = spurgekit.train_model(chain.dataset, tmp_path / "model", replace(OPTIONS, arm=RECIPE))
        assert info.calibration.tiles == sum(info.training_counts.values())

    def test_the_card_describes_it(self, models):
        assert RECIPES[RECIPE].description in (models[RECIPE] / "README.md").read_text(encoding="utf-8")

    def test_the_model_does_without_the_recipe(self, models, chain, tmp_path):
        record = RECIPES[RECIPE]
        RECIPES.unregister(RECIPE)
        try:
            with pytest.raises(UnknownNameError, match=f"no recipe '{RECIPE}'"):
                parse_arm(RECIPE)
            assert f"{RECIPE}+exposure" in succeed("model", "info", models[RECIPE])
            spurgekit.map_site(chain.site, models[RECIPE], tmp_path / "map")
        finally:
            RECIPES.register(record)


@pytest.mark.usefixtures("varieties")
class TestAugmentation:
    @pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32])
    def test_all_bands_become_as_much_brighter(self, dtype):
        image = torch.tensor([[[0, 40], [80, 100]], [[0, 20], [40, 50]]]).to(dtype)
        ratios = []
        for seed in range(20):
            (found,) = parse_augmentation("exposure").alter(image[None], [seed])
            assert (found.dtype, found.shape) == (dtype, image.shape)
            assert (found[:, 0, 0] == 0).all()
            ratio = (found.double() / image.double())[image.double() > 0]
            assert ratio.max() - ratio.min() < (1e-6 if dtype == torch.float32 else 0.05)  # rounded, of 20 and more
            ratios.append(float(ratio.mean()))
        assert 2**-0.51 < min(ratios) < 0.85
        assert 1.2 < max(ratios) < 2**0.51

    def test_what_is_missing_stays_so_and_white_is_white_at_most(self):
        floats = torch.tensor([[[[torch.nan, 1.0]]]])
        assert torch.isnan(parse_augmentation("exposure").alter(floats, [1])).tolist() == [[[[True, False]]]]
        whites = torch.full((40, 1, 1, 1), 255, dtype=torch.uint8)
        found = parse_augmentation("exposure").alter(whites, range(40))
        assert (found == 255).sum() > 10
        assert found.min() > 175

    def test_it_comes_after_those_that_were_there(self):
        assert str(parse_arm("probe+exposure+dihedral+cutmix")) == "probe+dihedral+cutmix+exposure"

    def test_the_classifier_learns_from_eight_copies_of_each_tile(self, chain):
        train = open_dataset(chain.dataset).split("train")
        store, support = set_up(OPTIONS, train).store(), SupportSet(train.groupby("class").head(2), 2)
        plain, altered, again = (
            probe_unit(store, support, parse_arm(arm)).samples for arm in (RECIPE, f"{RECIPE}+exposure", f"{RECIPE}+exposure")
        )
        assert (len(plain.features), len(altered.features)) == (4, 32)
        assert altered.weights.sum() == plain.weights.sum() == 4
        assert (altered.features == again.features).all()
        assert len(np.unique(altered.features.round(6), axis=0)) == 32


@pytest.mark.usefixtures("varieties")
class TestMetric:
    def test_it_is_scikit_learns(self):
        rng = np.random.default_rng(0)
        for classes in (2, 4):
            probabilities, targets = rng.dirichlet(np.ones(classes), 50), rng.integers(classes, size=50)
            expected = matthews_corrcoef(targets, probabilities.argmax(axis=1))
            assert value_of("mcc", probabilities, targets) == pytest.approx(expected)

    def test_where_a_class_is_never_named_and_where_there_is_but_one(self):
        assert value_of("mcc", np.array([[1, 0], [1, 0.0]]), np.array([0, 1])) == 0
        assert np.isnan(value_of("mcc", np.array([[1, 0], [0, 1.0]]), np.array([1, 1])))

    def test_it_is_in_the_results(self, evaluation):
        cell = f"arm == '{OTHER}+exposure' and n == 1 and trial == 0"
        values = pd.read_parquet(evaluation / "results.parquet").query(cell).set_index("metric")["value"]
        tiles = pd.read_parquet(evaluation / "predictions.parquet").query(cell)
        assert list(values.index) == list(METRICS)
        assert values["mcc"] == pytest.approx(matthews_corrcoef(tiles["target"], tiles["p1"] > tiles["p0"]))

    def test_it_heads_the_report_that_asked_for_it(self, evaluation):
        report = (evaluation / "report.md").read_text(encoding="utf-8")
        assert report.startswith("# Matthews correlation of 3 arms")
        assert "| arm | Balanced accuracy | AUROC |" in report

    def test_it_is_among_the_others_of_another_report(self):
        drawn = simulated({"a": 0.6, "b": 0.7}, trials=3, places=6, tiles=6, sd_trials=0.05, sd_places=0.05)
        lines = report_lines(analyse(drawn, CLASSES, baseline="a"))
        assert any(line.startswith("| arm | AUROC |") and line.endswith("| Matthews correlation |") for line in lines)

    @pytest.mark.parametrize("right", [0.5, 0.15])
    def test_its_interval_may_lie_below_0(self, right):
        drawn = simulated({"a": right}, trials=4, places=6, tiles=8, sd_trials=0.05, sd_places=0.1)
        summary = analyse(drawn, CLASSES, baseline="a", metric="mcc").summary.set_index("metric")
        assert -1 <= summary["low"]["mcc"] < min(summary["mean"]["mcc"], 0)
        assert summary["mean"]["mcc"] == pytest.approx(2 * right - 1, abs=0.25)

    def test_the_model_and_its_card_have_it(self, models):
        said = pd.read_csv(models[RECIPE] / "test_predictions.csv")
        value = spurgekit.read_model_info(models[RECIPE]).held_out.metrics["mcc"]
        assert value == pytest.approx(matthews_corrcoef(said["class"], said["predicted"]))
        card = (models[RECIPE] / "README.md").read_text(encoding="utf-8")
        assert f"Matthews correlation {value:.3f}" in card
        assert "type: mcc" in card

    def test_a_typo_is_refused(self, chain, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert "did you mean mcc?" in refuse("evaluate", chain.dataset, "--metric", "mmc")


@pytest.mark.usefixtures("varieties")
class TestBand:
    def test_it_comes_behind_ours_and_says_what_it_is(self, site_map):
        with rasterio.open(site_map / "presence.tif") as file:
            assert file.descriptions == (
                "probability of sand",
                "probability of weed",
                "uncertainty (entropy, 0 to 1)",
                "ambiguity (second likeliest class over likeliest, 0 to 1)",
                "dissimilarity from the training tiles",
            )

    def test_a_cell_is_the_second_likeliest_over_the_likeliest(self, site_map):
        with rasterio.open(site_map / "presence.tif") as file:
            probabilities, found = file.read([1, 2]), file.read(4)
        assert found == pytest.approx(probabilities.min(axis=0) / probabilities.max(axis=0), rel=1e-5)
        assert 0 < found.min() < found.max() < 1

    def test_of_three_classes_the_third_says_nothing(self):
        said = TilePredictions(np.array([[0.125, 0.5, 0.375], [0.25, 0.5, 0.25]], np.float32))
        assert BANDS["ambiguity"].value(said).tolist() == [[0.75], [0.5]]

    def test_the_summary_has_what_it_says_of_the_whole(self, site_map):
        with rasterio.open(site_map / "presence.tif") as file:
            mean = float(file.read(4).mean())
        summary = json.loads((site_map / "summary.json").read_text(encoding="utf-8"))
        assert summary["bands"] == {"ambiguity": {"mean": pytest.approx(mean, abs=1e-4)}}

    def test_qgis_can_show_it_in_place_of_the_weed(self, site_map):
        shown = {}
        for path in site_map.glob("*.qml"):
            renderer = ET.parse(path).getroot().find("pipe/rasterrenderer")
            shown[path.name] = renderer.get("band"), {item.get("color") for item in renderer.iter("item")}
        assert shown == {"presence.qml": ("2", {"#d81b8c"}), "presence_ambiguity.qml": ("4", {"#ff8c00"})}


class TestFormats:
    """Of tiles and of lists of markers: a record each, which the page names in a line."""

    @pytest.fixture
    def webp(self):
        def encoder():
            def encode(pixels, valid, grid):
                with io.BytesIO() as file:
                    Image.fromarray(np.moveaxis(pixels, 0, 2)).save(file, "WEBP", lossless=True)
                    return file.getvalue()

            return encode

        def holds(bands, dtype):
            return bands == 3 and dtype == "uint8"

        yield TILE_FORMATS.register(TileFormat(name="webp", description="WebP", holds=holds, encoder=encoder)).name
        TILE_FORMATS.unregister("webp")

    @pytest.fixture
    def flatgeobuf(self):
        def write(table, path, layer):
            table.to_file(path, driver="FlatGeobuf")

        yield VECTOR_FORMATS.register(VectorFormat(name=".fgb", description="FlatGeobuf", write=write)).name
        VECTOR_FORMATS.unregister(".fgb")

    def test_tiles_of_another_format_are_learned_from(self, webp, chain, tmp_path):
        spurgekit.tile_images(chain.site, tmp_path / "tiles", spurgekit.TileOptions(size_px=TILE_PX, file_format=webp))
        files = sorted((tmp_path / "tiles").glob("*.webp"))
        originals = sorted(chain.tiles.glob("dune_*.png"))
        assert [path.stem for path in files] == [path.stem for path in originals]
        assert (read_tile(files[0]) == read_tile(originals[0])).all()
        labels = spurgekit.DatasetOptions(labels=chain.weed, classes=CLASSES)
        spurgekit.build_dataset(tmp_path / "tiles", tmp_path / "dataset", labels)
        info = spurgekit.train_model(tmp_path / "dataset", tmp_path / "model", OPTIONS)
        assert info.held_out.confusion_matrix == ((16, 0), (0, 16))

    def test_a_folder_of_images_of_another_format_is_one(self, webp, tmp_path):
        for name in CLASSES:
            (tmp_path / name).mkdir()
            Image.new("RGB", (8, 8)).save(tmp_path / name / f"{name}.{webp}")
        assert read_imagefolder(tmp_path).rows["label"].tolist() == list(CLASSES)

    def test_a_list_of_markers_in_another_format_is_read_again(self, flatgeobuf, survey, tmp_path):
        options = spurgekit.MarkerOptions(family=FAMILY, marker_size_m=MARKER_M)
        spurgekit.list_markers(survey / "site.tif", tmp_path / f"found{flatgeobuf}", options)
        assert len(gpd.read_file(tmp_path / f"found{flatgeobuf}")) == 6
