import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from affine import Affine

import spurgekit
from spurgekit.cli.main import COMMANDS
from tests.chain import BACKBONE, TILE_PX, draw_site
from tests.command import refuse, run, succeed

DEGREES = {"crs": "EPSG:4326", "transform": Affine(1.3e-7, 0, -111, 0, -9e-8, 45)}


class TestHelp:
    def test_lists_the_commands_in_the_order_of_a_survey(self):
        output = succeed("--help")
        places = [output.index(f"\n  {name} ") for name in COMMANDS]
        assert places == sorted(places)

    def test_and_version_do_not_wait_for_torch(self):
        code = (
            "import sys; from spurgekit.cli.main import main\n"
            "for arguments in (['--help'], ['--version'], ['init', '--help']):\n"
            "    main(arguments, standalone_mode=False)\n"
            "assert not {'torch', 'timm'} & set(sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert spurgekit.__version__ in done.stdout

    @pytest.mark.parametrize("command", [name for name in COMMANDS if name != "demo"])
    def test_of_each_command(self, command):
        output = succeed(command, "--help")
        assert output.startswith(f"Usage: main {command} ")
        assert output == succeed(command, "-h")

    def test_names_the_defaults(self):
        assert "[default: models/ARM]" in " ".join(succeed("train", "--help").split())

    def test_an_unknown_command(self):
        result = run("mapp")
        assert result.exit_code == 2
        assert "No such command 'mapp'" in result.stderr


class TestErrors:
    def test_are_one_line(self, tmp_path):
        line = refuse("info", tmp_path / "nowhere.tif")
        assert line == f"spurgekit: {tmp_path}/nowhere.tif: no such file"

    def test_a_traceback_when_asked_for(self, tmp_path):
        done = subprocess.run(
            [sys.executable, "-m", "spurgekit", "--debug", "info", tmp_path / "nowhere.tif"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 2
        assert done.stderr.startswith("Traceback (most recent call last)")
        assert "ImageryError" in done.stderr
        assert "nowhere.tif: no such file" in done.stderr

    def test_a_folder_that_may_not_be_written(self, tmp_path, make_tif):
        (tmp_path / "file").write_text("")
        site = make_tif(tmp_path / "site.tif", draw_site())
        line = refuse("tile", site, "--out", tmp_path / "file" / "tiles", code=2)
        assert str(tmp_path / "file") in line

    def test_a_full_disk(self, tmp_path, make_tif, monkeypatch):
        def full(*arguments, **more):
            raise OSError(28, "No space left on device")

        site = make_tif(tmp_path / "site.tif", draw_site())
        monkeypatch.setattr("pathlib.Path.write_bytes", full)
        line = refuse("tile", site, "--out", tmp_path / "tiles", code=1)
        assert line == "spurgekit: the disk is full; free some space and run it again"
        assert [path.name for path in tmp_path.iterdir()] == ["site.tif"]

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["tile", "a.tif", "--bands", "1,two"], "'1,two' is not a list of whole numbers such as 1,2,3"),
            (["train", "d", "--backbone-option", "pad_type"], "'pad_type' is not KEY=VALUE"),
            (["tile", "a.tif", "--layout", "hexagons"], "'hexagons' is not known"),
            (["map", "a.tif"], "Missing option '--model'"),
        ],
    )
    def test_options_that_cannot_be(self, arguments, says):
        result = run(*arguments)
        assert result.exit_code == 2
        assert says in result.stderr


class TestInfo:
    def test_as_text(self, tmp_path, make_tif):
        output = succeed("info", make_tif(tmp_path / "site.tif", draw_site()))
        assert "384 x 256" in output
        assert "EPSG:32612" in output
        starts = {len(line) - len(line.split("  ", 1)[1].lstrip()) for line in output.splitlines() if "  " in line.strip()}
        assert len(starts) == 1  # one column of labels, one of values

    def test_as_json(self, tmp_path, make_tif):
        found = json.loads(succeed("info", "--json", make_tif(tmp_path / "site.tif", draw_site())))
        assert (found["width"], found["height"], found["crs"]) == (384, 256, "EPSG:32612")
        assert found["gsd_cm"] == pytest.approx(1)
        assert found["valid_share"] == 1

    def test_a_text_that_calls_itself_an_image(self, tmp_path):
        (tmp_path / "site.tif").write_text("hello")
        assert "is not an image that GDAL can read (5 bytes)" in refuse("info", tmp_path / "site.tif")


