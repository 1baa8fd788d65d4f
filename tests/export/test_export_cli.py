import csv
import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from affine import Affine

from tests.command import refuse, succeed
from tests.export.conftest import make_map
from tests.export.places import decide, fill_in, make_check, make_tiles

SURVEY = """\
schema_version = 1
name = "dunes"

[[sites]]
name = "dune"
image = "dune.tif"

[[sites]]
name = "shore"
image = "shore.tif"
"""
CREW = "patches.csv, patches.geojson, patches.gpx, patches.kml, patches.kmz, patches.zip"


def test_for_a_crew(drawn):
    assert succeed("export", drawn).splitlines() == [
        "6 patches: 48.0 m2 mapped on 48.0 m2 of ground",
        f"exports/dune/crew: {CREW}",
    ]


def test_for_a_sprayer(drawn):
    lines = succeed("export", drawn, "--for", "sprayer", "--swath", "1", "--rate", "40", "--class", "sumac", "--out", "rx")
    # A block of 4 m: 16 m2, half a metre along each side, and quarters of a disc.
    assert lines.splitlines() == [
        "1 patch: 16.0 m2 mapped on 16.0 m2 of ground",
        "1 zone: 24.8 m2 (0.0025 ha) to treat, of which 0.0 m2 join zones; 0.10 litres at 40 l/ha",
        "rx: boundary.kml, prescription.zip",
    ]


def test_an_output_is_replaced_by_its_own_kind_alone(drawn):
    succeed("export", drawn)
    assert "exports/dune/crew exists already; pass --overwrite to replace it, or another --out" in refuse("export", drawn)
    succeed("export", drawn, "--join", "2", "--overwrite")
    assert json.loads(Path("exports/dune/crew/summary.json").read_text())["patches"] == 4
    spray = ("export", drawn, "--for", "sprayer", "--swath", "1", "--rate", "40")
    assert "holds another kind of output (crew export, not sprayer export)" in refuse(
        *spray, "--out", "exports/dune/crew", "--overwrite"
    )


class TestSurvey:
    @pytest.fixture(autouse=True)
    def survey(self, drawn):  # noqa: ARG002
        Path("survey.toml").write_text(SURVEY)

    def test_all_maps_of_its_sites(self):
        make_map(Path("maps/shore"))
        lines = succeed("export").splitlines()
        assert [line.partition(":")[0] for line in lines] == [
            "6 patches", "exports/dune/crew", "6 patches", "exports/shore/crew"
        ]  # fmt: skip
        assert [line.rpartition(": ")[0] for line in succeed("export", "--out", "all").splitlines()[1::2]] == [
            "all/dune", "all/shore"
        ]  # fmt: skip

    def test_a_site_that_is_not_mapped_yet_is_named(self):
        assert succeed("export").splitlines()[0] == "note: shore has no map yet, and is left out"

    def test_a_site_without_the_weed_is_named(self):
        make_map(Path("maps/shore"), "....\n....")
        lines = succeed("export").splitlines()
        assert lines[-1] == "note: maps/shore/presence.gpkg has no polygons of leafy spurge or sumac: nothing to export"
        assert not Path("exports/shore").exists()

    def test_without_any_map(self):
        Path("maps").rename("elsewhere")
        assert refuse("export").endswith("no site of the survey has a map yet; run 'spurgekit map --model MODEL'")

    def test_one_that_is_there_already_is_said_before_anything_is_written(self):
        make_map(Path("maps/shore"))
        succeed("export", "maps/shore")
        assert "exports/shore/crew exists already" in refuse("export")


RECORD = """
[record]
observer = "Ada Field"
country = "United States"
state = "Montana"

[record.taxa."leafy spurge"]
scientific_name = "Euphorbia virgata"

[record.taxa.sumac]
scientific_name = "Rhus glabra"
"""


