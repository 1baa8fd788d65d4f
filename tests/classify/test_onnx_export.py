import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from spurgekit.classify import OnnxOptions, load_model
from spurgekit.classify.classifier import save_model
from spurgekit.classify.model_info import HeldOut, ModelInfo
from spurgekit.classify.onnx_export import _check_equal, export_model
from spurgekit.classify.onnx_graphs import WholeModel
from spurgekit.classify.timm_backbone import make_backbone
from spurgekit.dataset.split_info import SplitInfo
from spurgekit.errors import InputError, ModelError, OutputExistsError
from tests.rounding import assert_close, terms_of

SIDE = 64
CLASSES = ("bare", "leafy spurge", "cheatgrass")


def make_model(folder, backbone="test_efficientnet", *, options=None, **more):
    """A model folder with a random network whose probabilities are neither all alike nor certain."""
    info = ModelInfo(
        backbone=backbone,
        backbone_options=options or {},
        classes=CLASSES,
        image_size_px=SIDE,
        training_counts=dict.fromkeys(CLASSES, 5),
        held_out=HeldOut(balanced_accuracy=0.5, confusion_matrix=((1, 0, 0), (0, 1, 0), (0, 0, 1)), split=SplitInfo(by="site")),
        **{"mean": (0.4, 0.5, 0.3), "std": (0.2, 0.1, 0.3), "gsd_m": 0.014, "tile_size_px": 100, **more},
    )
    network = make_backbone(backbone, options=options, image_size_px=SIDE, num_classes=3, bands=len(info.mean), seed=1)
    with torch.no_grad():
        network.get_classifier().weight.normal_(generator=torch.Generator().manual_seed(0))
    folder.mkdir()
    save_model(folder, info, network)
    return folder


def tiles_of(folder, count, seed=0):
    """Tiles of the model's type: noise around a brightness of their own, with no pixel that would be taken for no data."""
    info = load_model(folder, "cpu").info
    rng = np.random.default_rng(seed)
    top = {"uint8": 255, "uint16": 4000, "float32": 3}[info.dtype]
    tiles = top * (rng.uniform(0.1, 0.7, (count, info.bands, 1, 1)) + rng.uniform(0, 0.3, (count, info.bands, SIDE, SIDE)))
    return tiles.astype(info.dtype)


def run(file, tiles):
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return session.run(["probabilities"], {"tiles": tiles.astype(np.float32)})[0]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A model folder, and its export: made once, not to be changed."""
    folder = make_model(tmp_path_factory.mktemp("plain") / "model", options={"pad_type": "same"}, temperature=1.7)
    return folder, export_model(folder, folder.parent / "model.onnx")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A model folder that is quickly exported."""
    return make_model(tmp_path_factory.mktemp("small") / "model", "test_resnet")


class TestEqual:
    def test_for_batches_of_any_size(self, plain):
        folder, file = plain
        for count in (1, 5):
            tiles = tiles_of(folder, count)
            expected = load_model(folder, "cpu").predict(tiles)
            found = run(file, tiles)
            assert found.dtype == np.float32
            assert_close(found, expected, terms=terms_of(load_model(folder, "cpu").network))
        assert np.ptp(expected, axis=0).max() > 0.05  # a constant would not do

    def test_a_vision_transformer_with_unit_features_over_8_views(self, tmp_path):
        folder = make_model(tmp_path / "model", "test_vit", unit_features=True, views=8, temperature=0.1)
        file = export_model(folder, tmp_path / "model.onnx")
        for count in (1, 5):
            tiles = tiles_of(folder, count)
            expected = load_model(folder, "cpu").predict(tiles)
            assert_close(run(file, tiles), expected, terms=terms_of(load_model(folder, "cpu").network))
        assert np.ptp(expected, axis=0).max() > 0.01
        # The same from whichever side one looks at it.
        turned = run(file, np.rot90(tiles, axes=(2, 3)))
        assert_close(turned, expected, terms=terms_of(load_model(folder, "cpu").network))

    def test_one_view_of_a_model_that_averages_8_and_tiles_of_float32_with_5_bands(self, tmp_path):
        more = {"mean": (1.0, 2.0, 1.5, 1.0, 0.5), "std": (1.0, 0.5, 1.0, 0.7, 0.9), "dtype": "float32"}
        folder = make_model(tmp_path / "model", "test_resnet", views=8, **more)
        file = export_model(folder, tmp_path / "one.onnx", OnnxOptions(views=1))
        tiles = tiles_of(folder, 3)
        classifier = load_model(folder, "cpu")
        assert run(file, tiles) != pytest.approx(classifier.predict(tiles), abs=1e-3)
        classifier.info = classifier.info.model_copy(update={"views": 1})
        assert_close(run(file, tiles), classifier.predict(tiles), terms=terms_of(classifier.network))