class TestTrain:
    def test_prints_how_good_the_model_is(self, chain, tmp_path):
        output = succeed(
            "train", chain.dataset, "--backbone", BACKBONE, "--no-pretrained", "--image-size", TILE_PX, "--out", tmp_path / "m"
        )
        first, header, sand, weed, last = output.splitlines()
        assert first.startswith("held-out balanced accuracy 1.000, AUROC 1.000, F1 1.000, Brier score 0.0")
        assert header.split() == ["true", "\\", "predicted", "sand", "weed"]
        assert sand.split()[0] == "sand"
        assert sand.split()[2] == weed.split()[1] == "0"
        assert last.endswith("model.safetensors, model.json, test_predictions.csv, reliability.png, README.md")

    @pytest.mark.usefixtures("no_hub", "no_offline_weights")
    def test_weights_that_cannot_be_had(self, chain, tmp_path):
        line = refuse("train", chain.dataset, "--out", tmp_path / "m")
        assert (
            "pass a local file as --weights, or --no-pretrained for random ones; those of tf_efficientnet_lite0 come with pip"
            in line
        )
        assert not (tmp_path / "m").exists()

    @pytest.mark.parametrize(
        "damage", [lambda png: png[:400], lambda png: png[:600] + b"spurge" + png[606:], lambda _: b"GIF89a"]
    )
    def test_a_damaged_tile_is_one_line_on_the_terminal_too(self, chain, tmp_path, capfd, damage):
        dataset = shutil.copytree(chain.dataset, tmp_path / "dataset")
        tile = next((dataset / "train" / "0-sand").iterdir())
        tile.write_bytes(damage(tile.read_bytes()))
        line = refuse("train", dataset, "--backbone", BACKBONE, "--no-pretrained", "--out", tmp_path / "m")
        assert f"{tile.name} cannot be decoded; it is damaged" in line
        # Nor do libraries below add lines of their own, but for libpng, which cannot be told not to.
        assert [text for text in capfd.readouterr().err.splitlines() if not text.startswith("libpng error")] == []


class TestMap:
    def test_a_missing_model(self, chain, tmp_path):
        line = refuse("map", chain.site, "--model", tmp_path / "m", "--out", tmp_path / "map")
        assert line == f"spurgekit: {tmp_path}/m does not exist; make a model with 'spurgekit train'"

    def test_a_missing_image(self, chain, tmp_path):
        assert "nowhere.tif: no such file" in refuse("map", tmp_path / "nowhere.tif", "--model", chain.model)

    def test_an_existing_folder(self, chain, tmp_path):
        out = tmp_path / "map"
        succeed("map", chain.site, "--model", chain.model, "--out", out)
        before = (out / "presence.tif").stat().st_mtime_ns
        assert "map exists already; pass --overwrite" in refuse("map", chain.site, "--model", chain.model, "--out", out)
        assert (out / "presence.tif").stat().st_mtime_ns == before
        succeed("map", chain.site, "--model", chain.model, "--out", out, "--overwrite")
        assert (out / "presence.tif").stat().st_mtime_ns > before

    def test_a_folder_of_something_else_is_never_replaced(self, chain, tmp_path):
        (tmp_path / "home").mkdir()
        (tmp_path / "home" / "thesis.txt").write_text("")
        line = refuse("map", chain.site, "--model", chain.model, "--out", tmp_path / "home", "--overwrite")
        assert "was not made by spurgekit, as it holds no SHA256SUMS, so it is not replaced" in line

    def test_an_image_in_degrees(self, chain, tmp_path, make_tif):
        site = make_tif(tmp_path / "site.tif", draw_site(), **DEGREES)
        line = refuse("map", site, "--model", chain.model, "--out", tmp_path / "map")
        assert "site.tif is in EPSG:4326, whose unit is the degree" in line
        assert line.endswith("pass --crs EPSG:32612 to reproject it while it is read")
        succeed("map", site, "--model", chain.model, "--out", tmp_path / "map", "--crs", "EPSG:32612")

    def test_an_image_without_a_crs(self, chain, tmp_path, make_tif):
        site = make_tif(tmp_path / "site.tif", draw_site(), crs=None)
        line = refuse("map", site, "--model", chain.model, "--out", tmp_path / "map")
        assert "site.tif has no CRS; pass --crs, e.g. --crs EPSG:32612" in line
        succeed("map", site, "--model", chain.model, "--out", tmp_path / "map", "--crs", "EPSG:32612")
        assert json.loads((tmp_path / "map" / "summary.json").read_text())["crs"] == "EPSG:32612"

    def test_an_image_that_was_cut_off(self, chain, tmp_path, make_tif):
        noise = np.random.default_rng(0).integers(1, 255, (3, 200, 300), np.uint8)
        site = make_tif(tmp_path / "site.tif", noise, tiled=True, blockxsize=64, blockysize=64, compress="deflate")
        site.write_bytes(site.read_bytes()[: site.stat().st_size // 2])
        line = refuse("map", site, "--model", chain.model, "--out", tmp_path / "map")
        assert "cannot be decoded; the file is damaged or was cut off" in line
        assert not (tmp_path / "map").exists()

    def test_in_the_folder_that_is_named_after_the_image(self, chain, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        output = succeed("map", chain.site, "--model", chain.model)
        assert output.splitlines()[-1].startswith("maps/dune: presence.tif, presence.gpkg (3 polygons)")
        assert (tmp_path / "maps" / "dune" / "presence.tif").is_file()