class TestRecords:
    @pytest.fixture(autouse=True)
    def survey(self, drawn):  # noqa: ARG002
        day = 'name = "dunes"\ndate = 2026-06-14\nclasses = ["bare", "leafy spurge", "sumac"]'
        Path("survey.toml").write_text(SURVEY.replace('name = "dunes"', day) + RECORD)

    def test_what_was_reviewed_is_found_where_commands_write_it(self):
        """A check, tiles with a review, and a table that a crew filled in; that of another site says nothing here."""
        make_check(Path("checks/dune"), {(0, 0): "leafy spurge"})
        tiles = make_tiles(Path("tiles"), [(10, 0, 2), (500, 500, 2)])
        decide(tiles, "t0", "leafy spurge")
        succeed("export", "maps/dune")
        fill_in(Path("exports/dune/crew/patches.csv"), {"P002": "sumac"}, date="2026-07-01")
        lines = succeed("export", "--for", "records").splitlines()
        assert lines == [
            "note: shore has no map yet, and is left out",
            "note: reviewed places are looked for where commands write them",
            "note: 1 reviewed place of checks/dune",
            "note: 1 label of the table of checks/dune taken for seen on the ground",
            "note: 1 reviewed place of tiles",
            "note: 1 reviewed place of exports/dune/crew/patches.csv",
            "note: 3 patches that nobody reviewed left out; --unreviewed records them as such",
            "note: survey.toml does not say record.positional_accuracy_m, so records do not say how far off a place may be",
            "note: survey.toml does not say record.county, which NAISMA and EDDMapS ask for",
            "note: survey.toml does not say record.country_code, which GBIF asks for",
            "3 records: 3 of 6 patches, 0 places that the map missed, 0 absences",
            "exports/dune/records: darwin-core.zip, eddmaps.csv, naisma.csv, occurrence.csv",
        ]

    def test_from_elsewhere_the_survey_that_the_map_lies_in_is_asked(self, monkeypatch, tmp_path):
        Path("elsewhere").mkdir()
        monkeypatch.chdir("elsewhere")
        succeed("export", "../maps/dune", "--for", "records", "--unreviewed", "--class", "sumac")
        (row,) = list(csv.DictReader((tmp_path / "elsewhere/exports/dune/records/occurrence.csv").read_text().splitlines()))
        assert (row["eventDate"], row["datasetName"], row["scientificName"]) == ("2026-06-14", "dunes", "Rhus glabra")

    def test_a_site_that_nobody_reviewed_is_named(self):
        make_map(Path("maps/shore"))
        make_check(Path("checks/dune"), {(0, 0): "leafy spurge"})
        lines = succeed("export", "--for", "records").splitlines()
        assert lines[-1].startswith("note: nothing of maps/shore is reviewed: ")
        assert not Path("exports/shore").exists()

    @pytest.mark.parametrize(
        ("old", "new", "says"),
        [
            ("[record]", "[recod]", "survey.toml: recod: there is no such entry, did you mean record"),
            ('observer = "Ada Field"', "", "record.observer of survey.toml is missing: the full name of the one who flew"),
            ("date = 2026-06-14", "", "records need the day of the flight: date of survey.toml, or of the site's entry"),
            ("[record.taxa.sumac]", '[record.taxa."leafy spurg"]', "'leafy spurg' is no class but the first"),
            (RECORD, "", "records need a table [record] in survey.toml"),
        ],
    )
    def test_what_is_missing(self, old, new, says):
        text = Path("survey.toml").read_text()
        assert old in text
        Path("survey.toml").write_text(text.replace(old, new))
        assert says in refuse("export", "maps/dune", "--for", "records", "--unreviewed")

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            ((), "nothing of maps/dune is reviewed: label cells of 'spurgekit check maps/dune', review its tiles"),
            (("--reviewed", "nowhere.csv"), "nowhere.csv: no such file"),
            (("--reviewed", "maps/dune"), "maps/dune holds no sample of 'spurgekit check'"),
            (("--for", "crew", "--unreviewed"), "--unreviewed is for --for records; drop it, or pass that"),
        ],
    )
    def test_arguments(self, arguments, says):
        assert says in refuse("export", "maps/dune", "--for", "records", *arguments)

    def test_without_a_survey(self):
        Path("survey.toml").unlink()
        assert "records need a survey.toml with a table [record]" in refuse("export", "maps/dune", "--for", "records")


def edited(folder, change):
    rows = gpd.read_file(folder / "presence.gpkg", layer="presence")
    (folder / "presence.gpkg").unlink()
    change(rows).to_file(folder / "presence.gpkg", layer="presence")


