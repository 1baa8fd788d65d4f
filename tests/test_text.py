import ast
from pathlib import Path

import pandas as pd
import pytest
import torch

import spurgekit
from spurgekit.devices import choose_device, widest
from spurgekit.errors import InputError, ModelError
from spurgekit.imagery import slug
from spurgekit.reading import check_classes
from spurgekit.review.review_options import ReviewOptions
from spurgekit.tables import csv_of

SOURCES = sorted(Path(spurgekit.__file__).parent.rglob("*.py"))


class TestClasses:
    @pytest.mark.parametrize("name", ['=HYPERLINK("http://x")', "@SUM(1)", "+1-cmd|x", " =1", "-x"])
    def test_that_spreadsheets_would_run_are_refused(self, name):
        with pytest.raises(InputError, match="is a formula to spreadsheets, which would run it; call it otherwise"):
            check_classes(("sand", name))

    def test_so_are_other_names_in_any_table_of_ours(self):
        rows = pd.DataFrame({"n": [-1.5, 2.0], "plot": ["+1", None], "site": ["a", "=HYPERLINK(1)"]})
        with pytest.raises(
            InputError, match=r"^t\.csv: site '=HYPERLINK\(1\)' is a formula to spreadsheets, which would run it"
        ):
            csv_of(rows, "t.csv")
        assert csv_of(rows.drop(columns="site"), "t.csv") == "n,plot\n-1.5,+1\n2.0,\n"

    def test_so_is_a_reviewer(self):
        with pytest.raises(InputError, match="the `reviewer` '@x' is a formula"):
            ReviewOptions(reviewer="@x")

    @pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
    def test_one_place_writes_them(self, source):
        assert source.stem == "tables" or ".to_csv(" not in source.read_text(encoding="utf-8")

    def test_that_differ_in_capitals_alone_are_refused(self):
        with pytest.raises(InputError, match="the classes 'Spurge' and 'spurge' differ in capitals alone; write them alike"):
            check_classes(("absent", "Spurge", "spurge"))

    @pytest.mark.parametrize("name", ["+", "-", "-1", "+0,5", "None", "NA", "leafy spurge", "Wolfsmilch (Euphorbia)", "草"])
    def test_that_are_odd_but_harmless_are_taken(self, name):
        assert check_classes(("sand", name)) == ("sand", name)


@pytest.mark.parametrize("name", ["con", "PRN", "Aux", "nul", "COM1", "lpt9", "con.", "NUL/"])
def test_names_that_windows_keeps_for_devices_are_none_of_ours(name):
    assert slug(name) == slug(slug(name)) == name.strip("./") + "-"


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_texts_are_written_with_the_same_ends_of_lines_on_every_system(source):
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            given = {keyword.arg for keyword in node.keywords}
            needed = {"write_text": {"encoding", "newline"}, "to_csv": {"lineterminator"}}.get(node.func.attr, set())
            assert needed <= given, f"{source.name}:{node.lineno}"


class TestDevices:
    def test_what_holds_no_numbers_is_none(self):
        with pytest.raises(ModelError, match="no device 'meta' on this machine"):
            choose_device("meta")

    def test_auto_takes_apples_gpu_where_it_serves(self, monkeypatch):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
        monkeypatch.setattr("spurgekit.devices._resizes", lambda device: device.type == "mps")
        assert choose_device() == torch.device("mps")
        monkeypatch.setattr("spurgekit.devices._resizes", lambda _: False)
        assert choose_device() == torch.device("cpu")

    def test_apples_gpus_sum_in_floats_of_32_bits(self):
        assert (widest(torch.device("mps")), widest(torch.device("cpu"))) == (torch.float32, torch.float64)
