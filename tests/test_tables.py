"""Tables as people write and save them."""

import pandas as pd
import pytest

from spurgekit.errors import InputError
from spurgekit.tables import degrees, metres, numbers, read_table, whole_numbers


def table(folder, data):
    (folder / "field.csv").write_bytes(data if isinstance(data, bytes) else data.encode())
    return read_table(folder / "field.csv")


def refusal(folder, data):
    with pytest.raises(InputError) as caught:
        table(folder, data)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(f"{folder}/", "")


class TestText:
    @pytest.mark.parametrize(
        "word", ["01", "1.10", "1E1", "None", "NA", "null", "nan", "True", "1,5", "2026-06-01", "-", "=1+1"]
    )
    def test_cells_stay_as_they_are_written(self, tmp_path, word):
        assert table(tmp_path, f"plot;label\n{word};x\n").rows["plot"].tolist() == [word]

    def test_empty_cells_are_missing_and_empty_lines_are_none(self, tmp_path):
        rows = table(tmp_path, "plot,label,\n01, ,\n,,\n\n02\n").rows
        assert rows.columns.tolist() == ["plot", "label"]
        assert rows["plot"].tolist() == ["01", "02"]
        assert rows["label"].isna().all()

    @pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
    def test_columns_are_parted_by_what_the_header_has_most_of(self, tmp_path, separator):
        rows = table(tmp_path, f'plot{separator}"a,;b"\n1{separator}"x{separator}y"\n').rows
        assert rows.to_dict("list") == {"plot": ["1"], "a,;b": [f"x{separator}y"]}

    def test_as_a_spreadsheet_says_it(self, tmp_path):
        assert table(tmp_path, "sep=;\r\nx,y;z\r\n1,5;2\r\n").rows.to_dict("list") == {"x,y": ["1,5"], "z": ["2"]}

    def test_comments_above_the_header_are_left_out_and_counted(self, tmp_path):
        found = table(tmp_path, "# Emlid, RS2\n#\n\nplot,label\n1,weed\n")
        assert found.rows.to_dict("list") == {"plot": ["1"], "label": ["weed"]}
        assert found.notes == ("2 lines above the header of field.csv left out, as # begins them",)

    @pytest.mark.parametrize(("header", "name"), [("#plot,x", "plot"), ("# plot,x", "plot"), ("#,x", "#")])
    def test_a_header_may_begin_as_comments_do(self, tmp_path, header, name):
        found = table(tmp_path, f"{header}\n1,2\n")
        assert (found.rows.to_dict("list"), found.notes) == ({name: ["1"], "x": ["2"]}, ())

    def test_lines_are_counted_with_the_comments(self, tmp_path):
        with pytest.raises(InputError, match="line 4 has 3 cells"):
            table(tmp_path, "# a\nplot,x\n1,2\n1,2,3\n")

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
    def test_encodings_that_say_what_they_are(self, tmp_path, encoding):
        found = table(tmp_path, "plot\tlabel\n1\tWölfsmilch\n".encode(encoding))
        assert (found.rows["label"].tolist(), found.notes) == (["Wölfsmilch"], ())

    def test_one_that_is_taken_for_another_is_said(self, tmp_path):
        found = table(tmp_path, "plot;label\n1; Wölfsmilch\n".encode("cp1252"))
        assert found.rows["label"].tolist() == ["Wölfsmilch"]
        assert found.notes == ("field.csv is not UTF-8 and is read as Windows-1252, 'Wölfsmilch' for one",)

    def test_spaces_that_are_no_spaces(self, tmp_path):
        found = table(tmp_path, "height;n\n1\xa0203,5;2\n".encode("cp1252"))
        assert numbers(found.rows["height"]).tolist() == [1203.5]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "field.csv is empty; write a header"),
        (b"PK\x03\x04\x14\x00", "field.csv is a workbook or an archive, not a text; save the sheet as CSV"),
        ("a,b\n1,2\n".encode("utf-16-le"), "field.csv is not a text that can be read; save it as UTF-8"),
        (b"a\x81b;c\xff\n", "field.csv is not a text that can be read; save it as UTF-8"),
        (b"lon,lat\n-113,6,46,7\n", "field.csv, line 2 has 4 cells, and the header 2; put quotes around text with commas"),
        (b'a,b\n"x,1\n', "field.csv, line 2 is not that of a table"),
        (b"label,label\n1,2\n", "field.csv has 2 columns 'label'; rename all but one"),
        (b"a\n" + 200_000 * b"x", "field.csv, line 2 is not that of a table: field larger than field limit"),
    ],
)
def test_what_is_no_table(tmp_path, data, why):
    assert refusal(tmp_path, data).startswith(why)


