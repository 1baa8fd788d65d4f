import json
import shutil

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from spurgekit.errors import ImageryError
from spurgekit.imagery import open_raster
from spurgekit.imagery.exif import read_exif
from spurgekit.imagery.image_info import Blocks, Bounds, format_info, read_image_info
from tests.command import refuse, succeed
from tests.imagery.photos import CAPE, photo

RGBA = ("red", "green", "blue", "alpha")


def no_constants(name):
    raise AssertionError(f"{name} is not JSON")


def as_json(info):
    return json.loads(info.model_dump_json(indent=2), parse_constant=no_constants)


def mosaic():
    """40 x 30 pixels, of which the left 10 columns are outside the mosaic."""
    array = np.full((4, 30, 40), 90, np.uint8)
    array[3] = 255
    array[3, :, :10] = 0
    return array


class TestMosaic:
    @pytest.fixture
    def info(self, tmp_path, make_tif):
        layout = {"tiled": True, "blockxsize": 32, "blockysize": 16, "compress": "deflate", "interleave": "pixel"}
        return read_image_info(make_tif(tmp_path / "site.tif", mosaic(), gsd=0.02, colours=RGBA, **layout))

    def test_place_and_size(self, info):
        assert (info.width, info.height) == (40, 30)
        assert (info.crs, info.crs_name) == ("EPSG:32612", "WGS 84 / UTM zone 12N")
        assert info.gsd_cm == pytest.approx(2)
        assert info.pixel_size_m == info.pixel_size == pytest.approx((0.02, 0.02))
        assert info.rotation_deg is None
        assert info.extent.model_dump() == pytest.approx(
            {"left": 500_000, "bottom": 4_999_999.4, "right": 500_000.8, "top": 5_000_000}
        )
        # The corner lies on the central meridian of zone 12; 0.8 m are 1e-5 degrees there.
        assert info.lonlat.left == pytest.approx(-111, abs=1e-9)
        assert info.lonlat.right - info.lonlat.left == pytest.approx(0.8 / 78_700, rel=0.01)

    def test_valid_share_and_area(self, info):
        assert info.validity == "alpha band"
        assert info.valid_px == 30 * 30
        assert info.valid_share == 0.75
        assert info.valid_area_m2 == pytest.approx(900 * 0.02**2)

    def test_storage(self, info):
        assert info.blocks == Blocks(width=32, height=16, tiled=True)
        assert (info.compression, info.interleaving, info.overviews) == ("deflate", "pixel", ())
        assert [(band.colour, band.is_read) for band in info.bands] == [(colour, colour != "alpha") for colour in RGBA]
        assert info.exif is None

    def test_for_people(self, info):
        lines = dict(format_info(info))
        assert lines["size"] == "40 x 30 px (0.8 x 0.6 m)"
        assert lines["bands"] == "4 x uint8: red, green, blue, alpha"
        assert lines["CRS"] == "EPSG:32612 (WGS 84 / UTM zone 12N)"
        assert lines["GSD"] == "2.00 cm"
        assert lines["extent"] == "x 500000.00 to 500000.80, y 4999999.40 to 5000000.00"
        assert lines["valid"] == "75.0 % (0 m2), by alpha band"
        assert lines["stored as"] == "32 x 16 px tiles, deflate, interleaved by pixel"
        assert lines["overviews"] == "none"

    def test_as_json(self, info):
        assert as_json(info)["extent"]["right"] == 500_000.8
        assert as_json(info)["valid_share"] == 0.75

    def test_it_cannot_be_changed(self, info):
        with pytest.raises(ValueError, match="frozen"):
            info.width = 3


