"""Models as maps look through them: in as few views as lose nothing, with fewer layers, in bfloat16 where that is faster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from spurgekit.classify.classifier import TileClassifier, load_model
from spurgekit.classify.model_info import read_model_info
from spurgekit.classify.model_sources import find_model
from spurgekit.classify.runtime import Runtime, RuntimeChoice, try_runtimes
from spurgekit.classify.site_shift import SiteShift
from spurgekit.errors import InputError
from spurgekit.executors.packages import REMEDY, difference, version_of
from spurgekit.precision import Precision

MAP_VIEWS: Literal[4] = 4
"""Views of a tile of models that were tested with more: the quarter turns, with which they rank tiles as they do with all 8.

``tests.benchmarks.bench_views`` has what fewer cost probes, ``tests.benchmarks.bench_looks`` what they cost models of cells.
"""


def load_map_model(
    name: str | Path,
    device: str = "auto",
    *,
    views: Literal[1, 4, 8] | None = None,
    prevalence: str | None = None,
    precision: Precision = "auto",
    runtime: RuntimeChoice = "torch",
) -> TileClassifier:
    """Load a model to map with.

    Parameters
    ----------
    name : str or pathlib.Path
        See :func:`spurgekit.classify.classifier.load_model`, as of all others.
    device : str
    views : {1, 4, 8}, optional
        By default as many as in the model's test, and at most :data:`MAP_VIEWS`.
    prevalence : str, optional
    precision : {"auto", "float32", "bfloat16"}
    runtime : {"torch", "openvino", "auto"}
        What runs the network on a CPU; auto is what a trial of two seconds finds faster, which may choose otherwise the next
        time.

    Returns
    -------
    TileClassifier

    Raises
    ------
    ModelError, InputError, HubError
        As of all others, and of :meth:`spurgekit.TileClassifier.run_by`.
    """
    source = find_model(name)
    info = read_model_info(source.folder)
    if views is None and info.views > MAP_VIEWS:
        views = MAP_VIEWS
    model = load_model(source.folder, device, views=views, prevalence=prevalence, precision=precision)
    model.source = source
    model.fold_norms()
    if runtime != "auto":
        return model.run_by(runtime)
    trial = try_runtimes(model)
    model = model.run_by(trial.runtime)
    model.trial = trial
    return model


@dataclass(frozen=True, slots=True)
class NamedModel:
    """A model as another process can load it to look at tiles in the same way.

    Attributes
    ----------
    folder : pathlib.Path
        By its absolute name.
    device : str
    views : int
    precision : {"float32", "bfloat16"}
    is_folded : bool
    runtime : {"torch", "openvino"}
    runtime_version : str or None
        Of OpenVINO, where that runs it.
    prevalence : tuple of float or None
    shift : SiteShift or None
    """

    folder: Path
    device: str
    views: int
    precision: Precision
    is_folded: bool
    runtime: Runtime
    runtime_version: str | None
    prevalence: tuple[float, ...] | None
    shift: SiteShift | None

    @classmethod
    def of(cls, model: TileClassifier) -> NamedModel:
        """Return how a model is named.

        Raises
        ------
        InputError
            If it is in no folder.
        """
        if model.folder is None:
            raise InputError("a model that is in no folder cannot be sent to workers; save it, or pass `executor=threads`")
        return cls(
            model.folder.absolute(),
            str(model.device),
            model.info.views,
            model.precision,
            model.is_folded,
            model.runtime,
            version_of("openvino") if model.runtime == "openvino" else None,
            model.prevalence,
            model.shift,
        )

    def load(self) -> TileClassifier:
        """Return the model; what it says of its test is as it was trained.

        Raises
        ------
        InputError
            If it is to be run by what this process has not, or has another version of.
        """
        if self.runtime == "openvino" and (
            told := difference({"openvino": version_of("openvino")}, {"openvino": self.runtime_version})
        ):
            raise InputError(f"a worker {told}; {REMEDY}, or pass `runtime=torch`")
        model = load_model(self.folder, self.device, precision=self.precision)
        model.info = model.info.model_copy(update={"views": self.views})
        model.prevalence, model.shift = self.prevalence, self.shift
        if self.is_folded:
            model.fold_norms()
        return model.run_by(self.runtime)
