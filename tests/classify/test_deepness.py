"""Models as Deepness and GeoDeep read them: by what these are known to do, and by their own code where it can be imported."""

import json
import math

import numpy as np
import onnxruntime
import pytest
import rasterio
from scipy.ndimage import median_filter

from spurgekit.classify import OnnxOptions, TrainOptions, export_model, load_model, read_model_info, train_model
from spurgekit.classify.deepness import metadata, notes
from spurgekit.classify.model_info import Positions
from spurgekit.errors import InputError, OutputExistsError
from spurgekit.maps import MapOptions, map_site
from tests.chain import BACKBONE, TILE_PX
from tests.classify.test_onnx_export import make_model

FOR_DEEPNESS = OnnxOptions(reader="deepness")


def bytes_of(info, count, seed=0):
    """Smooth tiles of bytes without a pixel that would be taken for no data."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(20, 230, (count, info.bands, 1 + info.tile_size_px // 10, 1 + info.tile_size_px // 10))
    return coarse.repeat(10, 2).repeat(10, 3)[..., : info.tile_size_px, : info.tile_size_px].astype(np.uint8)


def run(file, tiles):
    """What Deepness feeds: bytes times 1 / 255, as float32."""
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"image": np.float32(tiles * 1.0 / 255.0)})
    return found


def said_of(file):
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return session, session.get_modelmeta().custom_metadata_map


def raised(cells, height, width=None):
    """The cells [..., rows, columns] that the centres of pixels lie in, [..., height, width]."""
    rows, columns = (
        ((np.arange(pixels) + 0.5) * count / pixels).astype(int)
        for count, pixels in zip(cells.shape[-2:], (height, width or height), strict=True)
    )
    return cells[..., rows[:, None], columns]


def classes_as_read(file, image):
    """The map that Deepness makes of an image [bands, height, width] at the model's resolution.

    Tiles begin at the upper left and overlap by the percentage that the file names; those at the edge are filled up with 0.
    Each tells of its inner part, those at the edge of the image also of what lies outside of it.
    """
    session, said = said_of(file)
    (image_input,) = session.get_inputs()
    side = image_input.shape[-1]
    overlap = int(side * json.loads(said["tiles_overlap"]) / 100 * 2) // 2
    stride, inset = side - overlap, overlap // 2
    rows, columns = (1 + max(0, math.ceil((length - side) / stride)) for length in image.shape[1:])
    padded = np.zeros((len(image), (rows - 1) * stride + side, (columns - 1) * stride + side), image.dtype)
    padded[:, : image.shape[1], : image.shape[2]] = image
    found = np.zeros(padded.shape[1:], int)
    for row, column in np.ndindex(rows, columns):
        y, x = row * stride, column * stride
        (values,) = session.run(None, {image_input.name: np.float32(padded[None, :, y : y + side, x : x + side] * 1.0 / 255.0)})
        values[values < json.loads(said["seg_thresh"])] = 0
        classes = values[0].argmax(axis=0)
        top, left = inset * (row > 0), inset * (column > 0)
        bottom, right = side - inset * (row < rows - 1), side - inset * (column < columns - 1)
        found[y + top : y + bottom, x + left : x + right] = classes[top:bottom, left:right]
    return found[: image.shape[1], : image.shape[2]]


@pytest.fixture(scope="module")
def tile_model(tmp_path_factory):
    """A model of three classes whose tiles are not resized, and its export."""
    folder = make_model(tmp_path_factory.mktemp("tiles") / "model", "test_resnet", tile_size_px=64, temperature=1.3, views=8)
    return folder, export_model(folder, folder / "deepness.onnx", FOR_DEEPNESS)


@pytest.fixture(scope="module")
def cell_model(chain, tmp_path_factory):
    """A model of the arm ``mil``, whose tiles of 32 px are shown at 192 px as 12 x 12 cells, and its export."""
    folder = tmp_path_factory.mktemp("cells") / "model"
    options = TrainOptions(arm="mil", backbone="resnet10t", pretrained=False, image_size_px=6 * TILE_PX, shots=4)
    train_model(chain.dataset, folder, options)
    return folder, export_model(folder, folder.parent / "cells.onnx", OnnxOptions(reader="deepness", views=1))


@pytest.fixture(scope="module")
def site_model(chain, tmp_path_factory):
    """The drawn site's own model."""
    return export_model(chain.model, tmp_path_factory.mktemp("site") / "deepness.onnx", FOR_DEEPNESS)


