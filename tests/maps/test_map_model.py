"""What a model looks at tiles with where maps are made and nothing is said."""

import json

import pytest

from spurgekit.classify import load_model
from spurgekit.maps import load_map_model, map_site
from spurgekit.precision import pick_precision
from tests.chain import CLASSES


@pytest.mark.parametrize(("asked", "views"), [(None, 4), (1, 1), (4, 4), (8, 8)])
def test_a_probe_looks_at_the_quarter_turns(chain, asked, views):
    model = load_map_model(chain.model, "cpu", views=asked)
    assert model.info.views == views
    assert model.source.name == str(chain.model)
    assert load_model(chain.model, "cpu").info.views == 8


def test_a_model_of_fewer_views_as_it_was_tested(chain, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    for file in chain.model.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    said = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**said, "views": 1}))
    assert load_map_model(folder, "cpu").info.views == 1


def test_maps_say_how_they_looked(chain, tmp_path):
    made = map_site(chain.site, chain.model, tmp_path / "map")
    assert list(made.occupied) == [CLASSES[1]]
    summary = json.loads((made.folder / "summary.json").read_text())
    parameters = json.loads((made.folder / "provenance.json").read_text())["parameters"]
    model = load_map_model(chain.model)
    assert (summary["views"], parameters["views"]) == (4, 4)
    assert summary["precision"] == parameters["precision"] == ("bfloat16" if pick_precision(model.device) else "float32")


def test_a_precision_is_asked_for(chain):
    assert load_map_model(chain.model, "cpu", precision="bfloat16").precision == "bfloat16"
