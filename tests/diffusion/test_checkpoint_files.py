"""Checkpoints of the Hub, of its cache, and without a connection."""

from __future__ import annotations

import shutil

import pytest
from huggingface_hub import constants

from spurgekit import hub
from spurgekit.diffusion import checkpoint_files
from spurgekit.diffusion.checkpoint_files import DEFAULT, PINNED, find_checkpoint
from spurgekit.diffusion.load import load_backbone
from spurgekit.errors import ModelError
from spurgekit.hub import HubError
from tests.hub_downloads import point_at, stand_in

REPO = "owner/spurge-sd"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Return an empty cache of a Hub that cannot be reached."""
    monkeypatch.setattr(hub, "getproxies", dict)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    point_at("http://127.0.0.1:9", monkeypatch)
    return tmp_path / "cache"


@pytest.fixture
def online(cache, tiny, tmp_path, monkeypatch):
    """Return a Hub with the small Stable Diffusion, among files that no edit needs."""
    folder = shutil.copytree(tiny, tmp_path / "repository")
    (folder / "README.md").write_text("---\nlicense: creativeml-openrail-m\n---\n")
    unet = folder / "unet" / "diffusion_pytorch_model.safetensors"
    shutil.copy(unet, unet.with_suffix(".bin"))
    shutil.copy(unet, unet.with_name("diffusion_pytorch_model.non_ema.safetensors"))
    shutil.copy(unet, unet.with_name("diffusion_pytorch_model.fp16.safetensors"))
    shutil.copy(unet, folder / "v1-5-pruned.safetensors")
    with stand_in(REPO, folder) as found:
        point_at(found.endpoint, monkeypatch)
        yield found


def downloaded(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


class TestOnline:
    def test_only_what_is_needed_is_fetched(self, online, cache):
        found = find_checkpoint(REPO)
        assert (found.info.name, found.info.revision, found.info.licence) == (REPO, online.commit, "creativeml-openrail-m")
        assert downloaded(found.folder) == set(found.layout.files)
        weights = {file for file in found.layout.files if "model" in file and not file.endswith(".json")}
        assert weights == {
            "unet/diffusion_pytorch_model.safetensors",
            "vae/diffusion_pytorch_model.safetensors",
            "text_encoder/model.safetensors",
        }
        assert cache in found.folder.parents

    @pytest.mark.usefixtures("online")
    def test_in_float16_the_halves_are(self):
        found = find_checkpoint(REPO, half=True)
        assert found.layout.variants == {"unet": "fp16", "vae": None, "text_encoder": None}
        assert "unet/diffusion_pytorch_model.safetensors" not in downloaded(found.folder)

    def test_a_commit_that_is_here_needs_no_request(self, online):
        find_checkpoint(REPO, revision=online.commit)
        online.requests.clear()
        assert find_checkpoint(REPO, revision=online.commit).info.revision == online.commit
        assert online.requests == []

    def test_main_is_asked_for_again(self, online):
        find_checkpoint(REPO)
        online.requests.clear()
        find_checkpoint(REPO)
        assert any(request.startswith(f"/api/models/{REPO}") for request in online.requests)
        assert not any(request.endswith(".safetensors") for request in online.requests)

    def test_one_that_is_pinned_is_that_commit(self, online, monkeypatch):
        monkeypatch.setattr(checkpoint_files, "PINNED", {REPO: (online.commit, "mit")})
        (online.folder / "README.md").unlink()
        found = find_checkpoint(REPO)
        assert (found.info.revision, found.info.licence) == (online.commit, "mit")
        assert f"/api/models/{REPO}/revision/{online.commit}" in online.requests

    @pytest.mark.usefixtures("online")
    def test_a_name_or_a_revision_that_is_not_there(self):
        with pytest.raises(HubError, match=r"the Hub refuses owner/other \(status 404\); is the name right\?"):
            find_checkpoint("owner/other")
        with pytest.raises(HubError, match=r"the Hub refuses owner/spurge-sd \(status 404\)"):
            find_checkpoint(REPO, revision="v9")

    def test_what_is_wrong_is_known_before_a_download(self, online):
        (online.folder / "vae" / "diffusion_pytorch_model.safetensors").rename(
            online.folder / "vae" / "diffusion_pytorch_model.bin"
        )
        with pytest.raises(ModelError, match=r"owner/spurge-sd: the vae has pickled weights only"):
            find_checkpoint(REPO)
        (online.folder / "model_index.json").unlink()
        with pytest.raises(ModelError, match=r"owner/spurge-sd has no model_index.json"):
            find_checkpoint(REPO)
        assert not any(request.endswith((".safetensors", ".bin")) for request in online.requests)


class TestWithoutAConnection:
    @pytest.mark.parametrize("name", [DEFAULT, REPO])
    @pytest.mark.usefixtures("cache")
    def test_and_without_the_files(self, name):
        with pytest.raises(HubError) as error:
            load_backbone(name, device="cpu")
        assert str(error.value) == (
            f"the Hub cannot be reached, and its cache does not hold all of {name}; "
            "pass the folder of a checkpoint that is here as `backbone`, or try again online"
        )

    @pytest.mark.usefixtures("online")
    def test_what_was_fetched_is_there(self, monkeypatch):
        before = find_checkpoint(REPO)
        point_at("http://127.0.0.1:9", monkeypatch)
        after = find_checkpoint(REPO)
        assert after == before
        assert load_backbone(REPO, device="cpu").info == before.info
        # There are no weights of float16, so others are taken: of the same model.
        assert find_checkpoint(REPO, half=True).layout.variants["unet"] is None

    @pytest.mark.usefixtures("online")
    def test_a_part_of_it_is_not_enough(self, monkeypatch):
        found = find_checkpoint(REPO)
        (found.folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
        point_at("http://127.0.0.1:9", monkeypatch)
        with pytest.raises(HubError, match="its cache does not hold all of owner/spurge-sd"):
            find_checkpoint(REPO)


def test_pins_are_commits():
    assert DEFAULT in PINNED
    assert all(len(commit) == 40 and int(commit, 16) for commit, _ in PINNED.values())
