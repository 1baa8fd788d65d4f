"""Models as maps look through them: in as few views as lose nothing, with fewer layers, in bfloat16 where that is faster."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from spurgekit.classify.classifier import TileClassifier, load_model
from spurgekit.classify.model_info import read_model_info
from spurgekit.classify.model_sources import find_model
from spurgekit.precision import Precision

MAP_VIEWS: Literal[4] = 4
"""Views of a tile of models that were tested with more: the quarter turns, with which probes rank tiles as they do with all 8.

``tests.benchmarks.bench_views`` has what fewer cost.
"""


def load_map_model(
    name: str | Path,
    device: str = "auto",
    *,
    views: Literal[1, 4, 8] | None = None,
    prevalence: str | None = None,
    precision: Precision = "auto",
) -> TileClassifier:
    """Load a model to map with.

    Parameters
    ----------
    name : str or pathlib.Path
        See :func:`spurgekit.classify.classifier.load_model`, as of all others.
    device : str
    views : {1, 4, 8}, optional
        By default as many as in the model's test, of one that looks at whole tiles at most :data:`MAP_VIEWS`.
    prevalence : str, optional
    precision : {"auto", "float32", "bfloat16"}

    Returns
    -------
    TileClassifier

    Raises
    ------
    ModelError, InputError, HubError
        As of all others.
    """
    source = find_model(name)
    info = read_model_info(source.folder)
    if views is None and info.head == "linear" and info.views > MAP_VIEWS:
        views = MAP_VIEWS
    model = load_model(source.folder, device, views=views, prevalence=prevalence, precision=precision)
    model.source = source
    model.fold_norms()
    return model