class TestGraph:
    def test_every_pixel_has_what_is_said_of_its_tile(self, tile_model):
        folder, file = tile_model
        model = load_model(folder, "cpu")
        tiles = bytes_of(model.info, 3)
        found = run(file, tiles)
        assert (found.shape, found.dtype) == ((3, 3, 64, 64), np.float32)
        assert (found == found[:, :, :1, :1]).all()
        assert found[:, :, 0, 0] == pytest.approx(model.predict(tiles), abs=1e-5)

    def test_tiles_are_resized_as_for_a_map(self, chain, tmp_path):
        train_model(chain.dataset, tmp_path / "model", TrainOptions(backbone=BACKBONE, pretrained=False, image_size_px=48))
        file = export_model(tmp_path / "model", tmp_path / "model.onnx", FOR_DEEPNESS)
        tiles = bytes_of(read_model_info(chain.model), 4)
        expected = load_model(tmp_path / "model", "cpu").predict(tiles)
        assert np.ptp(expected[:, 1]) > 0.05
        assert run(file, tiles)[:, :, 0, 0] == pytest.approx(expected, abs=1e-3)

    def test_pixels_without_data_are_of_the_first_class_and_filled_for_the_others(self, tile_model):
        folder, file = tile_model
        model = load_model(folder, "cpu")
        tiles = bytes_of(model.info, 2)
        tiles[0, :, :20] = 0
        tiles[1] = 0
        found = run(file, tiles)
        assert (found[0, :, :20] == np.array([1, 0, 0])[:, None, None]).all()
        assert found[0, :, 20, 0] == pytest.approx(model.predict(tiles)[0], abs=1e-5)
        assert (found[1, 0] == 1).all()

    def test_cells_of_a_head_that_looks_at_positions_are_raised(self, cell_model):
        folder, file = cell_model
        model = load_model(folder, "cpu", views=1)
        tiles = bytes_of(model.info, 3)
        logits = model.position_logits(tiles)[0][0].transpose(0, 2, 3, 1)
        cells = model.cell_probabilities(logits.reshape(-1, 2)).reshape(3, 12, 12, 2).transpose(0, 3, 1, 2)
        found = run(file, tiles)
        assert found.shape == (3, 2, 32, 32)
        assert np.ptp(cells[:, 1], axis=(1, 2)).min() > 0.01  # a tile's one probability would not do
        assert found == pytest.approx(raised(cells, TILE_PX), abs=2e-3)


class TestFile:
    def test_one_input_of_any_batch_and_one_output_of_the_same_size(self, tile_model):
        session, _ = said_of(tile_model[1])
        (image,), (probabilities,) = session.get_inputs(), session.get_outputs()
        assert (image.name, image.type, image.shape) == ("image", "tensor(float)", ["n", 3, 64, 64])
        assert (probabilities.type, probabilities.shape) == ("tensor(float)", ["n", 3, 64, 64])

    def test_each_entry_of_its_metadata_is_json(self, tile_model):
        found = {key: json.loads(value) for key, value in said_of(tile_model[1])[1].items()}
        assert found == {
            "model_type": "Segmentor",
            "class_names": {"0": "bare", "1": "leafy spurge", "2": "cheatgrass"},
            "resolution": 1.4,
            "tile_size": 64,
            "tiles_size": 64,
            "tiles_overlap": 0,
            "seg_thresh": 0,
            "seg_small_segment": 0,
            "standardization_mean": [0, 0, 0],
            "standardization_std": [1, 1, 1],
        }

    def test_tiles_of_cells_overlap_by_what_a_rim_does_not_see(self, tile_model):
        info = read_model_info(tile_model[0])
        for stride, overlap in ((4, 25), (8, 0), (32, 0)):  # of 16 cells a halo of 2 on either side; of 8 and 2, none
            positions = Positions(features=8, stride_px=stride, sharpness=4.0)
            assert json.loads(metadata(info.model_copy(update={"positions": positions}))["tiles_overlap"]) == overlap


