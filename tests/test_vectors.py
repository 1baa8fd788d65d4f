import re
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pyogrio
import pytest
from rasterio.crs import CRS
from shapely import MultiPoint, Point

from spurgekit.errors import InputError
from spurgekit.vectors import read_vector, split_layer

UTM = CRS.from_epsg(32612)
POINTS = gpd.GeoDataFrame(
    {"label": ["a", "b"]}, geometry=[Point(500_000.2, 4_999_999.9), Point(500_000.1, 4_999_999.8)], crs="EPSG:32612"
)


def xy(frame):
    return [(x, y) for x, y in zip(frame.geometry.x, frame.geometry.y, strict=True)]


class TestLayers:
    def test_the_only_one(self, tmp_path):
        POINTS.to_file(tmp_path / "a.gpkg", layer="anything")
        assert read_vector(tmp_path / "a.gpkg", UTM).rows["label"].tolist() == ["a", "b"]

    def test_one_of_several_named_as_qgis_does(self, tmp_path):
        POINTS.to_file(tmp_path / "a.gpkg", layer="weeds")
        POINTS.iloc[:1].to_file(tmp_path / "a.gpkg", layer="gates")
        assert len(read_vector(Path(f"{tmp_path / 'a.gpkg'}|layername=weeds"), UTM).rows) == 2
        assert len(read_vector(Path(f"{tmp_path / 'a.gpkg'}|layername=gates"), UTM).rows) == 1
        with pytest.raises(InputError, match=r"name one as 'a\.gpkg\|layername=weeds'"):
            read_vector(tmp_path / "a.gpkg", UTM)

    def test_one_that_is_not_there(self, tmp_path):
        POINTS.to_file(tmp_path / "a.gpkg", layer="weeds")
        with pytest.raises(InputError, match=r"a\.gpkg has no layer 'wheat' with geometries; it has weeds"):
            read_vector(Path(f"{tmp_path / 'a.gpkg'}|layername=wheat"), UTM)

    def test_tables_without_geometries_are_no_layers(self, tmp_path):
        POINTS.to_file(tmp_path / "a.gpkg", layer="weeds")
        pyogrio.write_dataframe(pd.DataFrame({"note": ["x"]}), tmp_path / "a.gpkg", layer="notes", append=True)
        assert len(read_vector(tmp_path / "a.gpkg", UTM).rows) == 2
        with pytest.raises(InputError, match="has no layer 'notes' with geometries"):
            read_vector(Path(f"{tmp_path / 'a.gpkg'}|layername=notes"), UTM)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("a/b.gpkg", ("a/b.gpkg", None)),
            ("b.gpkg|layername=x y", ("b.gpkg", "x y")),
            ("b.gpkg|layername=", ("b.gpkg", None)),
        ],
    )
    def test_splitting(self, text, expected):
        assert split_layer(Path(text)) == (Path(expected[0]), expected[1])


