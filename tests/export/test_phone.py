import hashlib
import json
import re
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from spurgekit.export import ExportOptions, export_map
from spurgekit.export.map_folder import read_map
from spurgekit.export.page import levels_of, page_of, tiles_of
from spurgekit.export.patches import join_patches
from spurgekit.export.picture import picture_of
from spurgekit.outputs.provenance import read_provenance
from tests.command import refuse, succeed
from tests.export.conftest import make_image, make_map, note_images

FILES = "dune.mbtiles, dune.qgs, image.tif, map.html, patches.gpkg, presence.tif"


def noise(path, side_px=2000):
    """Write an image of noise, the hardest to make small, over the ground of the drawn map."""
    pixels = np.random.default_rng(0).integers(0, 256, (3, side_px * 6 // 8, side_px), np.uint8)
    with rasterio.open(
        path, "w", driver="GTiff", width=side_px, height=side_px * 6 // 8, count=3, dtype="uint8", crs="EPSG:32612",
        transform=Affine(16 / side_px, 0, 500_000, 0, -16 / side_px, 5_000_000),
    ) as file:  # fmt: skip
        file.write(pixels)
    return path


def test_what_it_says(seen):
    lines = succeed("export", seen, "--for", "phone").splitlines()
    assert lines[0] == "6 patches: 48.0 m2 mapped on 48.0 m2 of ground"
    assert re.fullmatch(r"picture of 320 x 240 px, 5 cm a pixel; 0\.\d MB in all, 0\.2 of them map\.html", lines[1])
    assert lines[2:] == [f"exports/dune/phone: {FILES}"]


def test_the_summary(seen):
    report = export_map(seen, "out", ExportOptions(recipient="phone"))
    said = json.loads(Path("out/summary.json").read_text())
    assert said["picture"] == {"image": "dune.tif", "width": 320, "height": 240, "cm_a_pixel": 5.0, "zooms": [20, 21]}
    assert said["bytes"] == {name: Path("out", name).stat().st_size for name in FILES.split(", ")}
    assert (said["notes"], report.notes) == ([], ())


def test_what_was_named_is_on_record(seen):
    Path("dune.tif").rename("kept.tif")
    succeed("export", seen, "--for", "phone", "--imagery", "kept.tif", "--out", "out")
    assert list(read_provenance(Path("out"))["inputs"]) == ["maps/dune", "kept.tif"]


def test_without_an_image_nothing_pretends_to_be_one(drawn):
    lines = succeed("export", drawn, "--for", "phone", "--out", "out").splitlines()
    assert lines[-1] == "out: dune.mbtiles, dune.qgs, map.html, patches.gpkg, presence.tif"
    assert "image.tif" not in Path("out/dune.qgs").read_text(encoding="utf-8")


@pytest.mark.parametrize("megabytes", [1.0, 0.5])
def test_a_page_is_no_larger_than_asked_for(drawn, megabytes):
    note_images(drawn, noise(Path("noise.tif")))
    lines = succeed("export", drawn, "--for", "phone", "--page-mb", megabytes, "--out", "out").splitlines()
    size = Path("out/map.html").stat().st_size
    assert 0.6 * megabytes * 1e6 < size <= megabytes * 1e6
    why = rf"map\.html is to have at most {megabytes:g} MB, and 48 million pixels"
    told = re.fullmatch(rf"note: the picture has (\S+) cm a pixel, not 0\.8: {why}", lines[0])
    with rasterio.open("out/image.tif") as file:
        assert 100 * file.transform.a == pytest.approx(float(told[1]), rel=0.05)


def test_a_page_with_room_keeps_the_pixels(drawn):
    note_images(drawn, noise(Path("noise.tif"), 500))
    report = export_map(drawn, "out", ExportOptions(recipient="phone"))
    assert (report.notes, report.details["picture"]["width"]) == ((), 500)


def test_levels_end_in_one_tile(seen):
    picture = picture_of(read_map(seen), None, 1e9)
    assert levels_of(320, 240) == 1
    assert list(tiles_of(picture.rgba, 80)) == ["0/0/0"]
    wide = np.full((600, 1100, 4), 255, np.uint8)
    wide[:, 512:1024] = 0  # tiles of nothing are left out
    assert sorted(tiles_of(wide, 80)) == ["0/0/0", "1/0/0", "1/1/0", "2/0/0", "2/0/1", "2/2/0", "2/2/1"]


def test_what_leads_to_degrees_and_back_is_good_to_a_hundredth_of_a_pixel(seen):
    found = read_map(seen)
    colours = {"leafy spurge": (1, 2, 3), "sumac": (4, 5, 6)}
    text = page_of("dune", picture_of(found, None, 1e9), join_patches(found.rows), colours, {}, {})
    data = json.loads(re.search(r'id="data">(.*?)</script>', text)[1])

    def brought(fit, x, y):
        u, v = (np.array([x, y]) - fit["middle"]) / fit["half"]
        powers = [u**i * v**j for i, j in fit["terms"]]
        return np.array(fit["zero"]) + np.array(powers) @ fit["factors"]

    for pixel in ([0, 0], [320, 0], [17.5, 233.25]):
        assert brought(data["toPixels"], *brought(data["toDegrees"], *pixel)) == pytest.approx(pixel, abs=0.01)
    assert brought(data["toDegrees"], 0, 0) == pytest.approx([-111.0, 45.153477183356024], abs=1e-9)


def test_leaflet_is_as_it_was_published():
    script = resources.files("spurgekit.export").joinpath("static", "leaflet", "leaflet.js").read_bytes()
    # Of dist/leaflet.js in leaflet 1.9.4 on npm.
    assert hashlib.sha256(script).hexdigest() == "db49d009c841f5ca34a888c96511ae936fd9f5533e90d8b2c4d57596f4e5641a"


class TestBadInput:
    """One line, and nothing half-written: :func:`refuse` looks."""

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (("--imagery", "nowhere.tif"), "nowhere.tif holds no dune.tif; name the image itself"),
            (("--imagery", "far.tif"), "far.tif lies elsewhere than the map (EPSG:32612)"),
            (("--imagery", "bad.tif"), "bad.tif"),
            (("--page-mb", "0"), "--page-mb 0.0 cannot be; pass MB above 0"),
            (("--page-mb", "0.1"), "the page has 0.2 MB without any picture; pass a larger --page-mb, or a larger --join"),
        ],
    )
    def test_arguments(self, seen, arguments, says):
        make_image(Path("far.tif"), corner=(600_000, 5_000_000))
        Path("bad.tif").write_bytes(b"nothing")
        assert refuse("export", seen, "--for", "phone", "--out", "out", *arguments).startswith(f"spurgekit: {says}")

    def test_of_another_recipient(self, drawn):
        assert "--imagery is for --for phone; drop it, or pass that" in refuse("export", drawn, "--imagery", "x.tif")

    def test_no_patches(self, drawn):  # noqa: ARG002
        make_map(Path("bare"), "....\n....")
        says = "bare/presence.gpkg has no polygons of leafy spurge or sumac: nothing to export"
        assert refuse("export", "bare", "--for", "phone").endswith(says)

    def test_areas_that_are_not_there(self, seen):
        summary = json.loads((seen / "summary.json").read_text())
        summary["occupied"]["sumac"] = {"counted_m2": 1.0}
        (seen / "summary.json").write_text(json.dumps(summary))
        line = refuse("export", seen, "--for", "phone", "--out", "out")
        assert "summary.json does not say the areas of sumac; make the map again" in line

    def test_a_full_disk(self, seen, monkeypatch):
        def full(*_, **__):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("spurgekit.export.phone.copy_raster", full)
        assert "the disk is full" in refuse("export", seen, "--for", "phone", "--out", "out", code=1)
