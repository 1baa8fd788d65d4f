"""What of a run is done survives a kill."""

from spurgekit.augment.run_log import FILE_NAME, RunLog


def test_goes_on_where_it_was(tmp_path):
    log = RunLog.open(tmp_path)
    log.add(["a", "b"], [], 0)
    log.add(["c", "d"], ["d"], 1)
    again = RunLog.open(tmp_path)
    assert (again.done, again.blanked, again.in_float32) == ({"a", "b", "c", "d"}, {"d"}, 1)


def test_a_line_that_was_cut_off_does_not_count(tmp_path):
    RunLog.open(tmp_path).add(["a"], [], 0)
    whole = (tmp_path / FILE_NAME).read_bytes()
    for cut in range(1, len(whole)):
        (tmp_path / FILE_NAME).write_bytes(whole + whole[:cut])
        again = RunLog.open(tmp_path)
        assert again.done == {"a"}
        again.add(["b"], [], 0)
        assert RunLog.open(tmp_path).done == {"a", "b"}


def test_leaves_nothing(tmp_path):
    log = RunLog.open(tmp_path)
    log.add(["a"], [], 0)
    log.close()
    assert list(tmp_path.iterdir()) == []