class TestOtherImages:
    def test_strips(self, tmp_path, make_tif):
        info = read_image_info(make_tif(tmp_path / "a.tif", np.ones((3, 30, 40), np.uint8), blockysize=7))
        assert info.blocks == Blocks(width=40, height=7, tiled=False)
        assert dict(format_info(info))["stored as"].startswith("strips of 7 rows, not compressed")
        assert (info.validity, info.valid_share) == ("none", 1)
        assert dict(format_info(info))["valid"] == "100.0 % (0 m2)"

    def test_turned(self, tmp_path, make_tif):
        turned = Affine.translation(500_000, 5_000_000) @ Affine.rotation(12.5) @ Affine.scale(0.02, -0.02)
        info = read_image_info(make_tif(tmp_path / "a.tif", mosaic()[:3], transform=turned))
        assert info.rotation_deg == pytest.approx(12.5)
        assert info.gsd_cm == pytest.approx(2)
        assert dict(format_info(info))["rotation"] == "12.50° counter-clockwise"

    def test_oblong_pixels(self, tmp_path, make_tif):
        oblong = Affine(0.02, 0, 500_000, 0, -0.08, 5_000_000)
        info = read_image_info(make_tif(tmp_path / "a.tif", mosaic()[:3], transform=oblong))
        assert dict(format_info(info))["GSD"] == "4.00 cm"
        assert info.notes == ("pixels of 2.00 x 8.00 cm: what is square in pixels is oblong on the ground",)

    def test_feet(self, tmp_path, make_tif):
        feet = Affine(0.1, 0, 1_500_000, 0, -0.1, 500_000)
        info = read_image_info(make_tif(tmp_path / "a.tif", mosaic()[:3], crs="EPSG:2256", transform=feet))
        assert info.pixel_size == pytest.approx((0.1, 0.1))
        assert info.gsd_cm == pytest.approx(3.048)
        assert info.valid_area_m2 == pytest.approx(1200 * 0.03048**2)

    def test_degrees_have_no_gsd(self, tmp_path, make_tif):
        degrees = Affine(1e-7, 0, -111, 0, -1e-7, 46)
        info = read_image_info(make_tif(tmp_path / "a.tif", mosaic()[:3], crs="EPSG:4326", transform=degrees))
        assert (info.gsd_cm, info.pixel_size_m, info.valid_area_m2) == (None, None, None)
        assert "pass `crs=EPSG:32612`" in info.gsd_unknown_because
        assert info.lonlat == Bounds(left=-111, bottom=46 - 30e-7, right=-111 + 40e-7, top=46)
        assert dict(format_info(info))["GSD"].startswith("unknown: the image is in EPSG:4326, whose unit is the degree")

    def test_metres_that_call_themselves_degrees(self, tmp_path, make_tif):
        info = read_image_info(make_tif(tmp_path / "a.tif", mosaic()[:3], crs="EPSG:4326"))
        assert info.lonlat is None
        assert "would be in EPSG:4326, but its centre" in info.gsd_unknown_because

    def test_no_crs_but_a_place(self, tmp_path, make_tif):
        info = read_image_info(make_tif(tmp_path / "a.tif", mosaic()[:3], crs=None))
        assert (info.crs, info.gsd_cm, info.lonlat) == (None, None, None)
        assert info.extent.left == 500_000
        assert dict(format_info(info))["CRS"] == "none"

    def test_local_crs(self, tmp_path, make_tif):
        info = read_image_info(make_tif(tmp_path / "a.tif", mosaic()[:3], crs='LOCAL_CS["my field",UNIT["metre",1]]'))
        assert (info.crs, info.lonlat) == ("my field", None)
        assert info.gsd_cm == pytest.approx(1)

    def test_nodata_that_json_has_no_number_for(self, tmp_path, make_tif):
        array = np.ones((1, 4, 5), np.float32)
        array[0, 0] = np.nan
        info = read_image_info(make_tif(tmp_path / "a.tif", array, nodata=np.nan))
        assert as_json(info)["nodata"] == "nan"
        assert info.valid_share == 0.75
        assert dict(format_info(info))["nodata"] == "nan"

    def test_internal_mask_and_mask_file(self, tmp_path, make_tif):
        mask = np.zeros((30, 40), bool)
        mask[:15] = True
        path = make_tif(tmp_path / "a.tif", mosaic()[:3], mask=mask)
        assert (read_image_info(path).validity, read_image_info(path).valid_share) == ("internal mask", 0.5)
        path = make_tif(tmp_path / "b.tif", mosaic()[:3])
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as file:
            file.write_mask(mask)
        assert (read_image_info(path).validity, read_image_info(path).valid_share) == ("mask file", 0.5)

    def test_pieces_of_whole_blocks_cover_the_image_once(self, tmp_path, make_tif, monkeypatch):
        monkeypatch.setattr(
            "spurgekit.imagery.image_info.READ_PX", 32 * 16 * 2
        )  # pieces of two tiles; the image is 2 x 2 of them
        tiles = {"tiled": True, "blockxsize": 32, "blockysize": 16}
        path = make_tif(tmp_path / "a.tif", mosaic(), colours=RGBA, **tiles)
        assert read_image_info(path).valid_px == 900
        assert read_image_info(make_tif(tmp_path / "b.tif", mosaic(), colours=RGBA)).valid_px == 900

    def test_progress_is_told_of_every_piece(self, tmp_path, make_tif, monkeypatch):
        monkeypatch.setattr("spurgekit.imagery.image_info.READ_PX", 40 * 10)
        told = Told()
        read_image_info(make_tif(tmp_path / "a.tif", mosaic()[:3], blockysize=10), progress=told)
        assert (told.total, told.done) == (3, 3)


