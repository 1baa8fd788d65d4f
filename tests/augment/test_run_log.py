"""What of a run is done survives a kill."""

import numpy as np
import pytest

from spurgekit.augment.run_log import FILE_NAME, RunLog
from spurgekit.tiles.png import encode_png

PNG = encode_png(np.arange(64, dtype=np.uint8).reshape(8, 8))


def made(folder, *ids):
    for name in ids:
        (folder / f"{name}.png").write_bytes(PNG)


def test_goes_on_where_it_was(tmp_path):
    made(tmp_path, "a", "b", "c")  # d was kept back
    log = RunLog.open(tmp_path)
    log.add(["a", "b"], [], 0)
    log.add(["c", "d"], ["d"], 1)
    again = RunLog.open(tmp_path)
    assert (again.done, again.blanked, again.in_float32) == ({"a", "b", "c", "d"}, {"d"}, 1)


def test_a_line_that_was_cut_off_does_not_count(tmp_path):
    made(tmp_path, "a", "b")
    RunLog.open(tmp_path).add(["a"], [], 0)
    whole = (tmp_path / FILE_NAME).read_bytes()
    for cut in range(1, len(whole)):
        (tmp_path / FILE_NAME).write_bytes(whole + whole[:cut])
        again = RunLog.open(tmp_path)
        assert again.done == {"a"}
        again.add(["b"], [], 0)
        assert RunLog.open(tmp_path).done == {"a", "b"}


@pytest.mark.parametrize("lost", [None, 0, 1, len(PNG) // 2, len(PNG) - 1])
def test_nor_does_a_unit_of_which_an_image_is_not_whole(tmp_path, lost):
    made(tmp_path, "a", "b", "c")
    log = RunLog.open(tmp_path)
    log.add(["a", "b"], [], 1)
    log.add(["c"], [], 0)
    if lost is None:
        (tmp_path / "b.png").unlink()
    else:
        (tmp_path / "b.png").write_bytes(PNG[:lost])
    for _ in range(2):
        again = RunLog.open(tmp_path)
        assert (again.done, again.in_float32) == ({"c"}, 0)


@pytest.mark.parametrize("line", ["[]", "{}", '{"done": 3, "blanked": [], "in_float32": 0}', "\udcff", "null"])
def test_nor_do_damaged_lines(tmp_path, line):
    made(tmp_path, "a")
    RunLog.open(tmp_path).add(["a"], [], 0)
    with (tmp_path / FILE_NAME).open("a", errors="surrogateescape") as file:
        file.write(f"{line}\n")
    assert RunLog.open(tmp_path).done == {"a"}
