"""Maps whose network is run by OpenVINO."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
import torch

from spurgekit.classify.runtime import RuntimeTrial, try_runtimes
from spurgekit.errors import InputError
from spurgekit.maps import load_map_model, map_site
from spurgekit.maps.map_model import NamedModel
from tests.chain import COLUMNS, ROWS
from tests.maps.test_parts import ROW_BYTES, contents, parts_in, stopped
from tests.openvino_here import needs_bfloat16, needs_openvino


def load(chain, runtime="openvino", precision="float32", views=1):
    return load_map_model(chain.model, "cpu", views=views, precision=precision, runtime=runtime)


def tried(chain, runtime):
    """A model whose runtime a trial chose."""
    model = load(chain, runtime)
    model.trial = RuntimeTrial(runtime, f"chosen: {runtime}")
    return model


@pytest.fixture
def parts_of_a_row(monkeypatch):
    monkeypatch.setattr("spurgekit.maps.looking.PART_BYTES", ROW_BYTES)
    monkeypatch.setattr("spurgekit.maps.sliding_window.STRIP_BYTES", ROW_BYTES)


@needs_openvino
class TestByOpenVino:
    @pytest.mark.parametrize(("precision", "most"), [("float32", 1e-4), pytest.param("bfloat16", 0.02, marks=needs_bfloat16)])
    def test_a_map_is_as_by_torch(self, chain, tmp_path, precision, most):
        expected, found = (
            map_site(chain.site, load(chain, runtime, precision, views=4), tmp_path / runtime).folder
            for runtime in ("torch", "openvino")
        )
        with rasterio.open(expected / "presence.tif") as one, rasterio.open(found / "presence.tif") as other:
            assert (one.crs, one.transform, one.shape, one.descriptions) == (
                other.crs, other.transform, other.shape, other.descriptions,
            )  # fmt: skip
            classes = slice(0, 2)
            np.testing.assert_allclose(other.read()[classes], one.read()[classes], rtol=0, atol=most)
        said = [json.loads((folder / "summary.json").read_text())["runtime"] for folder in (expected, found)]
        assert said == ["torch", "openvino"]

    @pytest.mark.usefixtures("parts_of_a_row")
    def test_processes_make_what_threads_make(self, chain, tmp_path):
        threads, processes = (
            contents(map_site(chain.site, load(chain), tmp_path / executor, executor=executor).folder)
            for executor in ("threads", "processes")
        )
        assert processes == threads

    @pytest.mark.usefixtures("parts_of_a_row")
    def test_is_not_gone_on_with_by_another(self, chain, tmp_path):
        stopped(chain, tmp_path, 3 * COLUMNS, model=load(chain))
        with pytest.raises(InputError, match=r"was begun with other settings \(runtime\)"):
            map_site(chain.site, load(chain, "torch"), tmp_path / "map")

    @pytest.mark.usefixtures("parts_of_a_row")
    @pytest.mark.parametrize(("first", "then"), [("torch", "openvino"), ("openvino", "torch")])
    def test_but_where_a_trial_chose_it_is(self, chain, tmp_path, first, then):
        """The trial of the run that goes on may find otherwise: the map is as it was begun."""
        whole = contents(map_site(chain.site, load(chain, first), tmp_path / "whole").folder)
        stopped(chain, tmp_path, 3 * COLUMNS, model=tried(chain, first))
        assert 0 < len(parts_in(tmp_path)) < ROWS
        report = map_site(chain.site, tried(chain, then), tmp_path / "map")
        assert contents(report.folder) == whole
        name = {"torch": "PyTorch", "openvino": "OpenVINO"}[first]
        assert f"the network runs by {name}, as the map was begun" in report.notes

    def test_workers_with_another_version_are_refused(self, chain):
        named = NamedModel.of(load(chain))
        named.load()
        object.__setattr__(named, "runtime_version", "1.0")
        with pytest.raises(
            InputError, match=r"^a worker has openvino .*, and this machine has 1\.0; .* or pass `runtime=torch`$"
        ):
            named.load()

    def test_a_model_on_a_gpu_is_refused(self, chain):
        model = load(chain, "torch")
        model.device = torch.device("cuda")
        with pytest.raises(InputError, match="`runtime=openvino` is for CPUs, and the model is on cuda; pass `device=cpu`"):
            model.run_by("openvino")

    @pytest.mark.parametrize(
        ("seconds", "runtime", "said"),
        [
            ([2.1, 1.0], "openvino", "the network runs by OpenVINO, 2.1 times as fast as PyTorch here"),
            ([1.05, 1.0], "torch", "the network runs by PyTorch: OpenVINO is 1.1 times as fast here"),
            ([1.0, 2.0], "torch", "the network runs by PyTorch: OpenVINO is 0.5 times as fast here"),
        ],
    )
    def test_a_trial_chooses_what_is_faster_and_says_so(self, chain, monkeypatch, seconds, runtime, said):
        monkeypatch.setattr("spurgekit.classify.runtime._seconds_in_turns", lambda *_: seconds)
        model = load(chain, "auto")
        assert (model.runtime, model.trial.note) == (runtime, said)

    def test_a_trial_runs_both(self, chain, tmp_path, monkeypatch):
        monkeypatch.setattr("spurgekit.classify.runtime.TRIAL_S", 0.01)
        model = load(chain, "auto")
        assert "times as fast" in model.trial.note
        assert model.trial.note in map_site(chain.site, model, tmp_path / "map").notes


def test_where_openvino_is_missing_a_trial_says_so(chain, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    trial = try_runtimes(load(chain, "torch"))
    assert trial.runtime == "torch"
    assert trial.note.startswith(
        "the network runs by PyTorch: `runtime=openvino` needs packages that are not installed; pip install"
    )


def test_torch_runs_it_where_nothing_is_said(chain):
    model = load_map_model(chain.model, "cpu")
    assert (model.runtime, model.trial) == ("torch", None)
