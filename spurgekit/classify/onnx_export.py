"""Models as ONNX, for whoever wants to run them without torch."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spurgekit.classify.classifier import load_model
from spurgekit.classify.model_info import ModelInfo
from spurgekit.classify.training.network import Network, PositionNetwork
from spurgekit.dihedral import turned_back, view_of
from spurgekit.errors import InputError, ModelError, first_line
from spurgekit.extras import check_extra
from spurgekit.imagery.gdal_warnings import without_warnings
from spurgekit.outputs import add_checksums, check_files, output_file

if TYPE_CHECKING:
    import onnx

OPSET = 18
"""Of 2022: every runtime of today knows it, and torch writes it without conversion."""

TOLERANCE = 1e-4
"""How far a probability of the ONNX graph may lie from torch's."""

LARGEST_BYTES = 2**31 - 2**24
"""One ONNX file holds 2 GiB; some room is left for the graph."""

INPUT, OUTPUT, CELLS = "tiles", "probabilities", "cells"


class WholeModel(nn.Module):
    """What a model does with resized tiles, from pixels to probabilities.

    Parameters
    ----------
    network : Network
        From normalised images to logits.
    info : ModelInfo
    views : {1, 8}
        8 averages the logits over the ways to turn and mirror a tile.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: Network, info: ModelInfo, views: int) -> None:
        super().__init__()
        self.network = network
        self.views = views
        self.temperature = info.temperature
        unit = 255.0 if info.dtype == "uint8" else 1.0
        self.register_buffer("mean", unit * torch.tensor(info.mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", unit * torch.tensor(info.std, dtype=torch.float32).view(1, -1, 1, 1))

    def forward(self, tiles: Tensor) -> tuple[Tensor, ...]:
        """Return what there is to say of float32 tiles [n, bands, size, size] in the tiles' own units.

        Returns
        -------
        probabilities : Tensor, shape (n, classes)
        cells : Tensor, shape (n, classes, rows, columns)
            Of a model that looks at positions.
        """
        images = (tiles - self.mean) / self.std
        # All views in one batch, so that the graph holds the network once.
        turned = images if self.views == 1 else torch.cat([view_of(images, view) for view in range(self.views)])
        if not isinstance(self.network, PositionNetwork):
            logits = torch.stack(self.network(turned).tensor_split(self.views)).mean(dim=0)
            return (self._probabilities(logits),)
        head = self.network.model.head
        views = self.network.position_logits(turned).tensor_split(self.views)
        logits = torch.stack([turned_back(logits, view) for view, logits in enumerate(views)])
        return self._probabilities(head.pool(logits)), self._probabilities(head.of_cells(logits.mean(dim=0)))

    def _probabilities(self, logits: Tensor) -> Tensor:
        return torch.softmax(logits / self.temperature, dim=1)

    @property
    def outputs(self) -> list[str]:
        """What it returns is called."""
        return [OUTPUT, CELLS] if isinstance(self.network, PositionNetwork) else [OUTPUT]


def export_model(
    model: str | Path, out: str | Path, *, opset: int = OPSET, views: Literal[1, 8] | None = None, overwrite: bool = False
) -> Path:
    """Write a model folder as one ONNX file, checked to give the same probabilities.

    The graph has one input, ``tiles``: float32 [n, bands, size, size] with any n, in the tiles' own units (0 to 255 where they
    are of uint8), and an output ``probabilities``: float32 [n, classes], of a model of cover the shares of a tile. A model that
    looks at the positions of a tile (the arms ``mil`` and ``segment``) has a further one, ``cells``: float32
    [n, classes, rows, columns], what it says of each. Normalisation, the network, the average over views, temperature and
    softmax are inside. Left to its user is what :class:`spurgekit.classify.preprocess.Preprocess` does ahead of
    that: pixels without data (0 in all bands; NaN in tiles of float32) take the mean of the rest of their tile, then tiles are
    resized to ``size`` (bilinear, antialiased). The file's metadata say what is needed for that, and name the classes (JSON).

    Parameters
    ----------
    model : str or pathlib.Path
        Model folder.
    out : str or pathlib.Path
        File to write.
    opset : int
        Version of ONNX's operators.
    views : {1, 8}, optional
        8 averages over the ways to turn and mirror a tile, 1 is 8 times as fast; default what the model says.
    overwrite : bool
        Replace the file if there is one.

    Returns
    -------
    pathlib.Path
        ``out``.

    Raises
    ------
    ModelError
        If packages for ONNX are missing, the model cannot be read or written as ONNX, or ONNX Runtime gives other
        probabilities than torch does (by more than 1e-4, on random tiles).
    OutputExistsError
        If the file is there already.
    """
    out = Path(out)
    if out.suffix.lower() != ".onnx":
        raise InputError(f"{out}: an ONNX file ends in .onnx")
    check_files(out, overwrite=overwrite)
    check_extra("export", "export")
    classifier = load_model(model, "cpu")
    info = classifier.info
    size = sum(value.numel() * value.element_size() for value in classifier.network.state_dict().values())
    if size > LARGEST_BYTES:
        raise ModelError(f"{model} holds {size / 2**30:.1f} GiB of weights and one ONNX file 2 GiB; train a smaller `backbone`")
    # Weights in channels-last order would be written with a transposition each.
    network = classifier.network.float().to(memory_format=torch.contiguous_format)
    whole = WholeModel(network, info, views or info.views).eval()
    with output_file(out) as file:
        _write(whole, info, file, opset)
        _check_equal(whole, info, file)
    if out.resolve().parent == Path(model).resolve():
        add_checksums(out.parent, [out.name])
    return out


def _write(whole: WholeModel, info: ModelInfo, file: Path, opset: int) -> None:
    import onnx

    example = torch.from_numpy(_random_tiles(info, 2))  # of 1, the batch would be taken for fixed
    try:
        with torch.no_grad(), _quiet():
            program = torch.onnx.export(
                whole, (example,), dynamo=True, dynamic_shapes=({0: torch.export.Dim("n")},),
                input_names=[INPUT], output_names=whole.outputs, opset_version=opset, verbose=False,
            )  # fmt: skip
            assert program is not None
            proto = program.model_proto
    except (torch.onnx.OnnxExporterError, ValueError) as error:
        raise ModelError(f"{info.backbone} cannot be written as ONNX (opset {opset}): {first_line(error)}") from error
    written = next(entry.version for entry in proto.opset_import if not entry.domain)
    if written != opset:  # onnxscript gives up a conversion without an error
        raise ModelError(f"{info.backbone} cannot be written as ONNX (opset {opset}), but as opset {written}; ask for that")
    _forget_origin(proto)
    proto.doc_string = (
        f"{INPUT}: resized to {info.image_size_px} x {info.image_size_px} px (bilinear, antialiased), float32 in the units of "
        f"{info.dtype} tiles. {' and '.join(whole.outputs)}: of {', '.join(info.classes)}."
    )
    onnx.helper.set_model_props(proto, _metadata(info, whole.views))
    file.write_bytes(proto.SerializeToString(deterministic=True))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what torch and onnxscript say of their own parts off the terminal."""
    loggers = [logging.getLogger(name) for name in ("onnxscript", "onnx_ir", "torch.onnx")]
    levels = [logger.level for logger in loggers]
    with without_warnings(Warning):
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _metadata(info: ModelInfo, views: int) -> dict[str, str]:
    """Return what a user must know to prepare tiles and to read the result."""
    found: dict[str, Any] = {
        "classes": json.dumps(info.classes),
        "arm": info.arm,
        "backbone": info.backbone,
        "image_size_px": info.image_size_px,
        "tile_size_px": info.tile_size_px,
        "gsd_m": info.gsd_m,
        "dtype": info.dtype,
        "views": views,
        "target": info.target,
        "cell_px": info.positions and info.positions.stride_px,
        "training_counts": json.dumps(info.training_counts),
    }
    return {key: str(value) for key, value in found.items() if value is not None}


