import pytest
from pyproj import Transformer
from rasterio.crs import CRS

from spurgekit.errors import InputError
from spurgekit.markers.gcp_list import ControlPoint, read_gcp_list
from spurgekit.markers.gcp_placement import read_control

UTM_11 = CRS.from_epsg(32611)


def write(folder, text):
    path = folder / "gcp_list.txt"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "header", ["EPSG:32611", "WGS84 UTM 11N", "wgs84 utm 11 n", "+proj=utm +zone=11 +datum=WGS84 +units=m +no_defs\t"]
)
def test_the_first_line_names_the_crs(tmp_path, header):
    found = read_gcp_list(write(tmp_path, f"{header}\n235262.54 3811203.5 12.5 3516.5 2142.25 IMG_0046.jpg gcp04\n"))
    assert found.crs == UTM_11
    assert found.points == (ControlPoint(235262.54, 3811203.5, 12.5, 3516.5, 2142.25, "IMG_0046.jpg", "gcp04"),)


def test_south(tmp_path):
    assert read_gcp_list(write(tmp_path, "WGS84 UTM 34S\n1 2 3 4 5 a.jpg\n")).crs == CRS.from_epsg(32734)


def test_comments_blank_lines_and_names_with_spaces(tmp_path):
    text = "# surveyed in May\nEPSG:32611\n\n1\t2\t3\t4\t5\tmy photo.jpg\n# 9 9 9 9 9 b.jpg\n6\t7\t8\t9\t10\tb.jpg\tgcp 2\n"
    points = read_gcp_list(write(tmp_path, text)).points
    assert [(point.image, point.name) for point in points] == [("my photo.jpg", ""), ("b.jpg", "gcp 2")]


def test_a_point_that_several_images_show_is_one_known_point(tmp_path):
    text = "EPSG:32611\n1 2 0 4 5 a.jpg\n1 2 0 9 9 b.jpg gcp1\n6 7 0 9 10 b.jpg gcp2\n"
    known = read_gcp_list(write(tmp_path, text)).known_points()
    assert [(point.x, point.y, point.name) for point in known] == [(1, 2, "gcp1"), (6, 7, "gcp2")]


def test_brought_to_the_crs_of_an_image(tmp_path):
    listed = read_gcp_list(write(tmp_path, "EPSG:4326\n-119.88 34.408 0 4 5 a.jpg\n"))
    (point,) = listed.known_points(UTM_11)
    assert (point.x, point.y) == pytest.approx(Transformer.from_crs(4326, 32611, always_xy=True).transform(-119.88, 34.408))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "holds no ground control points"),
        ("EPSG:32611\n", "holds no ground control points"),
        ("WGS84 UTM 99N\n1 2 3 4 5 a.jpg\n", "its first line, 'WGS84 UTM 99N', names no CRS; write one such as EPSG:32611"),
        ("1 2 3 4 5 a.jpg\n1 2 3 4 5 a.jpg\n", "names no CRS"),
        ("EPSG:32611\n1 2 3 4 a.jpg\n", "line 2: '1 2 3 4 a.jpg' is not x, y, z, column, row and image"),
        ("EPSG:32611\n1 2 3 4 5\n", "line 2"),
        ("EPSG:32611\n\n1 nan 3 4 5 a.jpg\n", "line 3"),
    ],
)
def test_what_cannot_be_read_says_where(tmp_path, text, why):
    with pytest.raises(InputError, match=r"gcp_list\.txt") as caught:
        read_gcp_list(write(tmp_path, text))
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_none(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_gcp_list(tmp_path / "gcp_list.txt")
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe1\x00\x10")
    with pytest.raises(InputError, match=r"photo\.jpg is not a text that can be read"):
        read_gcp_list(tmp_path / "photo.jpg")


def test_a_real_list(data):
    listed = read_gcp_list(data / "copr" / "gcp_list.txt")
    assert (len(listed.points), len(listed.known_points())) == (9, 8)  # gcp07 is seen in two photos
    assert listed.crs.to_dict()["zone"] == 11


@pytest.mark.parametrize(
    ("text", "target", "height"),
    [
        ("EPSG:2256\n1569159 540015 4921.26 4 5 a.jpg\n", "EPSG:32612", 4921.26 * 0.3048),
        ("EPSG:2256\n1569159 540015 4921.26 4 5 a.jpg\n", "EPSG:2256", 4921.26),
        ("EPSG:32612\n495009 5062952 1500 4 5 a.jpg\n", "EPSG:2256", 1500 / 0.3048),
        ("EPSG:4326\n-111 46 1500 4 5 a.jpg\n", "EPSG:32612", 1500),
    ],
)
def test_heights_are_in_the_unit_of_the_crs_that_they_stand_under(tmp_path, text, target, height):
    path = write(tmp_path, text)
    (point,) = read_gcp_list(path).known_points(CRS.from_string(target))
    assert point.z == pytest.approx(height)
    said = [note for note in read_control(path, CRS.from_string(target)).notes if note.startswith("heights of gcp_list.txt")]
    assert bool(said) == (height not in (4921.26, 1500))


def test_a_list_in_another_unit_than_its_crs_is_refused(tmp_path):
    path = write(tmp_path, "EPSG:2256\n300000 5180000 0 4 5 a.jpg\n")
    with pytest.raises(InputError, match=r"gcp_list.txt would be in EPSG:2256, .* pass `declared_crs`"):
        read_control(path, CRS.from_epsg(32612))