class TestPlace:
    def test_comes_in_the_crs_asked_for(self, tmp_path):
        POINTS.to_crs("EPSG:4326").to_file(tmp_path / "a.geojson")
        frame = read_vector(tmp_path / "a.geojson", UTM).rows
        assert frame.crs.to_epsg() == 32612
        assert xy(frame) == [pytest.approx(place, abs=1e-5) for place in xy(POINTS)]

    def test_a_declared_crs_wins_over_a_wrong_one(self, tmp_path):
        POINTS.set_crs("EPSG:32613", allow_override=True).to_file(tmp_path / "a.gpkg")
        assert xy(read_vector(tmp_path / "a.gpkg", UTM, declared_crs="EPSG:32612").rows) == [
            pytest.approx(p) for p in xy(POINTS)
        ]

    def test_a_real_file_that_declares_the_wrong_crs(self, data):
        path = data / "orthos" / "plantcv" / "plot_points.geojson"
        frame = gpd.read_file(path)
        found = read_vector(path, CRS.from_epsg(32615)).rows
        assert len(found) == len(frame) == 4

    def test_rows_without_a_geometry_are_left_out(self, tmp_path):
        gpd.GeoDataFrame({"label": ["a", "b", "c"]}, geometry=[POINTS.geometry[0], None, Point()], crs=32612).to_file(
            tmp_path / "a.gpkg"
        )
        found = read_vector(tmp_path / "a.gpkg", UTM)
        assert found.rows["label"].tolist() == ["a"]
        assert found.notes == ("2 rows of a.gpkg without a place left out, the first of them row 2",)

    def test_a_shape_with_a_corner_nowhere_is_left_out(self, tmp_path):
        ring = "[[-111, 45], [-111, 45.1], [NaN, 45.1], [-111, 45]]"
        whole = "[[-111, 45], [-111, 45.1], [-110.9, 45.1], [-111, 45]]"
        shapes = ", ".join(
            f'{{"type": "Feature", "properties": {{"label": "{name}"}}, '
            f'"geometry": {{"type": "Polygon", "coordinates": [{at}]}}}}'
            for name, at in (("a", ring), ("b", whole))
        )
        (tmp_path / "a.geojson").write_text(f'{{"type": "FeatureCollection", "features": [{shapes}]}}')
        found = read_vector(tmp_path / "a.geojson", UTM)
        assert found.rows["label"].tolist() == ["b"]
        assert found.notes == ("1 row of a.geojson without a place left out, the first of them row 1",)

    def test_geoparquet(self, tmp_path):
        POINTS.to_crs("EPSG:4326").to_parquet(tmp_path / "a.parquet")
        assert xy(read_vector(tmp_path / "a.parquet", UTM).rows) == [pytest.approx(place, abs=1e-5) for place in xy(POINTS)]
        pd.DataFrame({"label": ["a"]}).to_parquet(tmp_path / "b.parquet")
        with pytest.raises(InputError, match=r"b\.parquet is not GeoParquet that can be read: Missing geo metadata"):
            read_vector(tmp_path / "b.parquet", UTM)


class TestMultiPoints:
    def test_of_one_point_are_points(self, tmp_path):
        multi = [MultiPoint([POINTS.geometry[0]]), POINTS.geometry[1]]
        POINTS.set_geometry(multi, crs=POINTS.crs).to_file(tmp_path / "a.gpkg")
        assert xy(read_vector(tmp_path / "a.gpkg", UTM).rows) == xy(POINTS)

    def test_of_several_are_to_be_parted(self, tmp_path):
        multi = [POINTS.geometry[0], MultiPoint(POINTS.geometry)]
        POINTS.set_geometry(multi, crs=POINTS.crs).to_file(tmp_path / "a.gpkg")
        with pytest.raises(InputError, match=r"holds 1 MultiPoint of several points, the first of them in row 2; part them"):
            read_vector(tmp_path / "a.gpkg", UTM)


