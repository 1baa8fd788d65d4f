"""Tiles in batches of one shape, whatever the parts of the stream that they are of."""

import numpy as np
import pytest
import torch

from spurgekit.classify.tile_stream import stream_tiles


class Means:
    """Says the mean of each tile; keeps what it was shown."""

    def __init__(self, device="cpu"):
        self.device = torch.device(device)
        self.shown = []
        self.finished = 0

    def start(self, tiles):
        assert len(self.shown) - self.finished < 2
        self.shown.append(tiles.copy())
        return tiles  # a GPU may still be reading them

    def finish(self, started):
        self.finished += 1
        return started.mean(axis=(1, 2, 3)), started[:, 0, 0, :1].copy()


def tiles(*values):
    return [np.full((3, 2, 2), value, np.uint8) for value in values]


PARTS = (("a", tiles(1, 2, 3)), ("b", []), ("c", tiles(4)), ("d", tiles(5, 6, 7, 8, 9)), ("e", []))


@pytest.mark.parametrize("device", ["cpu", "meta"])  # a GPU's next batch is started before the last one is done
@pytest.mark.parametrize("batch_size", [1, 2, 4, 9, 100])
def test_each_part_has_what_is_found_of_its_tiles(batch_size, device):
    look, done = Means(device), []
    found = list(stream_tiles(iter(PARTS), look, batch_size, advance=done.append))
    assert [key for key, _ in found] == ["a", "b", "c", "d", "e"]
    assert [said and said[0].tolist() for _, said in found] == [[1, 2, 3], None, [4], [5, 6, 7, 8, 9], None]
    assert found[0][1][1].tolist() == [[1], [2], [3]]
    assert {shown.shape for shown in look.shown} == {(batch_size, 3, 2, 2)}
    assert len(look.shown) == -(-9 // batch_size)
    assert sum(done) == 9


def test_what_fills_the_last_batch_is_no_data():
    look = Means()
    list(stream_tiles([("a", tiles(7, 8, 9))], look, 2))
    assert [shown[:, 0, 0, 0].tolist() for shown in look.shown] == [[7, 8], [9, 0]]


def test_parts_are_drawn_as_they_are_needed():
    drawn = []

    def parts():
        for key, of in PARTS:
            drawn.append(key)
            yield key, iter(of)

    stream = stream_tiles(parts(), Means(), 2)
    assert next(stream)[0] == "a"
    assert drawn == ["a", "b", "c"]  # the second batch takes the third tile of a and that of c


def test_nothing_is_shown_of_nothing():
    look = Means()
    assert list(stream_tiles([("a", [])], look, 4)) == [("a", None)]
    assert list(stream_tiles([], look, 4)) == []
    assert not look.shown
