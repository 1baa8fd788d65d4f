"""Checkpoints of trainings."""

import pytest
import torch

from spurgekit.checkpoint import load_checkpoint, save_checkpoint
from spurgekit.errors import ModelError

MADE_FROM = {"tiles": "1a", "options": "2b"}


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, MADE_FROM, {"weights": torch.arange(6.0).reshape(2, 3).T}, {"step": 3})
    return path


def both(tensors, about):
    return tensors["weights"].tolist(), about["step"]


def test_what_was_kept_comes_back(checkpoint):
    assert load_checkpoint(checkpoint, MADE_FROM, both) == ([[0, 3], [1, 4], [2, 5]], 3)


def test_nothing_is_left_beside_it(checkpoint):
    assert list(checkpoint.parent.iterdir()) == [checkpoint]


def test_the_same_state_gives_the_same_bytes(checkpoint):
    before = checkpoint.read_bytes()
    save_checkpoint(checkpoint, MADE_FROM, {"weights": torch.arange(6.0).reshape(2, 3).T}, {"step": 3})
    assert checkpoint.read_bytes() == before


@pytest.mark.parametrize(
    ("now", "what"),
    [({**MADE_FROM, "tiles": "1c"}, "tiles"), ({"tiles": "", "options": ""}, "tiles and options"), ({"masks": "3"}, "masks")],
)
def test_of_another_training_it_is_refused(checkpoint, now, what):
    with pytest.raises(ModelError) as caught:
        load_checkpoint(checkpoint, now, both)
    assert str(caught.value) == f"{checkpoint} is the checkpoint of a training with other {what}; delete it to start again"


@pytest.mark.parametrize("kept", [0, 20, -1])
def test_one_that_was_cut_off_is_damaged(checkpoint, kept):
    checkpoint.write_bytes(checkpoint.read_bytes()[:kept])
    with pytest.raises(ModelError, match="is damaged; delete it to start again"):
        load_checkpoint(checkpoint, MADE_FROM, both)


def test_one_that_lacks_something_is_damaged(checkpoint):
    with pytest.raises(ModelError, match="is damaged; delete it to start again"):
        load_checkpoint(checkpoint, MADE_FROM, lambda tensors, _: tensors["moments"])