class TestWhatTheseProgramsShow:
    def test_the_map_by_a_tiles_probability_is_that_of_spurgekit(self, chain, site_model, tmp_path):
        map_site(chain.site, chain.model, tmp_path / "map")
        with rasterio.open(tmp_path / "map" / "presence.tif") as presence, rasterio.open(chain.site) as site:
            probabilities, image = presence.read([1, 2]), site.read()
        expected = raised(probabilities.argmax(axis=0), *image.shape[1:])
        assert 0 < expected.mean() < 1
        assert (classes_as_read(site_model, image) == expected).all()

    def test_the_probabilities_are_those_of_its_map(self, chain, site_model, tmp_path):
        map_site(chain.site, chain.model, tmp_path / "map")
        with rasterio.open(tmp_path / "map" / "presence.tif") as presence, rasterio.open(chain.site) as site:
            probabilities, image = presence.read([1, 2]), site.read()
        tiles = image.reshape(3, 8, TILE_PX, 12, TILE_PX).transpose(1, 3, 0, 2, 4).reshape(-1, 3, TILE_PX, TILE_PX)
        found = run(site_model, tiles)[:, :, 5, 5]
        assert found == pytest.approx(probabilities.reshape(2, -1).T, abs=1e-3)

    def test_an_image_that_tiles_do_not_fit_in_has_nothing_beyond_its_edge(self, chain, site_model):
        with rasterio.open(chain.site) as site:
            image = site.read()[:, : 8 * TILE_PX - 10, : 12 * TILE_PX - 20]
        found = classes_as_read(site_model, image)
        assert found.shape == image.shape[1:]
        assert found[:, 64:128].all()  # a pair of columns of weed

    def test_a_map_by_cells_agrees_with_the_fine_one(self, chain, cell_model, tmp_path):
        folder, file = cell_model
        map_site(chain.site, load_model(folder, "cpu", views=1), tmp_path / "map", MapOptions(resolution="fine"))
        with rasterio.open(tmp_path / "map" / "presence.tif") as presence, rasterio.open(chain.site) as site:
            fine, image = presence.read(2) > presence.read(1), site.read()
        found = classes_as_read(file, image)
        assert ((found == 1) == raised(fine, *image.shape[1:])).mean() > 0.97


class TestTheirOwnCode:
    """It is theirs, under their licences, and no dependency: run where whoever tests has it on the path."""

    def test_geodeep_maps_the_site(self, chain, site_model):
        geodeep = pytest.importorskip("geodeep", reason="GeoDeep is not installed (pip install geodeep)")
        mask = geodeep.segment(str(chain.site), str(site_model), output_type="raw")
        with rasterio.open(chain.site) as site:
            expected = classes_as_read(site_model, site.read())
        assert (mask == median_filter(expected.astype(mask.dtype), 5)).all()  # which it always runs
        found = json.loads(geodeep.segment(str(chain.site), str(site_model), output_type="geojson", classes=["weed"]))
        assert {feature["properties"]["class"] for feature in found["features"]} == {"weed"}
        assert len(found["features"]) == 3

    def test_geodeep_maps_by_cells(self, chain, cell_model):
        geodeep = pytest.importorskip("geodeep", reason="GeoDeep is not installed (pip install geodeep)")
        mask = geodeep.segment(str(chain.site), str(cell_model[1]), output_type="raw")
        with rasterio.open(chain.site) as site:
            expected = classes_as_read(cell_model[1], site.read())
        assert (mask == expected).mean() > 0.97

    def test_deepness_reads_it(self, chain, site_model):
        segmentor = pytest.importorskip(
            "deepness.processing.models.segmentor", reason="the sources of qgis-plugin-deepness are not on the path"
        )
        assert segmentor.ModelBase.get_model_type_from_metadata(str(site_model)) == "Segmentor"
        model = segmentor.Segmentor(str(site_model))
        assert model.check_loaded_model_outputs() == [False]  # not of one sigmoid
        assert (model.get_model_batch_size(), model.get_input_size_in_pixels()) == (None, [TILE_PX, TILE_PX])
        assert (model.get_number_of_channels(), model.get_number_of_output_channels()) == (3, [2])
        assert [model.get_channel_name(0, number) for number in range(2)] == ["sand", "weed"]
        assert (model.get_metadata_resolution(), model.get_metadata_tile_size()) == (1.0, TILE_PX)
        assert (model.get_metadata_tiles_overlap(), model.get_metadata_segmentation_threshold()) == (0, 0)
        assert model.get_metadata_segmentation_small_segment() == 0
        tiles = bytes_of(read_model_info(chain.model), 5)
        (found,) = model.process(tiles.transpose(0, 2, 3, 1))
        assert found[:, :, 0, 0] == pytest.approx(load_model(chain.model, "cpu").predict(tiles), abs=1e-3)


