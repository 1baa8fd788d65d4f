import csv
import datetime as dt
import json
import shutil
import zipfile
from pathlib import Path
from xml.etree import ElementTree as ET

import geopandas as gpd
import pytest
import shapely
from dwca.read import DwCAReader

from spurgekit import ExportOptions, export_map
from spurgekit.errors import InputError
from spurgekit.record_table import RecordTable, Taxon
from tests.export.conftest import make_map
from tests.export.places import decide, fill_in, make_check, make_tiles
from tests.outputs.listing import RECORDS, names

FILES = ["darwin-core.zip", "eddmaps.csv", "naisma.csv", "occurrence.csv"]
TEXT = "{http://rs.tdwg.org/dwc/text/}"
TAXA = {"leafy spurge": Taxon(scientific_name="Euphorbia virgata", tsn=28066), "sumac": Taxon(scientific_name="Rhus glabra")}
RECORD = RecordTable(
    taxa=TAXA, observer="Ada Field", organisation="Weed District", country="United States", country_code="US",
    state="Montana", county="Gallatin", positional_accuracy_m=0.05, licence="CC0-1.0",
)  # fmt: skip
FLOWN = dt.date(2026, 6, 14)


def export(*reviewed, out="out", mapped="maps/dune", **more):
    options = {"record": RECORD, "flown": FLOWN, "survey": "dunes", **more}
    return export_map(mapped, out, ExportOptions(recipient="records", reviewed=reviewed, **options), overwrite=True)


