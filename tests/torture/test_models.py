"""Model folders from anybody: model.json, weights and predictions, damaged in every way."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from spurgekit.classify import load_model
from spurgekit.classify.model_files import DESCRIPTION, PREDICTIONS, WEIGHTS
from tests.chain import TILE_PX
from tests.fuzz import as_json, changed, damaged, fuzz


@pytest.fixture
def model(chain, tmp_path):
    return shutil.copytree(chain.model, tmp_path / "model")


def look(model, **options):
    """Load a model as 'map' does, and let it look at tiles: what comes out are probabilities."""
    loaded = load_model(model, "cpu", **options)
    found = loaded.predict(np.full((1, loaded.info.bands, TILE_PX, TILE_PX), 100, loaded.info.dtype))
    assert np.allclose(found.sum(axis=1), 1, atol=1e-3)
    assert (found >= 0).all()


def test_values_of_a_description(model):
    file = model / DESCRIPTION

    def attempt(document):
        file.write_bytes(as_json(document))
        look(model)

    fuzz("model.json, values", changed(json.loads(file.read_text())), attempt)


def test_bytes_of_a_description(model):
    file = model / DESCRIPTION

    def attempt(data):
        file.write_bytes(data)
        look(model)

    fuzz("model.json, bytes", damaged(file.read_bytes()), attempt, examples=30)


def test_bytes_of_weights(model):
    file = model / WEIGHTS

    def attempt(data):
        file.write_bytes(data)
        look(model)

    fuzz("model.safetensors, bytes", damaged(file.read_bytes()[:4096]) | damaged(file.read_bytes()), attempt, examples=15)


def test_bytes_of_predictions(model):
    file = model / PREDICTIONS

    def attempt(data):
        file.write_bytes(data)
        look(model, prevalence="0.1")

    fuzz("test_predictions.csv, bytes", damaged(file.read_bytes()), attempt, examples=30)
