import shutil
import tomllib
from pathlib import Path

import geopandas as gpd
import pytest
import rasterio

from spurgekit.errors import InputError, OutputExistsError
from spurgekit.survey import SPURGE_CLASSES, find_survey, init_survey, read_survey
from tests.chain import BACKBONE, TILE_PX, draw_site, write_weed
from tests.command import refuse, run, succeed

SURVEY = """\
schema_version = 1
name = "two pastures"
date = 2026-06-14
classes = ["sand", "weed"]
labels = "weed.gpkg"

[tiles]
size_px = 32

[[sites]]
name = "north"
image = "north.tif"

[[sites]]
name = "south"
image = "flights/south.tif"
"""


class TestInit:
    def test_writes_a_file_that_can_be_read(self, tmp_path):
        file = init_survey(tmp_path / "north pasture")
        survey = read_survey(tmp_path / "north pasture")
        assert file == tmp_path / "north pasture" / "survey.toml"
        assert survey.name == "north pasture"
        assert survey.classes == SPURGE_CLASSES == ("no spurge", "leafy spurge")
        assert (survey.tiles.size_px, survey.tiles.gsd_m, survey.sites) == (250, None, ())

    @pytest.mark.parametrize("name", ['5" plots', "back\\slash", "prairie à l'été", "{name}"])
    def test_odd_names(self, tmp_path, name):
        init_survey(tmp_path / name)
        assert read_survey(tmp_path / name).name == name

    def test_every_entry_that_is_commented_out_can_be_used(self, tmp_path):
        file = init_survey(tmp_path / "s")
        lines = file.read_text().splitlines()
        entries = [line[2:] if line.startswith("# ") and _is_entry(line[2:]) else line for line in lines]
        file.write_text("\n".join(entries))
        survey = read_survey(tmp_path / "s")
        assert survey.labels == Path("weed.gpkg")
        assert survey.crs == "EPSG:32612"
        assert survey.date.isoformat() == "2026-06-14"
        assert (survey.tiles.gsd_m, survey.tiles.points) == (0.014, Path("points.gpkg"))
        assert [site.name for site in survey.sites] == ["north-pasture"]
        assert (survey.plots.rows, survey.plots.gaps_m, survey.plots.file) == (3, (2.0, 2.0), Path("corners.csv"))
        assert (survey.record.observer, survey.record.positional_accuracy_m) == ("Ada Field", 0.05)

    def test_git_is_told_what_not_to_keep(self, tmp_path):
        init_survey(tmp_path / "s")
        assert (tmp_path / "s" / ".gitignore").read_text().split() == ["tiles/", "dataset/", "augmented/", "models/", "maps/"]

    def test_a_second_time_is_refused(self, tmp_path):
        file = init_survey(tmp_path / "s")
        file.write_text(SURVEY)
        with pytest.raises(OutputExistsError, match=r"survey\.toml exists already; edit it, or pass another name"):
            init_survey(tmp_path / "s")
        assert file.read_text() == SURVEY

    def test_a_folder_with_imagery_becomes_a_survey(self, tmp_path):
        (tmp_path / "site.tif").write_bytes(b"")
        (tmp_path / ".gitignore").write_text("*.tif\n")
        init_survey(tmp_path)
        assert (tmp_path / ".gitignore").read_text() == "*.tif\n"

    def test_not_over_a_file(self, tmp_path):
        (tmp_path / "s").write_text("")
        with pytest.raises(OutputExistsError, match="is a file; pass another name"):
            init_survey(tmp_path / "s")

    def test_from_the_command_line(self, tmp_path):
        assert "survey.toml: fill in the sites, then run 'spurgekit tile'" in succeed("init", tmp_path / "s")
        assert "exists already; edit it" in refuse("init", tmp_path / "s")


class TestAsEditorsSaveIt:
    def test_with_a_mark_first(self, tmp_path):
        (tmp_path / "survey.toml").write_text('schema_version = 1\nname = "Bear Creek"\n', encoding="utf-8-sig")
        assert read_survey(tmp_path).name == "Bear Creek"

    @pytest.mark.parametrize("value", [5000 * "1", 5000 * "[" + 5000 * "]"])
    def test_values_without_end(self, tmp_path, value):
        (tmp_path / "survey.toml").write_text(f"name = {value}\n")
        with pytest.raises(InputError, match=r"survey\.toml is not valid TOML") as caught:
            read_survey(tmp_path)
        assert "\n" not in str(caught.value)


def _is_entry(text):
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


