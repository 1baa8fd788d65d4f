"""A map that was stopped is gone on with, and is then what it would have been: to the byte."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import fields

import geopandas as gpd
import numpy as np
import pytest

from spurgekit.classify import load_model
from spurgekit.errors import InputError, OutputExistsError, SpurgekitError
from spurgekit.maps import MapOptions, looking, map_site
from spurgekit.maps.cell_mask import CellMask
from spurgekit.maps.looking import PartLook, lattice_of, open_site, parts_of, pixels_below
from spurgekit.maps.parts import part_rows
from tests.chain import COLUMNS, ROWS, TILE_PX
from tests.maps.brightness import brightness_model
from tests.maps.test_fine import cells, light_model
from tests.outputs.listing import RECORDS
from tests.stops import StopAfter, killed_when

ROW_BYTES = COLUMNS * TILE_PX * TILE_PX * 4
"""Of the pixels below a row of cells of the drawn site, and what says of each whether it is valid."""


@pytest.fixture(autouse=True)
def parts_of_a_row(monkeypatch):
    monkeypatch.setattr("spurgekit.maps.looking.PART_BYTES", ROW_BYTES)
    monkeypatch.setattr("spurgekit.maps.sliding_window.STRIP_BYTES", ROW_BYTES)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in RECORDS}


def parts_in(folder):
    return sorted(path.name for path in (folder / ".map.parts").glob("rows*"))


def stopped(chain, folder, cells, error=KeyboardInterrupt, options=None, model=None):
    """A map of 8 rows of 12 cells that ends with an error once so many cells are done."""
    with pytest.raises(error):
        map_site(chain.site, model or load(chain), folder / "map", options, progress=StopAfter(cells, error))


class Totals:
    """Progress that remembers how much there was to do."""

    def __init__(self):
        self.totals = []

    def __call__(self, _, total):
        self.totals.append(total)
        return nullcontext(lambda _: None)


def load(chain, **options):
    return load_model(chain.model, "cpu", views=1, **options)


def map_in_parts(site, model, out):
    looking.PART_BYTES = ROW_BYTES
    map_site(site, load_model(model, "cpu", views=1), out)


class TestWhatIsStopped:
    @pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, OSError])
    def test_is_gone_on_with_to_the_byte(self, chain, tmp_path, error):
        whole = map_site(chain.site, load(chain), tmp_path / "whole")
        stopped(chain, tmp_path, 3 * COLUMNS + 1, error)
        assert not (tmp_path / "map").exists()
        kept = parts_in(tmp_path)
        assert 0 < len(kept) < ROWS
        looked = Totals()
        made = map_site(chain.site, load(chain), tmp_path / "map", progress=looked)
        assert looked.totals[0] == (ROWS - len(kept)) * COLUMNS  # no cell is looked at twice
        assert made.notes[-1] == f"a map that was stopped is gone on with: {len(kept)} of {ROWS} parts were there"
        assert contents(tmp_path / "map") == contents(tmp_path / "whole")
        assert (made.occupied, made.polygons) == (whole.occupied, whole.polygons)
        assert not list(tmp_path.glob(".*"))

    @pytest.mark.parametrize(
        "options", [{"stride_px": 16}, {"stride_px": 8, "blend": True}, {"min_valid": 1.0, "batch_size": 3}]
    )
    def test_part_by_part_it_is_what_it_is_in_one_go(self, chain, tmp_path, monkeypatch, options):
        """Tiles of cells at the edge of a part reach into the next one."""
        for name, size in (("parts", ROW_BYTES), ("whole", 1 << 30)):
            monkeypatch.setattr("spurgekit.maps.looking.PART_BYTES", size)
            map_site(chain.site, load(chain), tmp_path / name, MapOptions(**options))
        assert contents(tmp_path / "parts") == contents(tmp_path / "whole")

    def test_parts_in_the_midst_are_made_again(self, chain, tmp_path):
        map_site(chain.site, load(chain), tmp_path / "whole")
        stopped(chain, tmp_path, 6 * COLUMNS)
        kept = parts_in(tmp_path)
        for name in kept[1:3]:
            (tmp_path / ".map.parts" / name).unlink()
        map_site(chain.site, load(chain), tmp_path / "map")
        assert contents(tmp_path / "map") == contents(tmp_path / "whole")

    def test_goes_on_after_it_was_killed(self, chain, tmp_path):
        """One in a process of its own, which is killed as soon as it has kept a part."""
        killed_when(lambda: parts_in(tmp_path), map_in_parts, chain.site, chain.model, tmp_path / "map")
        if not (tmp_path / "map").exists():  # else it was faster
            assert parts_in(tmp_path)
            map_site(chain.site, load(chain), tmp_path / "map")
        map_site(chain.site, load(chain), tmp_path / "whole")
        assert contents(tmp_path / "map") == contents(tmp_path / "whole")

    def test_other_settings_are_refused(self, chain, tmp_path):
        stopped(chain, tmp_path, 3 * COLUMNS)
        kept = parts_in(tmp_path)
        for model, options, what in (
            (load(chain), MapOptions(min_valid=0.9), "min_valid"),
            (load_model(chain.model, "cpu", views=4), None, "views"),
            (load(chain, prevalence="0.1"), None, "prevalence"),
        ):
            with pytest.raises(OutputExistsError, match=rf"map was begun with other settings \({what}\); pass `overwrite`"):
                map_site(chain.site, model, tmp_path / "map", options)
        assert parts_in(tmp_path) == kept
        map_site(chain.site, load(chain), tmp_path / "map", MapOptions(min_valid=0.9), overwrite=True)
        assert not list(tmp_path.glob(".*"))

    def test_zones_can_be_added(self, chain, tmp_path):
        """They are no matter of cells."""
        stopped(chain, tmp_path, 3 * COLUMNS)
        zones = gpd.read_file(chain.weed).assign(zone=["west", "middle", "east"])
        zones.to_file(tmp_path / "zones.gpkg")
        made = map_site(chain.site, load(chain), tmp_path / "map", MapOptions(zones=tmp_path / "zones.gpkg"))
        assert list(made.zones) == ["west", "middle", "east"]
        assert "gone on with" in " ".join(made.notes)

    def test_a_damaged_part_is_named(self, chain, tmp_path):
        stopped(chain, tmp_path, 3 * COLUMNS)
        part = tmp_path / ".map.parts" / parts_in(tmp_path)[0]
        part.write_bytes(part.read_bytes()[:-90])
        with pytest.raises(SpurgekitError, match=r"rows_00000000_00000001\.npz is damaged; delete it and run it again"):
            map_site(chain.site, load(chain), tmp_path / "map")
        part.unlink()
        map_site(chain.site, load(chain), tmp_path / "map")

    def test_what_is_refused_leaves_nothing(self, tmp_path, make_tif):
        """As an image without data, which is known when all of it was read."""
        site = make_tif(tmp_path / "site.tif", np.zeros((4, 8, 8), np.uint8), colours=("red", "green", "blue", "alpha"))
        with pytest.raises(InputError, match="no cell with data"):
            map_site(site, brightness_model(4, bands=3), tmp_path / "map")
        assert [path.name for path in tmp_path.iterdir()] == ["site.tif"]

    def test_nor_does_a_model_that_nobody_could_know_again(self, chain, tmp_path):
        model = load(chain)
        model.folder = None
        stopped(chain, tmp_path, 3 * COLUMNS, model=model)
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("guided", [False, True])
def test_parts_of_a_fine_map_are_alone_what_they_are_in_one_go(tmp_path, make_tif, monkeypatch, guided):
    """Cells are pooled with cells of other parts. Windows are of 10 x 10 cells."""
    monkeypatch.setattr("spurgekit.maps.looking.PART_BYTES", 1)
    monkeypatch.setattr("spurgekit.maps.looking.LEAST_WINDOWS", 1)
    site, model = make_tif(tmp_path / "site.tif", cells(46, 13)[1]), light_model(tile_px=224, size_px=224)
    options = MapOptions(resolution="fine", guided_filter=guided)
    with open_site([site], model, options) as raster:
        lattice = lattice_of(raster, model, options)
        mask = CellMask.everywhere(lattice.cells)
        look, parts = PartLook(raster, model, options, pixels_below(mask, lattice)), parts_of(mask, raster, lattice)
        assert parts == [range(10), range(10, 20), range(20, 30), range(30, 40), range(40, 46)]
        for rows, part in look.at(mask, parts):
            ((_, alone),) = look.at(mask.rows(rows), [rows])
            for field in fields(part):
                assert getattr(alone, field.name).tobytes() == getattr(part, field.name).tobytes(), (rows, field.name)


class TestNotes:
    def test_a_collar_is_said_of_what_was_read_before_it_was_stopped(self, chain, tmp_path, make_tif):
        """Its rows are those of the first parts."""
        image = np.random.default_rng(0).integers(1, 255, (3, 8 * TILE_PX, COLUMNS * TILE_PX)).astype(np.uint8)
        image[:, : 2 * TILE_PX] = 0
        site = make_tif(tmp_path / "site.tif", image)
        said = map_site(site, load(chain), tmp_path / "whole").notes
        assert any("25 % of the pixels are exactly 0, 0, 0" in note for note in said)
        with pytest.raises(KeyboardInterrupt):
            map_site(site, load(chain), tmp_path / "map", progress=StopAfter(5 * COLUMNS))
        assert len(parts_in(tmp_path)) >= 2
        notes = map_site(site, load(chain), tmp_path / "map").notes
        assert set(said) < set(notes)


def test_rows_without_a_wanted_cell_are_of_no_part():
    wanted = np.array([[0, 0], [1, 0], [0, 1], [1, 1], [0, 0], [0, 1]], bool)
    assert part_rows(wanted, 2) == [range(1, 2), range(2, 4), range(5, 6)]
    assert part_rows(np.zeros((3, 2), bool), 2) == []