def _forget_origin(proto: onnx.ModelProto) -> None:
    """Drop what torch notes at each operator: stack traces with paths, as large as a small network."""
    for owner in (proto.graph, *proto.functions):
        for part in (owner, *owner.node, *owner.value_info):
            part.ClearField("metadata_props")
            part.ClearField("doc_string")
    for part in (*proto.graph.input, *proto.graph.output, *proto.graph.initializer):
        part.ClearField("metadata_props")


def _check_equal(whole: WholeModel, info: ModelInfo, file: Path) -> None:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3  # errors
    try:
        session = onnxruntime.InferenceSession(str(file), settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no root of their own
        raise ModelError(f"ONNX Runtime cannot load the export of {info.backbone}: {first_line(error)}") from error
    for count in (1, 3):
        tiles = _random_tiles(info, count)
        with torch.inference_mode():
            wanted = [output.numpy() for output in whole(torch.from_numpy(tiles))]
        for found, expected in zip(session.run(whole.outputs, {INPUT: tiles}), wanted, strict=True):
            difference = np.abs(found - expected).max() if found.shape == expected.shape else np.inf
            if not difference <= TOLERANCE:  # NaN included
                raise ModelError(
                    f"the ONNX export of {info.backbone} differs from the model by {difference:.1g} in a probability; "
                    "nothing was written: update onnxscript and onnxruntime, or use another `backbone`"
                )


def _random_tiles(info: ModelInfo, count: int) -> NDArray[np.float32]:
    """Return tiles within two standard deviations of the mean, in their own units."""
    unit = 255.0 if info.dtype == "uint8" else 1.0
    mean, std = (unit * np.array(values)[:, None, None] for values in (info.mean, info.std))
    noise = np.random.default_rng(count).uniform(-2, 2, (count, info.bands, info.image_size_px, info.image_size_px))
    tiles = mean + std * noise
    if info.dtype != "float32":
        tiles = tiles.round().clip(0, np.iinfo(info.dtype).max)
    return tiles.astype(np.float32)