class TestReading:
    def test_paths_are_relative_to_the_folder(self, tmp_path):
        (tmp_path / "survey.toml").write_text(SURVEY)
        survey = read_survey(tmp_path)
        assert survey.images == {"north": tmp_path / "north.tif", "south": tmp_path / "flights" / "south.tif"}
        assert survey.path(survey.labels) == tmp_path / "weed.gpkg"

    def test_other_folders_are_none(self, tmp_path):
        assert find_survey(tmp_path) is None
        with pytest.raises(InputError, match=r"survey\.toml: no such file; make a survey with 'spurgekit init NAME'"):
            read_survey(tmp_path)

    @pytest.mark.parametrize(
        ("old", "new", "says"),
        [
            ("schema_version = 1", "schema_version = 2", "schema_version: "),
            ('name = "two pastures"', "", "name: this entry is missing"),
            ('name = "two pastures"', "name = 3", "name: "),
            ("date = 2026-06-14", 'date = "in June"', "date: "),
            ('classes = ["sand", "weed"]', 'classes = ["weed"]', "classes: name two or more classes, absence first"),
            (
                'classes = ["sand", "weed"]',
                'classes = ["weed", "weed"]',
                "classes: the class 'weed' is named twice; name each once",
            ),
            (
                'classes = ["sand", "weed"]',
                'classes = ["sand", " "]',
                "classes: the class ' ' is no line of text; call it otherwise",
            ),
            ("size_px = 32", "size_px = 0", r"tiles\.size_px: "),
            ("size_px = 32", "size_px = 32.5", r"tiles\.size_px: "),
            ("size_px = 32", "gsd_m = -0.01", r"tiles\.gsd_m: "),
            ("size_px = 32", "size = 32", r"tiles\.size: there is no such entry, did you mean size_px"),
            ('labels = "weed.gpkg"', 'label = "weed.gpkg"', "label: there is no such entry, did you mean labels"),
            ('name = "north"', 'name = "north pasture"', r"sites\.0\.name: use letters, digits, .* 'north-pasture'"),
            ('name = "south"', 'name = "north"', "two sites have the same name"),
            ("[tiles]", "[plots]\nrows = 0\n[tiles]", r"plots\.rows: "),
            ("[tiles]", "[plots]\ngaps_m = [-1, 0]\n[tiles]", "plots: a gap between plots cannot be negative"),
            ("[tiles]", "[plots]\nmarker_ids = [1, 2]\n[tiles]", "plots: marker_ids needs 16 numbers"),
            ("[tiles]", '[plots]\nquarters = "half"\n[tiles]', r"plots\.quarters: "),
            ('image = "north.tif"', "", r"sites\.0\.image: this entry is missing"),
            ('image = "north.tif"', 'image = "a.tif"\ndate = 3', r"sites\.0\.date: 3 is not a date such as 2026-06-14"),
            (
                "[tiles]",
                "[record]\nobsrever = 'A'\n[tiles]",
                r"record\.obsrever: there is no such entry, did you mean observer",
            ),
            ("[tiles]", "[record]\ncountry_code = 'USA'\n[tiles]", r"record\.country_code: 'USA' is no code of two capitals"),
            ("[tiles]", "[record]\ntaxa = 'A'\n[tiles]", r"record\.taxa: these are tables, such as"),
            ("[tiles]", "[record.taxa.weed]\ntsn = 1\n[tiles]", r"record\.taxa\.weed\.scientific_name: this entry is missing"),
            (
                "[tiles]",
                "[record.taxa.wed]\nscientific_name = 'A'\n[tiles]",
                "record.taxa: 'wed' is no class but the first, did you",
            ),
            ("schema_version = 1", "schema_version = = 1", "is not valid TOML: "),
        ],
    )
    def test_an_entry_that_cannot_be(self, tmp_path, old, new, says):
        assert old in SURVEY
        (tmp_path / "survey.toml").write_text(SURVEY.replace(old, new, 1))
        with pytest.raises(InputError, match=rf"survey\.toml.*{says}") as caught:
            read_survey(tmp_path)
        assert "\n" not in str(caught.value)

    def test_records_and_the_days_of_flights(self, tmp_path):
        text = SURVEY.replace('image = "north.tif"', 'image = "north.tif"\ndate = 2026-07-01')
        more = "[record]\nobserver = 'Ada'\n[record.taxa.weed]\nscientific_name = 'Euphorbia virgata'\ntsn = 28066\n"
        (tmp_path / "survey.toml").write_text(text + more)
        survey = read_survey(tmp_path)
        assert survey.record.taxon_of("weed", ["weed"]).tsn == 28066
        assert [survey.date_of(site).isoformat() for site in ("north", "south")] == ["2026-07-01", "2026-06-14"]

    def test_another_encoding(self, tmp_path):
        (tmp_path / "survey.toml").write_bytes(SURVEY.replace("pastures", "prés").encode("latin-1"))
        with pytest.raises(InputError, match=r"survey\.toml is not text in UTF-8 \(byte 33\); save it as text in UTF-8"):
            read_survey(tmp_path)