@pytest.mark.usefixtures("drawn")
class TestBadInput:
    """One line, and nothing half-written: :func:`refuse` looks."""

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (("maps",), "maps holds no presence.tif; name a folder that 'spurgekit map' made"),
            (("nowhere",), "nowhere is no folder; name a folder that 'spurgekit map' made"),
            (
                ("maps/dune", "--class", "sumak"),
                "--class sumak is no class of maps/dune but the background, did you mean",
            ),
            (("maps/dune", "--class", "bare"), "--class bare is no class of maps/dune but the background"),
            (("maps/dune", "--join", "-1"), "--join -1.0 is no distance; pass metres, 0 or more"),
            (("maps/dune", "--join", "nan"), "--join nan is not a number"),
            (("maps/dune", "--join", "inf"), "--join inf is no distance"),
            (("maps/dune", "--for", "sprayer"), "--for sprayer needs --swath and --rate"),
            (("maps/dune", "--zones", "5"), "--zones is for --for sprayer; drop it, or pass that"),
            (("maps/dune", "--for", "plane"), "Invalid value for '--for': 'plane' is not known"),
            ((), "name a map, or run this in a survey's folder"),
        ],
    )
    def test_arguments(self, arguments, says):
        assert refuse("export", *arguments).startswith(f"spurgekit: {says}")

    def test_an_empty_folder(self):
        Path("empty").mkdir()
        assert "empty holds no presence.tif" in refuse("export", "empty")

    def test_no_patches(self):
        make_map(Path("bare"), "....\n....")
        assert refuse("export", "bare").endswith(
            "bare/presence.gpkg has no polygons of leafy spurge or sumac: nothing to export"
        )

    def test_no_patches_of_the_class(self):
        make_map(Path("one"), "11..\n....")
        assert refuse("export", "one", "--class", "sumac").endswith("has no polygons of sumac: nothing to export")

    def test_without_a_place_on_earth(self):
        make_map(Path("paddock"), crs='LOCAL_CS["paddock",UNIT["metre",1]]')
        assert "paddock/presence.tif is in paddock, which has no place on Earth" in refuse("export", "paddock")

    def test_without_a_path_to_degrees(self):
        make_map(Path("moon"), crs="IAU_2015:30110", corner=(0.0, 0.0))  # the Moon's sphere
        assert "cannot be brought into EPSG:4326" in refuse("export", "moon")

    def test_a_damaged_map(self, drawn):
        (drawn / "presence.gpkg").write_bytes(b"nothing")
        assert "presence.gpkg is not a vector file that can be read" in refuse("export", drawn)

    def test_a_damaged_raster(self, drawn):
        (drawn / "presence.tif").write_bytes(b"nothing")
        assert "presence.tif cannot be read" in refuse("export", drawn)

    def test_a_summary_of_another_version(self, drawn):
        (drawn / "summary.json").write_text('{"schema_version": 1}')
        assert "it is of another spurgekit, and this one knows 2 and 3; make the map again" in refuse("export", drawn)

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            (
                lambda rows: rows.assign(area_m2=np.where(rows.index == 1, np.nan, 4)),
                "area_m2 of row 2 is missing, not",
            ),
            (lambda rows: rows.drop(columns="class"), "lacks the column class"),
            (lambda rows: rows.set_geometry(rows.centroid), "holds other shapes than polygons"),
        ],
    )
    def test_a_file_that_was_edited_amiss(self, drawn, change, says):
        edited(drawn, change)
        assert says in refuse("export", drawn)

    def test_a_class_of_more_letters_than_a_shapefile_holds(self):
        make_map(Path("long"), classes=("bare", "w" * 255, "sumac"))
        line = refuse("export", "long", "--out", "out")
        assert "is longer than the 254 bytes that a shapefile holds" in line

    def test_a_full_disk(self, drawn, monkeypatch):
        def full(*_, **__):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("spurgekit.export.archives.ZipFile", full)
        assert "the disk is full" in refuse("export", drawn, "--out", "out", code=1)


def test_a_turned_map_in_feet(drawn):
    turned = Affine.translation(1_000_000, 200_000) @ Affine.rotation(30) @ Affine.scale(6.0, -6.0)
    make_map(Path("feet"), crs="EPSG:2263", transform=turned, cell=1.8288)
    succeed("export", "feet", "--join", "0.1")
    with rasterio.open("feet/presence.tif") as file:
        cells = gpd.GeoSeries.from_xy(*[[value] for value in file.transform @ (5.5, 0.5)], crs=file.crs).to_crs(4326)
    points = gpd.read_file("exports/feet/crew/patches.gpx", layer="waypoints")
    there = np.hypot(points.geometry.x - cells.x[0], points.geometry.y - cells.y[0])
    assert there.min() < 1e-7
    rows = gpd.read_file("exports/feet/crew/patches.geojson")
    assert rows["area_m2"][0] == pytest.approx(4 * 36 * 0.3048006**2, abs=1e-3)
    assert rows["gross_m2"].to_numpy() == pytest.approx(rows["area_m2"].to_numpy(), abs=0.01)