class TestRefused:
    def refused(self, folder, match, **options):
        file = folder.parent / "refused.onnx"
        with pytest.raises(InputError, match=match) as caught:
            export_model(folder, file, OnnxOptions(reader="deepness", **options))
        assert "\n" not in str(caught.value)
        assert not file.exists()

    def test_tiles_of_which_nobody_knows_what_a_pixel_measures(self, tmp_path):
        folder = make_model(tmp_path / "model", "test_resnet", gsd_m=None)
        self.refused(folder, "model knows nothing of what a pixel measured .*; build its dataset with `gsd_m`, and train again")

    @pytest.mark.parametrize("dtype", ["uint16", "float32"])
    def test_tiles_of_other_numbers_than_bytes(self, tmp_path, dtype):
        folder = make_model(tmp_path / "model", "test_resnet", dtype=dtype)
        self.refused(folder, f"model reads tiles of {dtype}, and Deepness and GeoDeep feed bytes alone")

    def test_words_that_it_does_not_know(self, tile_model):
        with pytest.raises(InputError, match="there is no reader of ONNX 'deepnes', did you mean deepness"):
            OnnxOptions(reader="deepnes")
        self.refused(tile_model[0], "`views=3` cannot be; known are 1, 4, 8", views=3)

    def test_a_file_that_exists(self, tile_model):
        with pytest.raises(OutputExistsError, match="exists already"):
            export_model(*tile_model, FOR_DEEPNESS)


class TestNotes:
    def test_of_three_bands_and_classes_there_are_none(self, tile_model):
        assert notes(read_model_info(tile_model[0])) == ()

    def test_of_other_bands(self, tmp_path):
        folder = make_model(tmp_path / "model", "test_resnet", mean=(0.5,) * 4, std=(0.2,) * 4)
        (note,) = notes(read_model_info(folder))
        assert note == (
            "the model takes 4 bands, which Deepness feeds in the order that the image has them; GeoDeep feeds 3 bands only"
        )
        file = export_model(folder, tmp_path / "model.onnx", FOR_DEEPNESS)
        tiles = bytes_of(read_model_info(folder), 2)
        assert run(file, tiles)[:, :, 0, 0] == pytest.approx(load_model(folder, "cpu").predict(tiles), abs=5e-2)

    def test_of_cover_that_is_less_than_half(self, tile_model):
        info = read_model_info(tile_model[0]).model_copy(update={"target": "cover", "min_cover": 0.05})
        assert notes(info) == (
            "Deepness and GeoDeep draw leafy spurge where it covers more than half of a tile; "
            "in maps of spurgekit it is from 0.05 of a tile on",
        )
        assert notes(info.model_copy(update={"min_cover": 0.5})) == ()
        cells = Positions(features=8, stride_px=16, sharpness=None)
        assert notes(info.model_copy(update={"positions": cells})) == ()  # of a cell, half is the rule of fine maps, too