class TestCommandsInASurvey:
    @pytest.fixture(scope="class")
    @classmethod
    def prepared(cls, tmp_path_factory, make_tif):
        """Two sites: the drawn one, and its mirror image 10 m to the south."""
        folder = tmp_path_factory.mktemp("survey")
        (folder / "flights").mkdir()
        (folder / "survey.toml").write_text(SURVEY)
        make_tif(folder / "north.tif", draw_site())
        south = rasterio.Affine(0.01, 0, 500_000, 0, -0.01, 4_999_990)
        make_tif(folder / "flights" / "south.tif", draw_site()[:, ::-1], transform=south)
        shapes = []
        for image in (folder / "north.tif", folder / "flights" / "south.tif"):
            shapes += [*gpd.read_file(write_weed(image, folder / "one.gpkg")).geometry]
        (folder / "one.gpkg").unlink()
        gpd.GeoDataFrame(geometry=shapes, crs="EPSG:32612").to_file(folder / "weed.gpkg")
        return folder

    @pytest.fixture
    def survey(self, prepared, tmp_path, monkeypatch):
        folder = shutil.copytree(prepared, tmp_path / "survey")
        monkeypatch.chdir(folder)
        return folder

    def test_need_no_arguments(self, survey):
        output = succeed("tile")
        assert "north  96 png tiles at 1.00 cm a pixel\nsouth  96 png tiles" in output  # fmt: skip
        assert set(gpd.read_parquet(survey / "tiles" / "tiles.parquet")["site"]) == {"north", "south"}
        assert {"overview_north.png", "overview_south.png"} <= {path.name for path in (survey / "tiles").iterdir()}

        output = succeed("build-dataset")
        assert "sand" in output.split("held out")[0]
        assert "weed" in output.split("held out")[0]
        assert (survey / "dataset" / "train" / "metadata.csv").is_file()

        output = succeed("train", "--backbone", BACKBONE, "--no-pretrained", "--image-size", TILE_PX)
        assert "held-out balanced accuracy 1.000" in output
        assert (survey / "models" / "probe" / "model.safetensors").is_file()

        output = succeed("map", "--model", "models/probe")
        assert output.count("mapped 9.8 of 9.8 m2 in cells of 0.32 m") == 2  # 96 cells of 0.1024 m2
        for site in ("north", "south"):
            assert gpd.read_file(survey / "maps" / site / "presence.gpkg", layer="presence")["area_m2"].sum() == pytest.approx(
                48 * 0.32**2
            )
        # A second time nothing is replaced.
        for command in (["tile"], ["build-dataset"], ["train", "--no-pretrained"], ["map", "--model", "models/probe"]):
            assert "exists already; pass --overwrite to replace it" in refuse(*command)

    def test_what_is_passed_wins(self, survey):
        assert "north  24 png tiles" in succeed("tile", "--size", 64, "--out", "large")
        assert "flights" not in succeed("tile", "north.tif", "--size", 32, "--out", "one")
        assert set(gpd.read_parquet(survey / "one" / "tiles.parquet")["site"]) == {"north"}

    @pytest.mark.parametrize("command", [["tile"], ["map", "--model", "m"]])
    def test_one_without_sites(self, survey, command):
        (survey / "survey.toml").write_text(SURVEY.split("[[sites]]")[0])
        result = run(*command)
        assert result.exit_code == 2
        assert "survey.toml names no sites; add a [[sites]] entry" in result.stderr

    def test_a_site_whose_image_is_missing(self, survey):
        (survey / "flights" / "south.tif").unlink()
        assert "south.tif: no such file" in refuse("tile")
        assert not (survey / "tiles").exists()

    @pytest.mark.parametrize(
        ("command", "what"),
        [
            (["tile"], "an image"),
            (["build-dataset"], "a tiles folder"),
            (["train"], "a dataset"),
            (["map", "--model", "m"], "an image"),
        ],
    )
    def test_elsewhere_they_need_arguments(self, tmp_path, monkeypatch, command, what):
        monkeypatch.chdir(tmp_path)
        result = run(*command)
        assert result.exit_code == 2
        assert f"name {what}, or run this in a survey's folder (one with a survey.toml)" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name" + ".a" * 50_000 + " = 1", "has a line with more than 200 points"),
        ("name = 1" + "0" * 5000, "is not valid TOML: "),
        ("name = " + "[" * 100_000, "is not valid TOML: "),
        ('name = "a"\nplots = {family = {a = 1}}', r"plots\.family: \{'a': 1\} is not a text"),
        ('name = "a"\nsites = 3', "sites: these are tables"),
        ('name = "a\\nb"', "name: 'a.+b' is no line of text; name the survey"),
        ('name = "a"\n[tiles]\ngsd_m = nan', r"tiles\.gsd_m: nan is not a number"),
    ],
)
def test_what_would_take_minutes_or_end_in_a_traceback(tmp_path, text, says):
    (tmp_path / "survey.toml").write_text(text)
    with pytest.raises(InputError, match=rf"survey\.toml:? {says}"):
        read_survey(tmp_path)
