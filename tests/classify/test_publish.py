"""Models to the Hub and back with the real client, from and to stand-ins for its HTTP interface on loopback."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from huggingface_hub import EvalResult, ModelCard, constants

from spurgekit import MapOptions, map_site, push_model
from spurgekit.classify import load_model, read_model_info
from spurgekit.classify.model_card import write_card
from spurgekit.classify.model_sources import find_model, parse_address
from spurgekit.errors import InputError, ModelError, SpurgekitError
from spurgekit.hub import HubError
from spurgekit.hub_files import Upload
from tests.chain import BACKBONE, TILE_PX
from tests.classify.stac import validate
from tests.command import refuse, succeed
from tests.hub_downloads import point_at
from tests.hub_downloads import stand_in as repository
from tests.hub_uploads import COMMIT, stand_in

NAME = "me/spurge"
OWN = {
    "README.md",
    "config.json",
    "model.json",
    "model.safetensors",
    "model.stac.json",
    "reliability.png",
    "test_predictions.csv",
    "training_features.safetensors",
}


@pytest.fixture
def hub():
    with stand_in("models") as served:
        yield served


@pytest.fixture
def model(chain, tmp_path):
    return shutil.copytree(chain.model, tmp_path / "model")


@pytest.fixture
def pushed(hub, chain, tmp_path):
    """Return a folder with what was pushed of the drawn site's model."""
    push_model(chain.model, NAME, licence="mit", token=hub.token, endpoint=hub.endpoint)
    folder = tmp_path / "repository"
    folder.mkdir()
    for name, data in hub.files.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Show an empty cache of the Hub, and no Hub."""
    monkeypatch.setattr("spurgekit.hub.getproxies", dict)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    point_at("http://127.0.0.1:9", monkeypatch)
    return tmp_path / "cache"


@pytest.fixture
def online(cache, pushed, monkeypatch):
    """Return a Hub that has what was pushed."""
    with repository(NAME, pushed) as found:
        point_at(found.endpoint, monkeypatch)
        yield found


class TestPush:
    def test_its_own_files_arrive(self, hub, chain):
        found = push_model(chain.model, NAME, licence="mit", private=True, token=hub.token, endpoint=hub.endpoint)
        assert found == Upload(f"{hub.endpoint}/{NAME}", COMMIT)
        assert hub.created[0]["name"] == "spurge"
        assert hub.created[0].get("private") or hub.created[0].get("visibility") == "private"
        assert set(hub.files) - {".gitattributes"} == OWN
        changed = {name for name in OWN if hub.files[name] != (chain.model / name).read_bytes()}
        assert changed == {"README.md", "config.json", "model.stac.json"}
        assert hub.summaries == [f"Upload probe of {BACKBONE}"]

    def test_the_card_says_licence_and_repository(self, pushed, chain):
        card, before = ModelCard.load(pushed / "README.md"), ModelCard.load(chain.model / "README.md")
        assert card.data.license == "mit"
        assert {**card.data.to_dict(), "license": None} == {**before.data.to_dict(), "license": None}
        assert f"spurgekit map site.tif --model hf://{NAME}\n" in card.text
        assert f'timm.create_model("hf-hub:{NAME}"' in card.text
        assert "OWNER/NAME" not in card.text

    def test_so_do_config_and_item(self, pushed):
        assert json.loads((pushed / "config.json").read_text())["pretrained_cfg"]["license"] == "mit"
        item = json.loads((pushed / "model.stac.json").read_text())
        assert item["properties"]["license"] == "mit"
        assert validate(item) == 3

    def test_where_training_tiles_lie_is_told_if_asked_for(self, hub, chain):
        said = []
        to = {"licence": "mit", "token": hub.token, "endpoint": hub.endpoint, "say": said.append}
        push_model(chain.model, NAME, **to)
        item = json.loads(hub.files["model.stac.json"])
        assert (item["geometry"], "bbox" in item) == (None, False)
        assert said == ["model.stac.json goes without where the training tiles lie; pass `place` to tell that"]
        push_model(chain.model, NAME, place=True, **to)
        before = json.loads((chain.model / "model.stac.json").read_text())
        assert json.loads(hub.files["model.stac.json"])["geometry"] == before["geometry"]
        assert len(said) == 1

    def test_nothing_tells_of_this_machine(self, pushed, chain):
        texts = b"".join((pushed / name).read_bytes() for name in OWN if not name.endswith((".png", ".safetensors")))
        assert str(chain.dataset).encode() not in texts

    def test_what_somebody_put_beside_them_stays_here(self, hub, model):
        (model / "notes.txt").write_text("hunter2")
        (model / "weights.pt").write_bytes(b"a pickle")
        (model / "deepness.onnx").write_bytes(b"an export")
        said = []
        push_model(model, NAME, licence="mit", place=True, token=hub.token, endpoint=hub.endpoint, say=said.append)
        assert set(hub.files) - {".gitattributes"} == OWN | {"deepness.onnx"}
        assert said == ["2 files beside the model's own stay here, such as notes.txt"]

    def test_without_a_licence(self, hub, chain, model):
        with pytest.raises(InputError, match=r"says nothing of its licence; pass `licence`, e\.g\. `licence=mit`$"):
            push_model(chain.model, NAME, token=hub.token, endpoint=hub.endpoint)
        card = ModelCard.load(model / "README.md")
        card.data.base_model = "timm/resnet10t.c3_in1k"
        card.save(model / "README.md")
        with pytest.raises(InputError, match=r"the weights of timm/resnet10t.c3_in1k, from which .* are under apache-2.0"):
            push_model(model, NAME, token=hub.token, endpoint=hub.endpoint)
        assert hub.created == []

    def test_one_on_the_card_is_taken(self, hub, model):
        card = ModelCard.load(model / "README.md")
        card.data.license = "apache-2.0"
        card.save(model / "README.md")
        push_model(model, NAME, token=hub.token, endpoint=hub.endpoint)
        assert ModelCard(hub.files["README.md"].decode()).data.license == "apache-2.0"

    @pytest.mark.parametrize("licence", ["", "a\nb"])
    def test_a_licence_that_cannot_be(self, hub, chain, licence):
        with pytest.raises(InputError, match="licence") as caught:
            push_model(chain.model, NAME, licence=licence, token=hub.token, endpoint=hub.endpoint)
        assert "\n" not in str(caught.value)
        assert hub.created == []

    def test_a_licence_that_the_hub_does_not_know(self, hub, chain):
        with pytest.raises(InputError, match=r"the Hub refuses the card of me/spurge: .license. must be one of"):
            push_model(chain.model, NAME, licence="mine", token=hub.token, endpoint=hub.endpoint)
        assert hub.files == {}

    @pytest.mark.parametrize(
        ("spoil", "match"),
        [
            (lambda f: (f / "model.safetensors").unlink(), r"model\.safetensors is missing or damaged"),
            (lambda f: (f / "model.json").write_text("{}"), r"model\.json: .* missing"),
            (lambda f: (f / "README.md").unlink(), r"README\.md cannot be read"),
            (lambda f: (f / "README.md").write_text("---\n- a\n---\n"), r"README\.md has a header that the Hub cannot read"),
            (lambda f: (f / "README.md").write_text("---\na: [\n---\n"), r"README\.md has a header that the Hub cannot read"),
            (lambda f: (f / "model.stac.json").write_text("[]"), r"model\.stac\.json is damaged"),
        ],
    )
    def test_a_damaged_folder_stays_here(self, hub, model, spoil, match):
        spoil(model)
        with pytest.raises(ModelError, match=match) as caught:
            push_model(model, NAME, licence="mit", token=hub.token, endpoint=hub.endpoint)
        assert "\n" not in str(caught.value)
        assert hub.created == []

    def test_one_that_was_trained_before_there_were_items_and_configurations(self, hub, model):
        (model / "config.json").unlink()
        (model / "model.stac.json").unlink()
        push_model(model, NAME, licence="mit", token=hub.token, endpoint=hub.endpoint)
        assert set(hub.files) - {".gitattributes"} == OWN - {"model.stac.json"}
        assert json.loads(hub.files["config.json"])["architecture"] == BACKBONE

    def test_without_a_right_token(self, hub, chain):
        with pytest.raises(HubError, match=r"refuses me/spurge \(status 401\); log in with 'hf auth login', or pass `token`"):
            push_model(chain.model, NAME, licence="mit", token="hf_wrong", endpoint=hub.endpoint)

    def test_a_name_that_is_none(self, chain):
        with pytest.raises(InputError, match="'me/a/b' is no name of a repository; pass OWNER/NAME"):
            push_model(chain.model, "me/a/b", licence="mit", token="hf_right", endpoint="http://127.0.0.1:9")

    def test_from_the_command_line(self, hub, chain, monkeypatch):
        monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
        monkeypatch.setattr("huggingface_hub.hf_api.constants.ENDPOINT", hub.endpoint)
        assert refuse("model", "push", chain.model, NAME) == (
            f"spurgekit: {chain.model} says nothing of its licence; pass --licence, e.g. --licence mit"
        )
        lines = succeed("model", "push", chain.model, NAME, "--licence", "mit", "--place", "--token", hub.token).splitlines()
        assert lines == [f"{hub.endpoint}/{NAME}", f"hf://{NAME}@{COMMIT}"]


class TestCard:
    def test_scores_survive_the_way_through_the_header(self, chain):
        data = ModelCard.load(chain.model / "README.md").data
        held_out = read_model_info(chain.model).held_out
        scores = {"balanced_accuracy": held_out.balanced_accuracy, **held_out.metrics}
        assert {result.metric_type: result.metric_value for result in data.eval_results} == scores
        assert data.metrics == list(scores)
        first = data.eval_results[0]
        assert first == EvalResult(
            task_type="image-classification",
            dataset_type="imagefolder",
            dataset_name="places of the same survey that were held out",
            dataset_split="test",
            metric_type="balanced_accuracy",
            metric_name="balanced accuracy",
            metric_value=held_out.balanced_accuracy,
        )
        assert (data.library_name, data.pipeline_tag, data.get("base_model")) == ("timm", "image-classification", None)

    def test_the_repository_of_the_backbone_is_named(self, chain, tmp_path):
        row = {"place": "a", "class": "sand", "predicted": "sand", "p(sand)": 1.0, "p(weed)": 0.0}
        info = read_model_info(chain.model)
        write_card(tmp_path, info, pd.DataFrame([row]), weights="pretrained", base_model="timm/resnet10t.c3_in1k")
        assert ModelCard.load(tmp_path / "README.md").data.base_model == "timm/resnet10t.c3_in1k"


class TestFetch:
    def test_a_map_is_the_same_as_from_the_folder(self, online, chain, tmp_path):
        address = f"hf://{NAME}"
        here = map_site(chain.site, chain.model, tmp_path / "here")
        there = map_site(chain.site, address, tmp_path / "there")
        pinned = f"hf://{NAME}@{online.commit}"
        assert there.notes == (f"the model was fetched from {pinned}", *here.notes)
        for name in ("presence.tif", "summary.json", "presence.png", "presence.qml"):
            assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes(), name
        record = json.loads((tmp_path / "there" / "provenance.json").read_text())
        assert record["parameters"]["model"] == pinned
        assert "model" not in json.loads((tmp_path / "here" / "provenance.json").read_text())["parameters"]
        again = map_site(chain.site, pinned, tmp_path / "again", MapOptions(stride_px=TILE_PX))
        assert again.notes == there.notes

    def test_only_what_is_needed_is_fetched(self, online):
        read_model_info(f"hf://{NAME}")
        asked = {path.rpartition("/")[2] for path in online.requests if "/resolve/" in path}
        assert asked == {"model.json", "config.json"}
        load_model(f"hf://{NAME}", "cpu")
        asked = {path.rpartition("/")[2] for path in online.requests if "/resolve/" in path}
        assert asked == {
            "model.json",
            "config.json",
            "model.safetensors",
            "test_predictions.csv",
            "training_features.safetensors",
        }

    def test_from_the_cache_without_a_connection(self, online, chain, monkeypatch):
        tiles = np.random.default_rng(0).integers(1, 256, (2, 3, TILE_PX, TILE_PX)).astype(np.uint8)
        found = load_model(f"hf://{NAME}@main", "cpu").predict(tiles)
        point_at("http://127.0.0.1:9", monkeypatch)
        for address in (f"hf://{NAME}", f"hf://{NAME}@{online.commit}"):
            model = load_model(address, "cpu")
            assert model.source.name == f"hf://{NAME}@{online.commit}"
            assert (model.predict(tiles) == found).all()
        assert (load_model(chain.model, "cpu").predict(tiles) == found).all()

    @pytest.mark.usefixtures("online")
    def test_weights_that_the_cache_has_not(self, monkeypatch):
        read_model_info(f"hf://{NAME}")
        point_at("http://127.0.0.1:9", monkeypatch)
        assert read_model_info(f"hf://{NAME}").classes == ("sand", "weed")
        with pytest.raises(SpurgekitError, match="try again online") as caught:
            load_model(f"hf://{NAME}", "cpu")
        assert "\n" not in str(caught.value)

    @pytest.mark.usefixtures("online")
    def test_timm_takes_it_from_the_hub(self, chain):
        made = timm.create_model(f"hf-hub:{NAME}", pretrained=True).eval()
        ours = load_model(chain.model, "cpu").network
        images = torch.randn((2, 3, TILE_PX, TILE_PX), generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            features = made.forward_head(made.forward_features(images), pre_logits=True)
            logits = made.get_classifier()(torch.nn.functional.normalize(features, dim=1))
            assert torch.allclose(logits, ours(images), atol=1e-6)

    def test_from_the_command_line(self, online, chain, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        address = f"hf://{NAME}@main"
        pinned = f"hf://{NAME}@{online.commit}"
        assert succeed("model", "info", address).startswith(f"model       {pinned}\narm         probe\n")
        note = f"note: the model was fetched from {pinned}\n"
        assert note in succeed("map", chain.site, "--model", address, "--views", 1)
        assert (tmp_path / "maps" / "dune" / "presence.tif").is_file()
        assert succeed("model", "export", address, "--views", 1) == f"{note}model.onnx\n"
        assert (tmp_path / "model.onnx").is_file()


class TestRefusals:
    @pytest.mark.parametrize(
        "address", ["hf://spurge", "hf://datasets/me/spurge", "hf://me/spurge/sub", "hf://me/spurge@", "hf://"]
    )
    def test_addresses_that_are_none(self, address):
        with pytest.raises(InputError, match=r"is no address of a model; pass hf://OWNER/NAME, or hf://OWNER/NAME@REVISION"):
            find_model(address)

    def test_those_of_hf_file_system_are_taken(self):
        assert parse_address("hf://me/spurge@refs/pr/3") == ("me/spurge", "refs/pr/3")
        assert parse_address("hf://me/spurge@feature%2Fx/") == ("me/spurge", "feature/x")

    @pytest.mark.usefixtures("cache")
    def test_offline_and_not_in_the_cache(self):
        line = refuse("map", "site.tif", "--model", f"hf://{NAME}", code=1)
        assert line == (
            "spurgekit: the Hub cannot be reached for me/spurge; its cache does not hold all of it, so pass a local copy, or "
            "try again online"
        )

    def test_private_or_none(self, online):
        online.is_private = True
        assert refuse("model", "info", f"hf://{NAME}", code=1) == (
            "spurgekit: the Hub refuses me/spurge (status 401); is the name right? if it is private or gated, log in with "
            "'hf auth login'"
        )

    @pytest.mark.usefixtures("online")
    def test_a_revision_that_is_none(self):
        with pytest.raises(HubError, match="me/spurge has no branch, tag or commit 'v9'; pass another revision"):
            read_model_info(f"hf://{NAME}@v9")

    @pytest.mark.usefixtures("online")
    def test_a_model_of_timm(self, pushed):
        (pushed / "model.json").unlink()
        with pytest.raises(ModelError, match=r"is a model of timm, but not one of spurgekit: it has no model\.json"):
            load_model(f"hf://{NAME}")

    @pytest.mark.usefixtures("online")
    def test_something_else(self, pushed):
        for name in OWN - {"README.md"}:
            (pushed / name).unlink()
        with pytest.raises(
            ModelError, match=r"has no model\.json; pass the name of a repository that 'spurgekit model push' made"
        ):
            load_model(f"hf://{NAME}")

    @pytest.mark.usefixtures("online")
    def test_without_weights(self, pushed):
        (pushed / "model.safetensors").unlink()
        with pytest.raises(ModelError, match=r"@c+ has no model\.safetensors"):
            load_model(f"hf://{NAME}")

    @pytest.mark.usefixtures("online")
    def test_of_a_later_spurgekit(self, pushed):
        found = json.loads((pushed / "model.json").read_text())
        (pushed / "model.json").write_text(json.dumps({**found, "schema_version": 2}))
        with pytest.raises(ModelError, match="schema_version") as caught:
            load_model(f"hf://{NAME}")
        assert "\n" not in str(caught.value)