class Told:
    """A progress that keeps what it is told."""

    def __init__(self):
        self.total = self.done = 0

    def __call__(self, description, total):
        assert "a.tif" in description
        self.total = total
        return self

    def __enter__(self):
        return self.advance

    def __exit__(self, *error):
        pass

    def advance(self, count):
        self.done += count


class TestNotes:
    def test_a_large_mosaic_in_strips_without_overviews(self, tmp_path, make_tif):
        info = read_image_info(make_tif(tmp_path / "a.tif", np.ones((1, 4, 5000), np.uint8)))
        assert [note.partition(",")[0] for note in info.notes] == ["stored in strips", "no overviews"]
        assert format_info(info)[-1] == ("note", info.notes[1])

    def test_a_small_one_needs_neither(self, tmp_path, make_tif):
        assert read_image_info(make_tif(tmp_path / "a.tif", mosaic()[:3])).notes == ()

    def test_alpha_by_guess(self, tmp_path, make_tif):
        info = read_image_info(make_tif(tmp_path / "a.tif", mosaic(), colours=(*RGBA[:3], "undefined"), photometric="RGB"))
        assert "read as alpha" in info.notes[0]
        assert not info.bands[3].is_read

    def test_nothing_valid(self, tmp_path, make_tif):
        info = read_image_info(make_tif(tmp_path / "a.tif", np.zeros((1, 3, 3), np.uint8), nodata=0))
        assert (info.valid_px, info.notes) == (0, ("no pixel is valid",))

    def test_palette(self, tmp_path):
        Image.new("P", (4, 3)).save(tmp_path / "a.png")
        assert "palette indexes" in read_image_info(tmp_path / "a.png").notes[0]

    def test_a_crs_alone_measures_nothing(self, tmp_path, make_tif):
        info = read_image_info(make_tif(tmp_path / "a.tif", mosaic()[:3], transform=Affine.identity()))
        assert (info.gsd_cm, info.gsd_unknown_because) == (
            None,
            "has a CRS but no geotransform; georeference it first, e.g. in QGIS",
        )
        assert info.notes == ()

    def test_mirrored_where_the_crs_is_passed(self, tmp_path, make_tif):
        path = make_tif(tmp_path / "a.tif", np.ones((3, 4, 4), np.uint8), transform=Affine(0.1, 0, 5e5, 0, 0.1, 5e6), crs=None)
        with open_raster(path, crs="EPSG:32612") as raster:
            assert raster.notes == ("mirrored: rows run from south to north",)

    @pytest.mark.parametrize(
        ("a", "b", "d", "e", "how"),
        [(-0.02, 0, 0, -0.02, "columns run from east to west"), (0, 0.02, -0.02, 0, "as if seen from below the ground")],
    )
    def test_mirrored_otherwise(self, tmp_path, make_tif, a, b, d, e, how):
        path = make_tif(tmp_path / "a.tif", np.ones((3, 4, 4), np.uint8), transform=Affine(a, b, 500_000, d, e, 5_000_000))
        assert read_image_info(path).notes == (f"mirrored: {how}",)

    def test_mirrored(self, tmp_path, make_tif):
        path = make_tif(tmp_path / "a.tif", mosaic()[:3], transform=Affine(0.01, 0, 500_000, 0, 0.01, 5_000_000))
        assert read_image_info(path).notes == ("mirrored: rows run from south to north",)