class TestFile:
    def test_is_sound(self, plain):
        model = onnx.load(plain[1])
        onnx.checker.check_model(model, full_check=True)
        (tiles,), (probabilities,) = model.graph.input, model.graph.output
        assert [dim.dim_param or dim.dim_value for dim in tiles.type.tensor_type.shape.dim] == ["n", 3, SIDE, SIDE]
        assert [dim.dim_param or dim.dim_value for dim in probabilities.type.tensor_type.shape.dim] == ["n", 3]
        assert (model.opset_import[0].version, model.ir_version) == (18, 8)  # of runtimes from 2023 on

    def test_says_what_its_user_must_know(self, plain):
        found = {prop.key: prop.value for prop in onnx.load(plain[1]).metadata_props}
        assert json.loads(found["classes"]) == list(CLASSES)
        assert (found["gsd_m"], found["tile_size_px"], found["arm"], found["dtype"]) == ("0.014", "100", "probe", "uint8")

    def test_names_nothing_of_the_machine(self, plain):
        raw = plain[1].read_bytes()
        for word in (b"stack_trace", b".py", b"site-packages", b"spurgekit/"):
            assert word not in raw

    def test_is_not_replaced_unless_asked(self, small, tmp_path):
        there = tmp_path / "model.onnx"
        there.write_text("mine")
        with pytest.raises(OutputExistsError, match="exists already; pass `overwrite` to replace it, or another `out`"):
            export_model(small, there)
        (tmp_path / "folder.onnx").mkdir()
        with pytest.raises(OutputExistsError, match="is a folder; pass a file with `out`"):
            export_model(small, tmp_path / "folder.onnx")
        with pytest.raises(InputError, match=r"model\.json: an ONNX file ends in \.onnx"):
            export_model(small, small / "model.json", overwrite=True)
        assert there.read_text() == "mine"

    def test_has_the_same_bytes_again_and_the_terminal_stays_quiet(self, small, tmp_path, capfd):
        first = export_model(small, tmp_path / "model.onnx").read_bytes()
        assert export_model(small, tmp_path / "model.onnx", overwrite=True).read_bytes() == first
        assert len(first) > 100_000
        assert capfd.readouterr() == ("", "")


class TestFailures:
    def refused(self, folder, tmp_path, match, **options):
        with pytest.raises(ModelError, match=match) as caught:
            export_model(folder, tmp_path / "model.onnx", OnnxOptions(**options))
        assert "\n" not in str(caught.value)
        assert not list(tmp_path.iterdir())

    def test_other_probabilities_leave_no_file(self, small, tmp_path, monkeypatch):
        forward = WholeModel.forward
        wrong = 2e-4

        def differs(self, tiles):
            found = forward(self, tiles)
            return found if torch.compiler.is_exporting() else tuple(part + wrong for part in found)

        monkeypatch.setattr(WholeModel, "forward", differs)
        self.refused(small, tmp_path, "export of test_resnet differs from the model by 0.0002 in a probability; nothing was")

    @pytest.mark.parametrize(
        "wrong", [lambda p: p * float("nan"), lambda p: p[:, :2], lambda p: p[:, [1, 0, 2]]], ids=["NaN", "fewer", "swapped"]
    )
    def test_what_counts_as_other_probabilities(self, plain, wrong):
        class Wrong(WholeModel):
            def forward(self, tiles):
                (probabilities,) = super().forward(tiles)
                return (wrong(probabilities),)

        folder, file = plain
        classifier = load_model(folder, "cpu")
        _check_equal(WholeModel(classifier.network, classifier.info), file)
        with pytest.raises(ModelError, match="differs from the model"):
            _check_equal(Wrong(classifier.network, classifier.info), file)

    def test_packages_that_are_missing(self, plain, tmp_path, monkeypatch):
        for name in ("onnx", "onnxscript"):
            monkeypatch.setitem(__import__("sys").modules, name, None)
        with pytest.raises(InputError, match=r'^export needs packages that .*; pip install "onnx>=1.16" "onnxscript>=0.7"$'):
            export_model(plain[0], tmp_path / "model.onnx")
        assert not list(tmp_path.iterdir())

    def test_an_opset_that_does_not_exist(self, small, tmp_path, capfd):
        self.refused(small, tmp_path, r"cannot be written as ONNX \(opset 999\), but as opset \d\d; ask for that", opset=999)
        assert capfd.readouterr() == ("", "")

    def test_more_than_one_file_holds(self, plain, tmp_path, monkeypatch):
        monkeypatch.setattr("spurgekit.classify.onnx_export.LARGEST_BYTES", 1000)
        self.refused(plain[0], tmp_path, "GiB of weights and one ONNX file 2 GiB; train a smaller `backbone`")

    def test_no_model(self, tmp_path):
        self.refused(tmp_path / "nowhere", tmp_path, "does not exist; make a model with 'spurgekit train'")