def rows_of(name, out="out"):
    with Path(out, name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def told(rows, *columns):
    return [tuple(row[name] for name in columns) for row in rows]


def by_patch(rows):
    return {row["occurrenceRemarks"].split()[1]: row for row in rows if row["occurrenceRemarks"].startswith("patch")}


@pytest.mark.usefixtures("drawn")
class TestWithoutReview:
    def test_all_patches_as_unverified(self):
        report = export(unreviewed=True)
        assert names(report.folder) == sorted([*FILES, *RECORDS, "summary.json"])
        assert report.files == tuple(FILES)
        assert report.notes == ("6 patches that nobody reviewed recorded as unverified",)
        rows = rows_of("occurrence.csv")
        assert {(row["identificationVerificationStatus"], row["identifiedBy"]) for row in rows} == {("unverified", "spurgekit")}
        assert all(row["occurrenceRemarks"].endswith("not reviewed by a person") for row in rows)
        assert [row["Verification Method"] for row in rows_of("naisma.csv")] == ["unverified"] * 6
        assert all(row["Comments"].startswith("unverified; ") for row in rows_of("eddmaps.csv"))

    def test_a_record_of_darwin_core(self):
        export(unreviewed=True)
        first = rows_of("occurrence.csv")[0]
        assert {name: value for name, value in first.items() if name not in ("occurrenceID", "footprintWKT")} == {
            "basisOfRecord": "MachineObservation", "occurrenceStatus": "present", "scientificName": "Euphorbia virgata",
            "taxonID": "", "taxonRank": "", "kingdom": "", "vernacularName": "leafy spurge",
            "verbatimIdentification": "leafy spurge", "eventDate": "2026-06-14", "recordedBy": "Ada Field",
            "identifiedBy": "spurgekit", "dateIdentified": "", "identificationVerificationStatus": "unverified",
            "samplingProtocol": "drone orthomosaic classified by a model in cells of 2 m; "
            "cells 1 m apart or less are one patch",
            "sampleSizeValue": "", "sampleSizeUnit": "", "organismQuantity": "16.0",
            "organismQuantityType": "square metres of occupied ground", "decimalLatitude": "45.1534592",
            "decimalLongitude": "-110.9999746", "geodeticDatum": "EPSG:4326",
            "coordinateUncertaintyInMeters": "2.9",  # from the middle of a square of 4 m to its corner, 2.828 m, and 0.05 m
            "footprintSRS": "EPSG:4326", "country": "United States", "countryCode": "US", "stateProvince": "Montana",
            "county": "Gallatin", "locality": "dune", "habitat": "", "institutionCode": "Weed District", "datasetName": "dunes",
            "datasetID": "", "license": "http://creativecommons.org/publicdomain/zero/1.0/legalcode", "rightsHolder": "",
            "occurrenceRemarks": "patch P001 of the map dune: mean probability 0.75; not reviewed by a person",
        }  # fmt: skip

    def test_footprints_are_the_outlines_of_patches(self):
        export(unreviewed=True)
        export_map("maps/dune", "crew")
        shapes = gpd.read_file("crew/patches.geojson").geometry
        rows = rows_of("occurrence.csv")
        for row, shape in zip(rows, shapes, strict=True):
            found = shapely.from_wkt(row["footprintWKT"])
            assert found.is_valid
            assert shapely.hausdorff_distance(found, shape) <= 1e-7
            assert found.contains(shapely.Point(float(row["decimalLongitude"]), float(row["decimalLatitude"])))

    def test_the_archive_says_what_its_columns_are(self):
        export(unreviewed=True)
        with zipfile.ZipFile("out/darwin-core.zip") as archive:
            assert archive.namelist() == ["occurrence.csv", "meta.xml"]
            table = archive.read("occurrence.csv")
            root = ET.fromstring(archive.read("meta.xml"))
        assert table == Path("out/occurrence.csv").read_bytes()
        core = root.find(f"{TEXT}core")
        assert core.attrib == {
            "encoding": "UTF-8", "fieldsTerminatedBy": ",", "linesTerminatedBy": "\\n", "fieldsEnclosedBy": '"',
            "ignoreHeaderLines": "1", "rowType": "http://rs.tdwg.org/dwc/terms/Occurrence",
        }  # fmt: skip
        assert [child.tag for child in core][:2] == [f"{TEXT}files", f"{TEXT}id"]
        assert core.find(f"{TEXT}id").get("index") == "0"
        header = table.decode().splitlines()[0].split(",")
        fields = [(int(field.get("index")), field.get("term").rpartition("/")) for field in core.findall(f"{TEXT}field")]
        assert [(index, name) for index, (_, _, name) in fields] == list(enumerate(header))
        starts = {name: start for _, (start, _, name) in fields}
        assert starts.pop("license") == starts.pop("rightsHolder") == "http://purl.org/dc/terms"
        assert set(starts.values()) == {"http://rs.tdwg.org/dwc/terms"}

    def test_the_archive_is_read_by_another_library(self):
        export(unreviewed=True)
        with DwCAReader("out/darwin-core.zip") as archive:
            assert archive.descriptor.core.type == "http://rs.tdwg.org/dwc/terms/Occurrence"
            read = [row.data for row in archive]
        rows = rows_of("occurrence.csv")
        for term in ("occurrenceID", "footprintWKT", "samplingProtocol", "occurrenceRemarks"):
            assert [row[f"http://rs.tdwg.org/dwc/terms/{term}"] for row in read] == [row[term] for row in rows]

    def test_eddmaps_has_acres_infested_no_more_than_gross(self):
        export(unreviewed=True, join_m=2)
        rows = rows_of("eddmaps.csv")
        # The block of 4 m x 4 m and two cells 2 m below it: with the gaps 4 m x 6 m, and 6 m x 2 m below that.
        areas = (float(rows[0]["InfestAcre"]), float(rows[0]["GrossAcre"]))
        assert areas == pytest.approx((24 / 4046.8564224, 36 / 4046.8564224), abs=1e-7)
        assert all(float(row["InfestAcre"]) <= float(row["GrossAcre"]) for row in rows)
        assert told(rows[:1], "SciName", "OccStatus", "Status", "ObsDate", "Location", "Datum", "RecBasis", "DataType") == [
            ("Euphorbia virgata", "Detected", "Positive", "06/14/2026", "Gallatin, Montana, United States", "WGS84",
             "Machine Observation", "Polygon"),
        ]  # fmt: skip

    def test_naisma(self):
        export(unreviewed=True)
        columns = ("Species Name", "Taxonomic Serial Number", "Infested Area", "Infested Area Units", "Examiner", "Data Source")
        assert told(rows_of("naisma.csv")[:2], *columns) == [
            ("Euphorbia virgata", "28066", "16.0", "square meters", "Ada Field", "Weed District"),
            ("Rhus glabra", "", "16.0", "square meters", "Ada Field", "Weed District"),
        ]
        ids = [row["occurrenceID"] for row in rows_of("occurrence.csv")]
        assert [row["Universally Unique Identifier"] for row in rows_of("naisma.csv")] == ids
        assert [row["UUID"] for row in rows_of("eddmaps.csv")] == ids

    def test_the_same_map_gives_the_same_bytes(self):
        export(unreviewed=True, out="one")
        export(unreviewed=True, out="other")
        assert [Path("one", name).read_bytes() for name in FILES] == [Path("other", name).read_bytes() for name in FILES]

    def test_identifiers_are_of_the_place_and_not_of_the_number(self):
        export(unreviewed=True)
        before = {row["footprintWKT"]: row["occurrenceID"] for row in rows_of("occurrence.csv")}
        assert len(set(before.values())) == 6
        rows = gpd.read_file("maps/dune/presence.gpkg", layer="presence")
        Path("maps/dune/presence.gpkg").unlink()
        rows[1:].to_file("maps/dune/presence.gpkg", layer="presence")  # without the largest, the others move up
        export(unreviewed=True, record=RecordTable(**{**vars(RECORD), "observer": "Bo Hill", "positional_accuracy_m": 1.0}))
        after = {row["footprintWKT"]: row["occurrenceID"] for row in rows_of("occurrence.csv")}
        assert len(after) == 5
        assert after.items() < before.items()
        export(unreviewed=True, flown=dt.date(2027, 6, 14))
        assert not {row["occurrenceID"] for row in rows_of("occurrence.csv")} & set(after.values())

    def test_where_nobody_says_how_well_it_is_placed(self):
        record = RecordTable(**{**vars(RECORD), "positional_accuracy_m": None, "county": None, "country_code": None})
        report = export(unreviewed=True, record=record)
        assert {row["coordinateUncertaintyInMeters"] for row in rows_of("occurrence.csv")} == {""}
        assert report.notes[1:] == (
            "survey.toml does not say record.positional_accuracy_m, so records do not say how far off a place may be",
            "survey.toml does not say record.county, which NAISMA and EDDMapS ask for",
            "survey.toml does not say record.country_code, which GBIF asks for",
        )

    def test_nothing_reviewed(self):
        with pytest.raises(InputError, match="nothing of maps/dune is reviewed: label cells of 'spurgekit check maps/dune'"):
            export()
        assert not Path("out").exists()


@pytest.mark.usefixtures("drawn")
class TestReviewed:
    def test_cells_of_a_check(self):
        """One in the block, one false alarm, a spurge that the map missed, bare ground, and one that nobody labelled."""
        labels = {(0, 0): "leafy spurge", (0, 5): "bare", (4, 0): "leafy spurge", (4, 7): "bare", (5, 4): None}
        report = export(make_check(Path("checks/dune"), labels))
        rows = rows_of("occurrence.csv")
        status = (
            "occurrenceStatus",
            "scientificName",
            "organismQuantity",
            "sampleSizeValue",
            "identificationVerificationStatus",
        )
        seen = "verified by a person on the ground"
        assert told(rows, *status) == [
            ("present", "Euphorbia virgata", "16.0", "", seen),
            ("present", "Euphorbia virgata", "4.0", "4.0", seen),
            ("absent", "Euphorbia virgata", "0.0", "4.0", seen),
            ("absent", "Euphorbia virgata", "0.0", "4.0", seen),
            ("absent", "Rhus glabra", "0.0", "4.0", seen),
            ("absent", "Rhus glabra", "0.0", "4.0", seen),
        ]
        # Of when they were seen nobody wrote anything down, so they are observations of the flight.
        assert {(row["basisOfRecord"], row["eventDate"]) for row in rows} == {("MachineObservation", "2026-06-14")}
        assert report.details | {"notes": None} == {
            "reviewed": ["checks/dune"], "records": 6, "patches_recorded": 1, "patches_unverified": 0, "patches_disputed": 0,
            "patches_denied": 1, "patches_left_out": 4, "missed_by_the_map": 1, "absences": 4, "notes": None,
        }  # fmt: skip
        assert report.notes == (
            "4 reviewed places of checks/dune",
            "4 labels of the table of checks/dune taken for seen on the ground",
            "4 patches that nobody reviewed left out; `unreviewed` records them as such",
            "1 patch left out, as people say that the class is not there",
        )
        assert json.loads(Path("out/summary.json").read_text())["notes"] == list(report.notes)

    def test_a_check_that_was_labelled_on_the_page(self):
        check = make_check(Path("checks/dune"), {(0, 0): None, (4, 7): None})
        decide(check, "dune_r00000_c00000", "leafy spurge", who="Cy", day=21)
        decide(check, "dune_r00000_c00000", "leafy spurge", who="Bo", day=22)
        export(check)
        assert told(rows_of("occurrence.csv"), "identifiedBy", "dateIdentified", "recordedBy", "basisOfRecord") == [
            ("Bo | Cy", "2026-06-22", "Ada Field", "MachineObservation")
        ]
        assert rows_of("naisma.csv")[0]["Verification Method"] == "verified by a person from the image"

    def test_tiles(self):
        """One over the block, one over two small patches that are not there, one on bare ground; the rest do not count."""
        tiles = make_tiles(Path("tiles"), [(0, 0, 5), (0, 5, 6), (12, 8, 3), (2, 9, 2), (5, 9, 2), (100, 100, 5)])
        for tile, label in (("t0", "leafy spurge"), ("t1", "bare"), ("t2", "bare"), ("t5", "bare")):
            decide(tiles, tile, label)
        decide(tiles, "t3", None, verdict="unsure")
        decide(tiles, "t4", "bare")
        decide(tiles, "t4", "sumac", who="Cy")
        report = export(tiles, classes="leafy spurge")
        assert told(rows_of("occurrence.csv"), "occurrenceStatus", "organismQuantity", "sampleSizeValue", "identifiedBy") == [
            ("present", "16.0", "", "Bo"),
            ("absent", "0.0", "36.0", "Bo"),
            ("absent", "0.0", "9.0", "Bo"),
        ]
        assert report.notes == (
            "3 reviewed places of tiles, 1 that are not on the map left out",
            "2 tiles of tiles rejected, unsure or disputed, and left out",
            "2 patches that nobody reviewed left out; `unreviewed` records them as such",
            "2 patches left out, as people say that the class is not there",
        )

    def test_a_dataset(self, chain):
        """Of its tiles, 32 cm wide, two lie in the block; one of them is of the weed, by the dataset's own names."""
        shutil.copytree(chain.dataset, "dataset")
        tiles = gpd.read_parquet("dataset/tiles.parquet")["tile_id"]
        decide(Path("dataset"), tiles[0], "weed")
        decide(Path("dataset"), tiles[1], "sand")
        make_map(Path("maps/weed"), "11..\n11..", classes=("sand", "weed"))
        record = RecordTable(**{**vars(RECORD), "taxa": {}, "scientific_name": "Euphorbia virgata"})
        report = export("dataset", mapped="maps/weed", record=record)
        (row,) = rows_of("occurrence.csv")
        assert (row["identifiedBy"], row["occurrenceStatus"]) == ("Bo", "present")
        assert float(row["organismQuantity"]) == pytest.approx(16 - 0.32**2, abs=1e-3)
        assert report.notes[0] == "2 reviewed places of dataset"

    def test_a_crews_table(self):
        export_map("maps/dune", "crew")
        labels = {"P001": "leafy spurge", "P002": "no", "P003": "sumac", "P004": "?"}
        with pytest.raises(
            InputError, match=r"crew/patches\.csv: 'yes' is no class of maps/dune; known are bare, leafy spurge"
        ):
            export(fill_in(Path("crew/patches.csv"), {"P001": "yes"}))
        table = fill_in(Path("crew/patches.csv"), labels, observer="Cy Reed", date="2026-07-01")
        report = export(table)
        columns = ("basisOfRecord", "occurrenceStatus", "scientificName", "eventDate", "recordedBy", "identifiedBy")
        assert told(rows_of("occurrence.csv"), *columns) == [
            ("HumanObservation", "present", "Euphorbia virgata", "2026-07-01", "Cy Reed", "Cy Reed"),
            (
                "HumanObservation",
                "present",
                "Rhus glabra",
                "2026-07-01",
                "Cy Reed",
                "Cy Reed",
            ),  # in place of the spurge of P003
            ("HumanObservation", "absent", "Euphorbia virgata", "2026-07-01", "Cy Reed", "Cy Reed"),
            ("HumanObservation", "absent", "Rhus glabra", "2026-07-01", "Cy Reed", "Cy Reed"),
        ]
        absent = rows_of("occurrence.csv")[2]
        assert (absent["sampleSizeValue"], absent["sampleSizeUnit"]) == ("16.0", "square metre")  # the cells of P002
        assert told(rows_of("eddmaps.csv")[:1], "RecBasis", "ObsDate", "Surveyor") == [
            ("Human Observation", "07/01/2026", "Cy Reed")
        ]
        assert "1 place of patches.csv labelled '?', which is no class" in report.notes

    @pytest.mark.parametrize("suffix", [".geojson", ".gpkg"])
    def test_outlines_that_a_crew_filled_in(self, suffix):
        export_map("maps/dune", "crew")
        rows = gpd.read_file("crew/patches.geojson")
        rows["label"] = rows["label"].astype(object).where(rows["name"] != "P005", "leafy spurge")
        rows.to_file(f"filled{suffix}")
        export(f"filled{suffix}")
        assert list(by_patch(rows_of("occurrence.csv"))) == ["P005"]

    def test_a_project_that_was_filled_in_in_qfield(self):
        export_map("maps/dune", "exports/dune/phone", ExportOptions(recipient="phone"))
        rows = gpd.read_file("exports/dune/phone/patches.gpkg")
        labels = {"P001": "leafy spurge", "P002": "none"}
        rows["label"] = rows["name"].map(labels).fillna("")
        rows["observer"], rows["date"] = "Cy Reed", "2026-07-01"
        rows.to_file("exports/dune/phone/patches.gpkg", layer="patches")
        report = export()
        found = rows_of("occurrence.csv")
        assert list(by_patch(found)) == ["P001"]
        assert {row["occurrenceStatus"] for row in found} == {"present", "absent"}
        assert {row["recordedBy"] for row in found} == {"Cy Reed"}
        assert "2 reviewed places of exports/dune/phone/patches.gpkg" in report.notes

    def test_a_point_where_the_map_has_nothing(self):
        places = gpd.GeoSeries.from_xy([500_001.0], [4_999_991.0], crs="EPSG:32612")
        places.to_frame("geometry").assign(label="leafy spurge", date="2026-07-01").to_file("seen.geojson")
        export("seen.geojson")
        (row,) = rows_of("occurrence.csv")
        assert row["footprintWKT"].startswith("POINT (")
        assert row["samplingProtocol"] == "visit on the ground to check a map of drone imagery"
        assert row["occurrenceRemarks"] == "the map dune does not have it here"
        assert [row[name] for name in ("organismQuantity", "coordinateUncertaintyInMeters", "recordedBy")] == [
            "",
            "",
            "Ada Field",
        ]
        assert rows_of("eddmaps.csv")[0]["InfestAcre"] == ""

    def test_a_patch_that_is_disputed(self):
        """Of the four cells of the block one is bare: the rest is infested, and the point lies in it."""
        report = export(make_check(Path("check"), {(0, 0): "leafy spurge", (1, 1): "bare"}))
        row = rows_of("occurrence.csv")[0]
        assert row["organismQuantity"] == "12.0"
        assert row["occurrenceRemarks"] == (
            "patch P001 of the map dune: mean probability 0.75; 1 reviewed place in it of the class; "
            "1 without it, whose ground is not counted as infested; day of the visit not recorded"
        )
        assert told(rows_of("occurrence.csv"), "occurrenceStatus", "verbatimIdentification") == [
            ("present", "leafy spurge"), ("absent", "sumac")
        ]  # fmt: skip
        assert report.details["patches_disputed"] == 1
        eddmaps = rows_of("eddmaps.csv")[0]
        assert float(eddmaps["GrossAcre"]) > float(eddmaps["InfestAcre"])

    def test_a_patch_whose_ground_is_wholly_in_dispute(self):
        tiles = make_tiles(Path("tiles"), [(0, 0, 4)])
        decide(tiles, "t0", "bare")
        labels = {(0, 0): "leafy spurge", (5, 4): "leafy spurge"}
        report = export(tiles, make_check(Path("check"), labels), classes="leafy spurge")
        assert list(by_patch(rows_of("occurrence.csv"))) == ["P006"]
        assert (report.details["patches_denied"], report.details["patches_recorded"]) == (1, 1)

    def test_with_what_nobody_reviewed(self):
        export(make_check(Path("check"), {(0, 0): "leafy spurge", (0, 5): "bare"}), unreviewed=True, classes="leafy spurge")
        status = {name: row["identificationVerificationStatus"] for name, row in by_patch(rows_of("occurrence.csv")).items()}
        assert status == {
            "P001": "verified by a person on the ground", "P004": "unverified", "P005": "unverified", "P006": "unverified"
        }  # fmt: skip

    def test_what_two_sources_say_of_one_place_is_one_record(self):
        tiles = make_tiles(Path("tiles"), [(12, 8, 4)])
        decide(tiles, "t0", "bare")
        report = export(tiles, make_check(Path("check"), {(4, 6): "bare"}), classes="sumac")
        assert told(rows_of("occurrence.csv"), "occurrenceStatus", "sampleSizeValue") == [("absent", "16.0")]
        assert report.notes[-1].startswith("1 reviewed place unused: ")

    def test_a_map_without_the_weed_has_absences(self):
        make_map(Path("maps/bare"), "....\n....")
        export(make_check(Path("check"), {(0, 0): "bare"}, map_folder=Path("maps/bare")), mapped="maps/bare")
        assert told(rows_of("occurrence.csv"), "occurrenceStatus", "scientificName") == [
            ("absent", "Euphorbia virgata"), ("absent", "Rhus glabra")
        ]  # fmt: skip

    def test_a_map_in_feet_and_places_in_degrees(self):
        make_map(Path("maps/feet"), crs="EPSG:2263", corner=(1_000_000.0, 200_000.0), cell=10.0)
        block = gpd.GeoSeries([shapely.box(1_000_000, 199_980, 1_000_020, 200_000)], crs="EPSG:2263")
        block.to_crs("EPSG:4326").to_frame("geometry").assign(label="leafy spurge").to_file("seen.gpkg")
        export("seen.gpkg", mapped="maps/feet")
        (row,) = rows_of("occurrence.csv")
        assert float(row["organismQuantity"]) == pytest.approx(400 * 0.3048006**2, abs=1e-3)
        assert row["coordinateUncertaintyInMeters"] == "4.4"  # half the diagonal of 20 feet, 4.311 m, and 0.05 m


@pytest.mark.parametrize("name", ["<b>weed</b> & co", "Wolfsmilch, spitzblättrig", 'a "quoted" weed', "]]> weed"])
def test_a_class_with_markup_reads_back_as_itself(tmp_path, name):
    mapped = make_map(tmp_path / "dune", classes=("bare", name, "sumac"))
    export(mapped=mapped, out=tmp_path / "out", unreviewed=True, record=RecordTable(**{**vars(RECORD), "taxa": {
        name: Taxon(scientific_name="A & <b>"), "sumac": TAXA["sumac"],
    }}))  # fmt: skip
    with DwCAReader(tmp_path / "out" / "darwin-core.zip") as archive:
        first = archive.rows[0].data
    assert first["http://rs.tdwg.org/dwc/terms/verbatimIdentification"] == name
    assert first["http://rs.tdwg.org/dwc/terms/scientificName"] == "A & <b>"
    assert rows_of("eddmaps.csv", tmp_path / "out")[0]["ComName"] == name


@pytest.mark.usefixtures("drawn")
class TestBadInput:
    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"record": None}, r"records need a table \[record\] in survey\.toml"),
            ({"flown": None}, "records need the day of the flight: date of survey.toml"),
            (
                {"record": RecordTable(taxa=TAXA, country="US", state="MT")},
                "record.observer of survey.toml is missing: the full",
            ),
            (
                {"record": RecordTable(taxa={"sumac": TAXA["sumac"]}, observer="A", country="US", state="MT")},
                r"survey\.toml says no taxon of the class 'leafy spurge'; write a table \[record\.taxa\.\"leafy spurge\"\]",
            ),
        ],
    )
    def test_what_is_missing(self, change, says):
        with pytest.raises(InputError, match=says):
            export(unreviewed=True, **change)
        assert not Path("out").exists()

    def test_one_weed_without_a_name(self):
        make_map(Path("maps/one"), "11..\n....", classes=("bare", "weed"))
        with pytest.raises(InputError, match=r"record\.scientific_name of survey\.toml is missing: the name of the weed"):
            export(mapped="maps/one", unreviewed=True, record=RecordTable(observer="A", country="US", state="MT"))
        record = RecordTable(scientific_name="Euphorbia esula L.", observer="A", country="US", state="MT")
        export(mapped="maps/one", unreviewed=True, record=record)
        assert told(rows_of("occurrence.csv"), "scientificName", "vernacularName") == [("Euphorbia esula L.", "weed")]

    def test_what_lies_elsewhere(self):
        tiles = make_tiles(Path("tiles"), [(500, 500, 5)])
        decide(tiles, "t0", "sumac")
        with pytest.raises(InputError, match="nothing that was reviewed in tiles lies on maps/dune; name what is of this site"):
            export(tiles)

    def test_no_review(self):
        with pytest.raises(InputError, match=r"tiles holds no review\.jsonl; review its tiles with 'spurgekit review tiles'"):
            export(make_tiles(Path("tiles"), [(0, 0, 5)]))

    def test_a_folder_of_something_else(self):
        with pytest.raises(InputError, match="maps holds no sample of 'spurgekit check', no tiles and no dataset"):
            export("maps")

    def test_a_label_that_is_no_class(self):
        tiles = make_tiles(Path("tiles"), [(0, 0, 5)])
        decide(tiles, "t0", "thistle")
        with pytest.raises(InputError, match="tiles: 'thistle' is no class of maps/dune; known are bare, leafy spurge, sumac"):
            export(tiles)

    def test_names_that_moved(self):
        export_map("maps/dune", "crew")
        table = fill_in(Path("crew/patches.csv"), {"P006": "leafy spurge", "P003": "leafy spurge"})
        with pytest.raises(InputError, match=r"the patch P006, which was labelled, is no more: the map was edited .* `join_m`"):
            export(table, join_m=2)
        rows = gpd.read_file("maps/dune/presence.gpkg", layer="presence")
        Path("maps/dune/presence.gpkg").unlink()
        rows.iloc[::-1].to_file("maps/dune/presence.gpkg", layer="presence")
        with pytest.raises(InputError, match="the patch P003, which was labelled, is not where it was"):
            export(table)

    @pytest.mark.parametrize(
        ("more", "says"),
        [
            ({"date": "first of July"}, r"the date 'first of July' cannot be read; write it as 2026-06-14"),
            ({"observer": "=cmd"}, "patches.csv: observer '=cmd' is a formula to spreadsheets"),
        ],
    )
    def test_a_table_that_was_filled_in_amiss(self, more, says):
        export_map("maps/dune", "crew")
        with pytest.raises(InputError, match=says):
            export(fill_in(Path("crew/patches.csv"), {"P001": "leafy spurge"}, **more))

    def test_a_table_without_labels(self):
        Path("places.csv").write_text("longitude,latitude\n-111,45.15\n")
        with pytest.raises(InputError, match=r"places\.csv has no column 'label'; write into one the class"):
            export("places.csv")

    def test_a_formula(self):
        record = RecordTable(**{**vars(RECORD), "organisation": "=1+1"})
        with pytest.raises(InputError, match=r"occurrence\.csv: institutionCode '=1\+1' is a formula to spreadsheets"):
            export(unreviewed=True, record=record)
        assert not Path("out").exists()


class TestRecordTable:
    @pytest.mark.parametrize(
        ("entries", "says"),
        [
            ({"observer": "a\nb"}, r"`observer='a\\nb'` is no line of text"),
            ({"country_code": "usa"}, "`country_code='usa'` is no code of two capitals, such as US"),
            ({"positional_accuracy_m": 0}, "`positional_accuracy_m=0.0` is no accuracy; pass metres above 0"),
            ({"taxa": {"weed": "Euphorbia"}}, "`taxa='weed'` is not followed by a Taxon but by 'Euphorbia'"),
            ({"tsn": "x"}, "`tsn='x'` is not a whole number"),
        ],
    )
    def test_what_cannot_be(self, entries, says):
        with pytest.raises(InputError, match=says):
            RecordTable(**entries)