class TestTables:
    def write(self, folder, text, name="a.csv", encoding="utf-8"):
        (folder / name).write_text(text, encoding=encoding)
        return folder / name

    @pytest.mark.parametrize("separator", [",", ";", "\t"])
    def test_any_separator(self, tmp_path, separator):
        lines = [["longitude", "latitude", "label"], ["-111.0", "45.1", "weed"], ["-111.1", "45.2", "sand"]]
        frame = read_vector(self.write(tmp_path, "\n".join(separator.join(line) for line in lines)), UTM).rows
        assert frame["label"].tolist() == ["weed", "sand"]
        assert frame.geometry.x[0] == pytest.approx(500_000)  # on the central meridian

    def test_as_a_spreadsheet_saves_it(self, tmp_path):
        frame = read_vector(self.write(tmp_path, "longitude,latitude\n-111,45\n-111,45.1\n", encoding="utf-8-sig"), UTM).rows
        assert len(frame) == 2

    def test_a_row_without_coordinates_is_left_out(self, tmp_path):
        frame = read_vector(self.write(tmp_path, "longitude,latitude,label\n-111,45,weed\n,,sand\n"), UTM).rows
        assert frame["label"].tolist() == ["weed"]

    def test_places_as_they_are_written(self, tmp_path):
        table = "plot;Longitude;Latitude\n01;-111,0;45,15\n1E1;111°00'W;45°09'00\"N\nNA;n/a;\n"
        found = read_vector(self.write(tmp_path, table), UTM)
        assert found.rows["plot"].tolist() == ["01", "1E1"]
        assert xy(found.rows)[0] == pytest.approx(xy(found.rows)[1], abs=1e-6)
        assert found.rows.geometry.x[0] == pytest.approx(500_000)  # on the central meridian
        assert found.notes == ("1 row of a.csv without a place left out, the first of them row 3",)

    def test_a_place_that_cannot_be_read_is_named(self, tmp_path):
        with pytest.raises(InputError, match=r"a\.csv: longitude '113\.6 O' in row 2 cannot be read; write decimal degrees"):
            read_vector(self.write(tmp_path, "longitude,latitude\n-113.6,45\n113.6 O,45\n"), UTM)
        with pytest.raises(InputError, match=r"a\.csv: easting: '500,123' may be 500123 or 500\.123"):
            read_vector(self.write(tmp_path, "easting;northing\n500,123;4999999\n"), UTM, declared_crs="EPSG:32612")

    def test_metres_win_where_their_crs_is_declared(self, tmp_path):
        table = "longitude,latitude,easting,northing\n0,0,500000,4999999\n"
        frame = read_vector(self.write(tmp_path, table), UTM, declared_crs="EPSG:32612").rows
        assert xy(frame) == [(500_000, 4_999_999)]

    def test_x_and_y_need_a_crs(self, tmp_path):
        path = self.write(tmp_path, "x,y\n500000,4999999\n")
        with pytest.raises(InputError, match="pass `declared_crs` for its x and y"):
            read_vector(path, UTM)
        assert len(read_vector(path, UTM, declared_crs="EPSG:32612").rows) == 1

    @pytest.mark.parametrize(
        "header", ["POINT_X,POINT_Y", "E,N", "Rechtswert,Hochwert", "Easting (m),Northing [m]", "X_Coord,Y Coord", "Ost,Nord"]
    )
    def test_columns_by_other_names(self, tmp_path, header):
        path = self.write(tmp_path, f"{header},label\n500000,4999999,weed\n")
        assert xy(read_vector(path, UTM, declared_crs="EPSG:32612").rows) == [(500_000, 4_999_999)]
        with pytest.raises(InputError, match=re.escape(f"pass `declared_crs` for its {header.replace(',', ' and ')}")):
            read_vector(path, UTM)

    def test_of_two_pairs_of_columns_the_one_is_named(self, tmp_path):
        path = self.write(tmp_path, "x,y,easting,northing\n1,2,500000,4999999\n")
        found = read_vector(path, UTM, declared_crs="EPSG:32612")
        assert xy(found.rows) == [(500_000, 4_999_999)]
        assert found.notes == ("places of a.csv are read from easting and northing, not from x and y",)

    def test_coordinates_that_have_no_place_in_the_crs(self, tmp_path):
        path = self.write(tmp_path, "x,y\n1e12,1e12\n")
        with pytest.raises(InputError, match=r"a\.csv"):
            read_vector(path, UTM, declared_crs="EPSG:32613")


def test_real_points(data):
    frame = read_vector(data / "copr" / "plant_points.gpkg", CRS.from_epsg(32611)).rows
    assert len(frame) == 294
    assert pd.Series(frame["cluster"]).nunique() == 8


LOCAL = CRS.from_wkt('LOCAL_CS["the photo",UNIT["metre",1]]')
UNDEFINED = (
    'ENGCRS["Undefined Cartesian SRS",EDATUM["Undefined"],CS[Cartesian,2],'
    'AXIS["X",unspecified],AXIS["Y",unspecified],LENGTHUNIT["metre",1]]'
)
DRAWN = gpd.GeoDataFrame({"label": ["a", "b"]}, geometry=[Point(1.5, 2), Point(3, 4.25)], crs=LOCAL.to_wkt())