class TestNumbers:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [("1.5", 1.5), ("1,5", 1.5), ("-12 000,25", -12000.25), ("12'000", 12000), ("−3", -3), (".5", 0.5), ("1e-3", 0.001)],
    )
    def test_as_they_are_written(self, text, expected):
        assert numbers(pd.Series([text])).tolist() == [expected]

    @pytest.mark.parametrize("text", ["", "NA", "none", "-", None, "n/a"])
    def test_what_says_that_none_is_known(self, text):
        assert numbers(pd.Series([text, "1"], dtype=object), "height").isna().tolist() == [True, False]

    @pytest.mark.parametrize("text", ["1.234,5", "1,2,3", "inf", "1e999", "0x1F", "3 m", 5000 * "1", "٣"])
    def test_what_is_none(self, text):
        assert numbers(pd.Series([text])).isna().all()
        with pytest.raises(InputError, match=r"^a\.csv: height '.*' in row 2 cannot be read; write it with a decimal point"):
            numbers(pd.Series(["1", text]), "a.csv: height")

    def test_whole_ones(self):
        assert whole_numbers(pd.Series(["07", "1e2"]), "idx").tolist() == [7, 100]
        with pytest.raises(InputError, match=r"idx 1.5 in row 1 is no whole number"):
            whole_numbers(pd.Series(["1.5"]), "idx")

    def test_three_digits_behind_a_comma_are_decimals_or_thousands(self):
        assert metres(pd.Series(["500,123", "500,1"]), "easting").tolist() == [500.123, 500.1]
        with pytest.raises(InputError, match=r"^easting: '500,123' may be 500123 or 500.123; write it so$"):
            metres(pd.Series(["500,123", "501,000"]), "easting")


class TestDegrees:
    @pytest.mark.parametrize(
        ("text", "axis", "expected"),
        [
            ("-113,61823386", "longitude", -113.61823386),
            ("46°44'36.8\"N", "latitude", 46 + 44 / 60 + 36.8 / 3600),
            ("46° 44′ 36,8″ N", "latitude", 46 + 44 / 60 + 36.8 / 3600),
            ("W113 37.5", "longitude", -113.625),
            ("113 37 30 w", "longitude", -113.625),
            ("-113°37'30\"", "longitude", -113.625),
            ("46.5° S", "latitude", -46.5),
            ("0°30'W", "longitude", -0.5),
            ("113°37'30''W", "longitude", -113.625),
        ],
    )
    def test_where_they_cannot_be_mistaken(self, text, axis, expected):
        assert degrees(pd.Series([text]), axis, axis).tolist() == [pytest.approx(expected, abs=1e-12)]

    @pytest.mark.parametrize("text", ["46 44 36.8", "46°60'N", "46.5°30'N", "-46°N", "46°E", "12 O", "N46°N", "46°44'36\"5N"])
    def test_what_may_mean_something_else(self, text):
        with pytest.raises(InputError, match=r"^latitude ['\"].*['\"] in row 1 cannot be read; write decimal degrees"):
            degrees(pd.Series([text]), "latitude", "latitude")