class TestPhotos:
    @pytest.mark.parametrize("name", ["photo.jpg", "photo.tif"])
    def test_what_the_camera_wrote(self, tmp_path, name):
        base = {"Make": "DJI", "Model": "FC6310", "Orientation": 6, "DateTime": "2024:01:01 00:00:00"}
        camera = {
            "DateTimeOriginal": "2023:06:23 16:33:27",
            "OffsetTimeOriginal": "-06:00",
            "FocalLength": IFDRational(88, 10),
            "ExposureTime": IFDRational(1, 500),
            "FNumber": IFDRational(56, 10),
            "ISOSpeedRatings": 100,
        }
        info = read_image_info(photo(tmp_path / name, base=base, camera=camera, gps=CAPE))
        exif = info.exif
        assert (exif.make, exif.model, exif.orientation) == ("DJI", "FC6310", 6)
        assert exif.taken == "2023-06-23T16:33:27-06:00"
        assert (exif.focal_length_mm, exif.exposure_s, exif.f_number, exif.iso) == (8.8, 0.002, 5.6, 100)
        assert exif.position.latitude == pytest.approx(-33.51)
        assert exif.position.longitude == pytest.approx(18.25)
        assert exif.position.altitude_m == -12.5  # below the sea
        lines = dict(format_info(info))
        assert lines["camera"] == "DJI FC6310, 8.8 mm, f/5.6, 1/500 s, ISO 100"
        assert lines["position"] == "33.510000° S, 18.250000° E, -12.5 m above sea level"
        assert lines["taken"] == "2023-06-23 16:33:27-06:00"
        assert lines["note"] == "turned upright, as its EXIF orientation (6) says"
        assert lines["size"] == "30 x 40 px"  # it is stored as 40 x 30
        assert lines["GSD"].startswith(
            "unknown: the image is not georeferenced and cannot be placed as a frame: nothing in it says how high"
        )
        assert as_json(info)["exif"]["iso"] == 100

    def test_no_exif(self, tmp_path):
        Image.new("RGB", (40, 30)).save(tmp_path / "a.jpg")
        info = read_image_info(tmp_path / "a.jpg")
        assert info.exif is None
        assert (info.crs, info.extent, info.pixel_size, info.compression) == (None, None, None, "jpeg")

    def test_a_camera_without_gps(self, tmp_path):
        exif = read_image_info(photo(tmp_path / "a.jpg", base={"Make": "Canon", "Model": "Canon EOS"})).exif
        assert exif.model_dump(exclude_none=True) == {"make": "Canon", "model": "Canon EOS", "has_maker_note": False}

    @pytest.mark.parametrize(
        "change",
        [
            {"GPSLatitudeRef": ""},  # north or south?
            {"GPSLatitude": (IFDRational(95), IFDRational(0), IFDRational(0))},
            {"GPSLongitude": (IFDRational(0, 0), IFDRational(0, 0), IFDRational(0, 0))},
            {"GPSLatitude": (IFDRational(0),) * 3, "GPSLongitude": (IFDRational(0),) * 3},  # no fix
        ],
    )
    def test_a_position_that_cannot_be_is_none(self, tmp_path, change):
        exif = read_exif(photo(tmp_path / "a.jpg", base={"Make": "DJI"}, gps={**CAPE, **change}))
        assert exif.position is None

    def test_numbers_and_times_that_cannot_be_are_null(self, tmp_path):
        camera = {"FocalLength": IFDRational(0, 0), "ExposureTime": IFDRational(0), "DateTimeOriginal": "0000:00:00 00:00:00"}
        exif = read_exif(photo(tmp_path / "a.jpg", base={"Make": "DJI"}, camera=camera))
        assert (exif.focal_length_mm, exif.exposure_s, exif.taken) == (None, None, None)

    def test_the_date_of_a_mosaic_is_not_when_it_was_taken(self, tmp_path):
        assert read_exif(photo(tmp_path / "a.tif", base={"DateTime": "2024:01:01 00:00:00"})) is None

    def test_damaged_exif_is_no_exif(self, tmp_path):
        path = photo(tmp_path / "a.jpg", base={"Make": "DJI"}, gps=CAPE)
        raw = bytearray(path.read_bytes())
        start = raw.index(b"Exif\0\0") + 14
        raw[start : start + 40] = b"\xff" * 40
        path.write_bytes(raw)
        assert read_image_info(path).valid_share == 1


