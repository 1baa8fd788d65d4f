"""Uploading with the real client, to a stand-in for the Hub's HTTP interface on loopback."""

from __future__ import annotations

import pytest
from huggingface_hub import constants

from spurgekit.dataset import DatasetOptions, build_dataset
from spurgekit.dataset.publish import own_files, push_dataset
from spurgekit.errors import InputError
from spurgekit.hub import HubError
from tests.hub_uploads import stand_in


@pytest.fixture
def hub():
    with stand_in() as served:
        yield served


@pytest.fixture
def dataset(field):
    options = DatasetOptions(group_column="half", test_groups=("east",), buffer_m=0.0, licence="cc-by-4.0")
    build_dataset(field / "tiles", field / "dataset", options)
    return field / "dataset"


def test_all_files_arrive_as_they_are_but_those_of_this_machine(hub, dataset):
    (dataset / "review.jsonl").write_text("{}\n")
    address = push_dataset(dataset, "me/spurge", private=True, token=hub.token, endpoint=hub.endpoint)
    assert address == f"{hub.endpoint}/datasets/me/spurge"
    assert hub.created[0]["name"] == "spurge"
    assert (hub.created[0]["type"], hub.created[0].get("private") or hub.created[0].get("visibility")) in (
        ("dataset", True),
        ("dataset", "private"),
    )
    here = {path.relative_to(dataset).as_posix(): path.read_bytes() for path in dataset.rglob("*") if path.is_file()}
    for name in ("review.jsonl", "provenance.json", "SHA256SUMS"):
        del here[name]
    assert {path: data for path, data in hub.files.items() if path != ".gitattributes"} == here
    assert hub.summaries == ["Upload dataset"]
    assert hub.cards == [(dataset / "README.md").read_text()]


def test_what_somebody_put_beside_them_stays_here_and_is_said(hub, dataset):
    before = set(own_files(dataset))
    (dataset / "secrets.txt").write_text("hunter2")
    (dataset / ".git").mkdir()
    (dataset / ".git" / "config").write_text("token")
    said = []
    push_dataset(dataset, "me/spurge", token=hub.token, endpoint=hub.endpoint, say=said.append)
    assert set(hub.files) - {".gitattributes"} == before
    assert said == ["2 files beside the dataset's own stay here, such as .git/config"]


def test_without_a_right_token(hub, dataset):
    with pytest.raises(
        HubError, match=r"the Hub refuses me/spurge \(status 401\); log in with 'hf auth login', or pass `token`"
    ):
        push_dataset(dataset, "me/spurge", token="hf_wrong", endpoint=hub.endpoint)
    assert hub.files == {}


def test_without_a_connection(dataset):
    with pytest.raises(HubError, match="the Hub cannot be reached for me/spurge; try again online"):
        push_dataset(dataset, "me/spurge", token="hf_right", endpoint="http://127.0.0.1:9")


def test_a_name_that_is_none(dataset):
    with pytest.raises(InputError, match="'me/a/b' is no name of a repository; pass OWNER/NAME"):
        push_dataset(dataset, "me/a/b", token="hf_right", endpoint="http://127.0.0.1:9")


def test_a_damaged_dataset_stays_here(hub, dataset):
    next((dataset / "test").rglob("*.png")).unlink()
    with pytest.raises(InputError, match="mend it first"):
        push_dataset(dataset, "me/spurge", token=hub.token, endpoint=hub.endpoint)
    assert hub.created == []


def test_so_does_one_without_a_licence(hub, field):
    build_dataset(field / "tiles", field / "plain", DatasetOptions(group_column="half", test_groups=("east",), buffer_m=0.0))
    with pytest.raises(InputError, match="says nothing of its licence; build it again with `licence`"):
        push_dataset(field / "plain", "me/spurge", token=hub.token, endpoint=hub.endpoint)


def test_the_client_is_left_as_it_was(hub, dataset):
    before = constants.HF_HUB_OFFLINE
    push_dataset(dataset, "me/spurge", token=hub.token, endpoint=hub.endpoint)
    assert before == constants.HF_HUB_OFFLINE