class TestWithoutAPlaceOnEarth:
    def test_a_file_that_has_none_is_refused_where_the_image_has_one(self, tmp_path):
        POINTS.set_crs(UNDEFINED, allow_override=True).to_file(tmp_path / "a.gpkg")
        with pytest.raises(InputError, match=r"a\.gpkg: Undefined Cartesian SRS has no place on Earth.* pass `declared_crs`"):
            read_vector(tmp_path / "a.gpkg", UTM)

    def test_unless_its_crs_is_declared(self, tmp_path):
        POINTS.set_crs(UNDEFINED, allow_override=True).to_file(tmp_path / "a.gpkg")
        assert xy(read_vector(tmp_path / "a.gpkg", UTM, declared_crs="EPSG:32612").rows) == xy(POINTS)

    @pytest.mark.parametrize("name", ["a.gpkg", "a.geojson", "a.csv"])
    def test_nor_does_a_file_that_has_one_lie_on_an_image_without(self, tmp_path, name):
        degrees = POINTS.to_crs("EPSG:4326")
        if name == "a.csv":
            (tmp_path / name).write_text("longitude,latitude\n-111,45.1\n")
        else:
            degrees.to_file(tmp_path / name)
        with pytest.raises(InputError, match=r"the photo has no place on Earth.* georeference the image first"):
            read_vector(tmp_path / name, LOCAL)

    @pytest.mark.parametrize("name", ["a.gpkg", "a.parquet"])
    def test_what_was_written_in_the_images_own_crs_is_read_in_it(self, tmp_path, name):
        DRAWN.to_parquet(tmp_path / name) if name == "a.parquet" else DRAWN.to_file(tmp_path / name)
        found = read_vector(tmp_path / name, LOCAL)
        assert (xy(found.rows), found.notes) == (xy(DRAWN), ())

    @pytest.mark.parametrize(("crs", "called"), [(None, "no CRS"), (UNDEFINED, "Undefined Cartesian SRS")])
    def test_of_two_without_coordinates_are_taken_for_the_same_and_it_is_said(self, tmp_path, crs, called):
        DRAWN.set_crs(crs, allow_override=True).to_parquet(tmp_path / "a.parquet")
        found = read_vector(tmp_path / "a.parquet", LOCAL)
        assert xy(found.rows) == xy(DRAWN)
        assert found.notes == (
            f"{tmp_path / 'a.parquet'} is in {called}: taken for coordinates in the photo, which has no place on Earth either",
        )

    def test_a_table_of_x_and_y_is_in_them_too(self, tmp_path):
        (tmp_path / "a.csv").write_text("x,y\n1.5,2\n3,4.25\n")
        assert xy(read_vector(tmp_path / "a.csv", LOCAL).rows) == xy(DRAWN)


class TestDoubts:
    def test_how_far_off_another_datum_makes_it(self, tmp_path):
        british = gpd.GeoDataFrame(geometry=[Point(400_000, 300_000)], crs=27700)
        british.to_crs("EPSG:4326").to_file(tmp_path / "a.geojson")
        (note,) = read_vector(tmp_path / "a.geojson", CRS.from_epsg(27700), pixel_m=0.02).notes
        assert "a.geojson: coordinates brought from EPSG:4326 to EPSG:27700 are good to about" in note
        assert read_vector(tmp_path / "a.geojson", CRS.from_epsg(27700), pixel_m=10).notes == ()

    def test_degrees_in_a_file_that_says_metres(self, tmp_path):
        POINTS.to_crs("EPSG:4326").set_crs("EPSG:32612", allow_override=True).to_file(tmp_path / "a.gpkg")
        with pytest.raises(InputError, match=r"a\.gpkg would be in EPSG:32612, but .* look like degrees; pass `declared_crs`"):
            read_vector(tmp_path / "a.gpkg", UTM)
