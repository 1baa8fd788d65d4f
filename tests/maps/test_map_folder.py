"""The images of a map, as other rooms find them."""

import json
from pathlib import Path

import pytest

from spurgekit.errors import InputError
from spurgekit.maps.map_folder import REMEDY, MapSummary, find_images
from spurgekit.outputs.provenance import write_provenance
from spurgekit.reading import read_described


@pytest.fixture
def of_three(tmp_path, monkeypatch):
    """The folder of a map of three images, two of which have one name."""
    monkeypatch.chdir(tmp_path)
    images = [Path("north/site.tif"), Path("south/site.tif"), Path("rest.tif")]
    for number, image in enumerate(images):
        image.parent.mkdir(exist_ok=True)
        image.write_bytes(bytes([number] * 100))
    folder = Path("maps/dune")
    folder.mkdir(parents=True)
    write_provenance(folder, "map", {}, images)
    return folder


NAMES = ("site.tif", "site.tif", "rest.tif")


def test_they_are_found_in_their_order_each_once(of_three):
    assert find_images(of_three, NAMES) == ((Path("north/site.tif"), Path("south/site.tif"), Path("rest.tif")), "")


def test_of_some_there_are_none(of_three):
    Path("south/site.tif").unlink()
    assert find_images(of_three, NAMES) == ((), "site.tif is not where it was when mapped")
    Path("south/site.tif").write_bytes(b"another")
    assert find_images(of_three, NAMES) == ((), "south/site.tif is not as it was when mapped")
    assert find_images(of_three, ()) == ((), "the map does not say which image it is of")


@pytest.mark.parametrize(
    ("said", "images"),
    [
        ({"schema_version": 3, "images": ["a.tif", "b.tif"]}, ("a.tif", "b.tif")),
        ({"schema_version": 2, "image": "a.tif"}, ("a.tif",)),
        ({"schema_version": 2}, ()),
    ],
)
def test_older_maps_name_one(tmp_path, said, images):
    path = tmp_path / "summary.json"
    path.write_text(json.dumps({"cell_m": 1, "occupied": {"weed": {}}, **said}))
    assert read_described(path, MapSummary, REMEDY).images == images


def test_maps_of_later_versions_are_refused(tmp_path):
    path = tmp_path / "summary.json"
    path.write_text(json.dumps({"schema_version": 4, "cell_m": 1, "occupied": {"weed": {}}}))
    with pytest.raises(InputError, match="this one knows 2 and 3"):
        read_described(path, MapSummary, REMEDY)