class TestBadFiles:
    def test_missing(self, tmp_path):
        with pytest.raises(ImageryError, match=r"nowhere\.tif: no such file"):
            read_image_info(tmp_path / "nowhere.tif")

    def test_a_text(self, tmp_path):
        (tmp_path / "site.tif").write_text("hello")
        with pytest.raises(ImageryError, match=r"site\.tif is not an image that GDAL can read"):
            read_image_info(tmp_path / "site.tif")

    @pytest.mark.parametrize("name", ["cut.tif", "cut.jpg", "cut.png"])
    def test_cut_off(self, tmp_path, make_tif, name):
        noise = np.random.default_rng(0).integers(0, 255, (3, 200, 300), np.uint8)
        path = tmp_path / name
        if name == "cut.tif":
            make_tif(path, noise, compress="deflate")
        else:
            Image.fromarray(np.moveaxis(noise, 0, -1)).save(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(ImageryError) as caught:
            read_image_info(path)
        message = str(caught.value)
        assert message.startswith(str(path))
        assert "cut off" in message
        assert "\n" not in message


class TestRealFiles:
    def test_a_dune_from_a_kite(self, data):
        info = read_image_info(data / "copr" / "site.tif")
        lines = dict(format_info(info))
        assert lines["size"] == "5400 x 5200 px (54.0 x 52.0 m)"
        assert lines["GSD"] == "1.00 cm"
        assert lines["stored as"] == "512 x 512 px tiles, deflate, interleaved by pixel"
        assert lines["valid"] == "39.2 % (1,101 m2), by alpha band"
        assert info.lonlat.left == pytest.approx(-119.8804, abs=1e-3)  # Coal Oil Point, California
        assert info.lonlat.top == pytest.approx(34.4087, abs=1e-3)

    def test_a_photo_whose_ground_sample_distance_is_known(self, data):
        photo = data / "copr" / "photos" / "IMG_0031.jpg"
        assert "GSD        unknown: the image is not georeferenced" in succeed("info", photo)
        printed = succeed("info", photo, "--image-gsd", 0.0033)
        assert "4272 x 2848 px (14.1 x 9.4 m)" in printed
        assert "lies nowhere on the globe, and is measured by the given GSD" in printed
        assert "a ground sample distance of -1.0 m cannot be" in refuse("info", photo, "--image-gsd", -1)

    def test_a_drone_frame(self, data):
        info = read_image_info(data / "brighton" / "DJI_0030.JPG")
        assert (info.width, info.height, info.crs) == (4000, 2250, "EPSG:32615")
        assert info.gsd_cm == pytest.approx(1.71, abs=0.01)
        lines = dict(format_info(info))
        assert lines["size"] == "4000 x 2250 px (68.5 x 38.5 m)"
        assert lines["height"] == "40.1 m above the take-off point, by XMP"
        assert lines["yaw"] == "46.2°, aircraft (XMP)"
        assert lines["pitch"] == "-89.9° (0.1° from straight down)"
        assert lines["GSD from"] == "height and focal length (EXIF) and sensor of the FC300S"
        assert [note[:30] for note in info.notes] == ["placed by its EXIF and XMP: ap"]
        assert as_json(info)["pose"]["altitude_m"] == 40.1
        exif = info.exif
        assert (exif.make, exif.model) == ("DJI", "FC300S")  # padded with zero bytes in the file
        assert exif.position.latitude == pytest.approx(46 + 50 / 60 + 32.2138 / 3600)
        assert exif.position.longitude == pytest.approx(-(91 + 59 / 60 + 38.703 / 3600))
        assert (exif.position.altitude_m, exif.position.altitude_reference) == (198.609, "sea level")
        assert exif.taken == "2016-06-23T16:33:27"
        as_json(info)

    def test_a_kite_photo_without_gps(self, data):
        info = read_image_info(data / "copr" / "photos" / "IMG_0031.jpg")
        assert info.exif.position is None
        assert dict(format_info(info))["camera"] == "Canon EOS DIGITAL REBEL XSi, 30 mm, f/11, 1/100 s, ISO 200"

    @pytest.mark.parametrize("name", ["615.tif", "rgb.tif", "rgb_uint16.tif", "gray.tif"])
    def test_every_kind_of_orthomosaic(self, data, name):
        info = read_image_info(data / "orthos" / "plantcv" / name)
        assert 0 < info.valid_share < 1
        assert (info.gsd_cm is None) == (name == "rgb_uint16.tif")
        as_json(info)

    def test_a_frame_that_did_not_come_over_whole(self, data, tmp_path):
        path = tmp_path / "DJI_0030.JPG"
        shutil.copyfile(data / "brighton" / path.name, path)
        with path.open("r+b") as file:
            file.truncate(2_000_000)
        with pytest.raises(ImageryError, match=r"DJI_0030\.JPG: rows \d+ to \d+ cannot be decoded"):
            read_image_info(path)
