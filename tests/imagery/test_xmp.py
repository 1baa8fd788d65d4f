import pytest
from PIL import Image

from spurgekit.imagery.xmp import parse_xmp, read_xmp
from tests.imagery.photos import XMP, frame, insert, packet

ELEMENTS = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:drone-dji="http://www.dji.com/drone-dji/1.0/"><drone-dji:RelativeAltitude>+40.10</drone-dji:RelativeAltitude>
<drone-dji:GpsLatitude>46.5</drone-dji:GpsLatitude><drone-dji:GpsLongtitude>-111.5</drone-dji:GpsLongtitude>
</rdf:Description></rdf:RDF></x:xmpmeta>"""

BOMB = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<x xmlns:drone-dji="http://www.dji.com/drone-dji/1.0/" drone-dji:RelativeAltitude="40">&b;</x>"""


def test_attributes(tmp_path):
    xmp = read_xmp(frame(tmp_path / "a.jpg", GimbalYawDegree="-135.50", AbsoluteAltitude="+1240.5"))
    assert xmp.model_dump(exclude_none=True) == {
        "relative_altitude_m": 40,
        "absolute_altitude_m": 1240.5,
        "gimbal_yaw_deg": -135.5,
        "gimbal_pitch_deg": -90,
        "gimbal_roll_deg": 0,
        "flight_yaw_deg": 0,
        "calibrated_focal_px": 40,
    }


def test_elements_and_a_longitude_as_dji_spells_it():
    xmp = parse_xmp(ELEMENTS)
    assert (xmp.relative_altitude_m, xmp.position) == (40.1, (-111.5, 46.5))


def test_the_drones_packet_is_found_behind_an_editors(tmp_path):
    path = frame(tmp_path / "a.jpg")
    insert(path, packet({}))
    assert read_xmp(path).relative_altitude_m == 40


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<x>",  # not closed
        b"\xff\xfe<\0x\0/\0>\0",  # UTF-16
        packet({}),
        packet({"RelativeAltitude": "unknown", "GimbalYawDegree": "nan"}),
        BOMB,
        packet(XMP).replace(b"drone-dji/1.0", b"other/1.0"),
    ],
)
def test_nothing_that_can_be_read_is_nothing(raw):
    assert parse_xmp(raw) is None


@pytest.mark.parametrize(
    ("said", "position"),
    [
        ({"GpsLatitude": "46", "GpsLongitude": "-111"}, (-111, 46)),
        ({"GpsLatitude": "0", "GpsLongitude": "0"}, None),  # no fix
        ({"GpsLatitude": "-111", "GpsLongitude": "46"}, None),
        ({"GpsLatitude": "46"}, None),
    ],
)
def test_positions_that_cannot_be_are_none(said, position):
    assert parse_xmp(packet(said)).position == position


def test_a_photo_without_xmp_and_a_file_that_is_no_jpeg(tmp_path):
    Image.new("RGB", (4, 3)).save(tmp_path / "a.jpg")
    Image.new("RGB", (4, 3)).save(tmp_path / "a.png")
    assert read_xmp(tmp_path / "a.jpg") is None
    assert read_xmp(tmp_path / "a.png") is None


@pytest.mark.parametrize("length", [3, 30, 200, 400])
def test_a_file_that_was_cut_off(tmp_path, length):
    path = frame(tmp_path / "a.jpg")
    path.write_bytes(path.read_bytes()[:length])
    assert read_xmp(path) is None
