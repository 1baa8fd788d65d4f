"""What of a run is done survives a kill."""

from spurgekit.augment.run_log import FILE_NAME, Journal


def test_goes_on_where_it_was(tmp_path):
    journal = Journal.open(tmp_path)
    journal.add(["a", "b"], [], 0)
    journal.add(["c", "d"], ["d"], 1)
    again = Journal.open(tmp_path)
    assert (again.done, again.blanked, again.in_float32) == ({"a", "b", "c", "d"}, {"d"}, 1)


def test_a_line_that_was_cut_off_does_not_count(tmp_path):
    Journal.open(tmp_path).add(["a"], [], 0)
    whole = (tmp_path / FILE_NAME).read_bytes()
    for cut in range(1, len(whole)):
        (tmp_path / FILE_NAME).write_bytes(whole + whole[:cut])
        again = Journal.open(tmp_path)
        assert again.done == {"a"}
        again.add(["b"], [], 0)
        assert Journal.open(tmp_path).done == {"a", "b"}


def test_leaves_nothing(tmp_path):
    journal = Journal.open(tmp_path)
    journal.add(["a"], [], 0)
    journal.close()
    assert list(tmp_path.iterdir()) == []
