import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from PIL import Image

from spurgekit.errors import ImageryError
from spurgekit.image_names import GdalName
from spurgekit.imagery import open_raster, open_tile_image
from spurgekit.imagery.image_info import read_image_info
from spurgekit.imagery.limits import open_picture
from spurgekit.outputs import fingerprint
from tests.command import refuse, succeed
from tests.imagery.photos import frame
from tests.imagery.test_raster import read_all

NOISE = np.random.default_rng(0).integers(1, 255, (3, 20, 30), np.uint8)


@pytest.fixture
def server(tmp_path):
    """A folder and the address at which it is served."""
    folder = tmp_path / "served"
    folder.mkdir()
    command = [sys.executable, Path(__file__).with_name("range_server.py"), folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield folder, f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.terminate()


class TestNames:
    def test_an_address(self, server, make_tif):
        folder, address = server
        make_tif(folder / "north field.tif", NOISE)
        raster, pixels, _ = read_all(f"{address}/north%20field.tif?version=2")
        assert (pixels == NOISE).all()
        assert (raster.path.name, raster.site) == ("north%20field.tif", "north-20field")

    def test_an_address_of_nothing(self, server):
        with pytest.raises(ImageryError, match=r"nowhere\.tif cannot be opened: .*404"):
            open_raster(f"{server[1]}/nowhere.tif")

    def test_every_command_takes_one(self, server, make_tif, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        folder, address = server
        make_tif(folder / "site.tif", NOISE)
        assert f"file       {address}/site.tif (GTiff)" in succeed("info", f"{address}/site.tif")
        succeed("tile", f"{address}/site.tif", "--layout", "grid", "--size", 10, "--out", "tiles")
        assert (tmp_path / "tiles" / "site_r00000_c00000.png").is_file()
        succeed("tile", f"{address}/site.tif", "--layout", "grid", "--size", 10, "--out", "tiles", "--overwrite")
        succeed("markers", f"{address}/site.tif", "--family", "cross", "--marker-size", 0.1)
        assert (tmp_path / "site_markers.gpkg").is_file()

    def test_what_it_was_made_of_is_on_record(self, server, make_tif):
        folder, address = server
        make_tif(folder / "a.tif", NOISE)
        make_tif(folder / "b.tif", NOISE[:, ::-1])
        one, other = (fingerprint(GdalName(f"{address}/{name}.tif")) for name in "ab")
        assert (one["width"], one["height"]) == (30, 20)
        assert one["sha256_of_blocks"] != other["sha256_of_blocks"]

    @pytest.mark.parametrize("name", ["/vsizip/flights.zip/june/site.tif", "zip://flights.zip!june/site.tif"])
    def test_in_an_archive(self, tmp_path, make_tif, monkeypatch, name):
        monkeypatch.chdir(tmp_path)
        with zipfile.ZipFile("flights.zip", "w") as archive:
            archive.write(make_tif(tmp_path / "a.tif", NOISE), "june/site.tif")
        raster, pixels, _ = read_all(name)
        assert (pixels == NOISE).all()
        assert raster.site == "site"
        assert "cannot be opened" in refuse("info", "/vsizip/flights.zip/july/site.tif")

    def test_a_frame_in_an_archive_is_placed(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "flights.zip", "w") as archive:
            archive.write(frame(tmp_path / "a.jpg"), "a.jpg")
        with open_raster(f"/vsizip/{tmp_path}/flights.zip/a.jpg") as raster:
            assert raster.gsd_m == pytest.approx(1, abs=0.01)
        assert read_image_info(f"/vsizip/{tmp_path}/flights.zip/a.jpg").exif.make == "DJI"

    def test_one_of_several_images_in_a_file(self, tmp_path, make_tif, monkeypatch):
        monkeypatch.chdir(tmp_path)
        rasterio.shutil.copy(make_tif(tmp_path / "a.tif", NOISE), "x.nc", driver="netCDF")
        line = refuse("info", "x.nc")
        assert "x.nc holds several images; name one of them: " in line
        name = line.split(": ")[-1].split(", ")[1]
        raster, pixels, _ = read_all(name)
        assert (pixels[0] == NOISE[1]).all()
        assert raster.site == "x-Band2"


class TestPages:
    def test_the_largest_is_named_where_the_first_is_smaller(self, tmp_path, make_tif, monkeypatch):
        monkeypatch.chdir(tmp_path)
        make_tif("pages.tif", NOISE[:, :4, :6])
        rasterio.shutil.copy(make_tif(tmp_path / "a.tif", NOISE), "pages.tif", driver="GTiff", APPEND_SUBDATASET="YES")
        assert read_image_info("pages.tif").notes == (
            "holds 2 images, of which the first (6 x 4 px) is read; the largest (30 x 20 px) is called GTIFF_DIR:2:pages.tif",
        )
        assert read_image_info("GTIFF_DIR:2:pages.tif").notes == ()
        assert (read_all("GTIFF_DIR:2:pages.tif")[1] == NOISE).all()

    def test_a_raw_photo_is_refused(self, tmp_path):
        from PIL.TiffImagePlugin import ImageFileDirectory_v2

        tags = ImageFileDirectory_v2()
        tags[50706] = b"\1\4\0\0"
        Image.new("RGB", (6, 4)).save(tmp_path / "a.dng", format="TIFF", tiffinfo=tags)
        with pytest.raises(ImageryError, match=r"a\.dng is a raw photo \(DNG\), of which only a preview of 6 x 4 px"):
            open_raster(tmp_path / "a.dng")


class TestOtherFiles:
    def test_a_description_whose_source_has_moved(self, tmp_path, make_tif):
        rasterio.shutil.copy(make_tif(tmp_path / "a.tif", NOISE), tmp_path / "site.vrt", driver="VRT")
        assert (read_all(tmp_path / "site.vrt")[1] == NOISE).all()
        (tmp_path / "a.tif").unlink()
        with pytest.raises(ImageryError, match=r"site\.vrt is made of other files, of which .*a\.tif is not there"):
            open_raster(tmp_path / "site.vrt")

    def test_a_tile_reads_no_other_file(self, tmp_path, make_tif):
        rasterio.shutil.copy(make_tif(tmp_path / "secret.tif", NOISE[:1]), tmp_path / "secret.vrt", driver="VRT")
        description = (tmp_path / "secret.vrt").read_bytes()
        (tmp_path / "tile.tif").write_bytes(description)
        with pytest.raises(ImageryError, match=r"tile\.tif is no GeoTIFF, PNG, JPEG or WebP"):
            open_tile_image(tmp_path / "tile.tif")
        make_tif(tmp_path / "other.tif", np.full((1, 20, 30), 7, np.uint8))
        (tmp_path / "other.tif.msk").write_bytes(description)
        with open_tile_image(tmp_path / "other.tif") as raster:
            assert raster.dataset.files == [str(tmp_path / "other.tif")]


def sparse(path, side, block, count=1):
    """Write a GeoTIFF that claims a size, and holds nothing."""
    place = {"crs": "EPSG:32612", "transform": Affine(0.01, 0, 500_000, 0, -0.01, 5_000_000)}
    layout = {"tiled": True, "blockxsize": block, "blockysize": block, "compress": "deflate", "interleave": "pixel"}
    with rasterio.open(
        path, "w", driver="GTiff", width=side, height=side, count=count, dtype="uint8", SPARSE_OK=True, **place, **layout
    ):
        return path


def empty_png(path, side):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    return path


class TestClaims:
    def test_blocks_that_would_fill_the_memory(self, tmp_path):
        with pytest.raises(ImageryError, match=r"pieces of 65,536 x 65,536 px, 12\.0 GiB each.* gdal_translate -co TILED=YES"):
            open_raster(sparse(tmp_path / "a.tif", 65_536, 65_536, count=3))

    def test_a_size_that_the_file_cannot_hold(self, tmp_path):
        with pytest.raises(ImageryError, match=r"a\.tif claims to be 500,000 x 500,000 px, which its [\d,]+ bytes cannot hold"):
            open_raster(sparse(tmp_path / "a.tif", 500_000, 16_384))

    def test_a_window(self, tmp_path):
        with open_raster(sparse(tmp_path / "a.tif", 30_000, 512)) as raster:
            assert raster.read(raster.grid.crop(raster.grid.window).window & raster.grid.window.shifted(29_000, 29_000))[0].size
            with pytest.raises(ImageryError, match=r"30,000 x 30,000 px cannot be read at once \(858 MiB; up to 512 MiB can\)"):
                raster.read(raster.grid.window)

    def test_a_tile(self, tmp_path):
        with pytest.raises(ImageryError, match=r"a\.tif is 9,000 x 9,000 px, and tiles are up to 8,192 x 8,192 px"):
            open_tile_image(sparse(tmp_path / "a.tif", 9_000, 512))

    @pytest.mark.parametrize("side", [9_000, 60_000])
    def test_a_picture(self, tmp_path, side):
        with pytest.raises(ImageryError, match=r"a\.png is .* tile"), open_picture(empty_png(tmp_path / "a.png", side)):
            pass


@pytest.mark.parametrize("name", ["s.zip", "s.tif"])
def test_an_archive_is_called_so_and_its_images_can_be_opened_by_the_names_said(make_tif, tmp_path, name):
    make_tif(tmp_path / "a.tif", np.ones((3, 4, 5), np.uint8))
    with zipfile.ZipFile(tmp_path / name, "w") as archive:
        archive.write(tmp_path / "a.tif", "north/a.tif")
    with pytest.raises(ImageryError, match=f"{name} is a zip archive; name an image in it: ") as error:
        open_raster(tmp_path / name)
    with open_raster(str(error.value).split(": ", 1)[1]) as raster:
        assert (raster.grid.width, raster.grid.height) == (5, 4)


@pytest.mark.parametrize("text", ["", "0\n" * 6, "0.02\n0\n0\n-0.02\n", "hello\n0\n0\n-0.02\n500000\n5000000\n"])
@pytest.mark.parametrize("world", ["a.pgw", "a.wld", "a.PGW"])
def test_a_world_file_that_places_nothing_is_named(tmp_path, text, world):
    Image.new("RGB", (5, 4)).save(tmp_path / "a.png")
    (tmp_path / world).write_text(text)
    said = rf"a\.png is not georeferenced: its world file {world} does not hold six numbers that place it; write them again"
    with open_raster(tmp_path / "a.png") as raster, pytest.raises(ImageryError, match=said):
        raster.gsd_m  # noqa: B018
    with pytest.raises(ImageryError, match=said):
        open_raster(tmp_path / "a.png", crs="EPSG:32612")
