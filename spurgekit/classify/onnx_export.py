"""Models as ONNX, for whoever wants to run them without torch."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from spurgekit.classify.classifier import load_model
from spurgekit.classify.model_info import read_model_info
from spurgekit.classify.model_sources import find_model
from spurgekit.classify.onnx_graphs import PixelModel, WholeModel
from spurgekit.classify.onnx_options import OnnxOptions
from spurgekit.errors import InputError, ModelError, first_line
from spurgekit.extras import check_extra
from spurgekit.imagery.gdal_warnings import without_warnings
from spurgekit.outputs import add_checksums, check_files, output_file

if TYPE_CHECKING:
    import onnx

TOLERANCE = 1e-4
"""How far a probability of the ONNX graph may lie from torch's."""

LARGEST_BYTES = 2**31 - 2**24
"""One ONNX file holds 2 GiB; some room is left for the graph."""


def export_model(model: str | Path, out: str | Path, options: OnnxOptions | None = None, *, overwrite: bool = False) -> Path:
    """Write a model folder as one ONNX file, checked to give the same probabilities.

    For programs of one's own (``onnxruntime``), the graph has one input, ``tiles``: float32 [n, bands, size, size] with any n,
    in the tiles' own units (0 to 255 where they are of uint8), and an output ``probabilities``: float32 [n, classes], of a
    model of cover the shares of a tile. A model that looks at the positions of a tile (the arms ``mil`` and ``segment``) has a
    further one, ``cells``: float32 [n, classes, rows, columns], what it says of each. Normalisation, the network, the average
    over views, temperature and softmax are inside. Left to its user is what
    :class:`spurgekit.classify.preprocess.Preprocess` does ahead of that: pixels without data (0 in all bands; NaN in tiles of
    float32) take the mean of the rest of their tile, then tiles are resized to ``size`` (bilinear, antialiased). The file's
    metadata say what is needed for that, and name the classes (JSON).

    For Deepness and GeoDeep (``deepness``), that is inside, too. The input is ``image``: float32 [n, bands, tile, tile], bytes
    divided by 255, as large as a tile at the model's ground sample distance; the output ``probabilities``: float32
    [n, classes, tile, tile], of each pixel those of its tile, or of the cell that it lies in. Pixels without data are of the
    first class. The metadata tell these programs how to cut images into tiles, and what the classes are called.

    Parameters
    ----------
    model : str or pathlib.Path
        Model folder, or ``hf://OWNER/NAME[@REVISION]``.
    out : str or pathlib.Path
        File to write.
    options : OnnxOptions, optional
        What is to read it, views and opset.
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
    InputError
        If the file is not called as ONNX files are, or what is to read it cannot feed the model.
    OutputExistsError
        If the file is there already.

    Examples
    --------
    >>> from spurgekit import OnnxOptions, export_model
    >>> export_model("models/probe", "spurge.onnx", OnnxOptions(reader="deepness", views=1))  # doctest: +SKIP
    PosixPath('spurge.onnx')
    """
    options, out = options or OnnxOptions(), Path(out)
    reader = options.known_reader
    if out.suffix.lower() != ".onnx":
        raise InputError(f"{out}: an ONNX file ends in .onnx")
    check_files(out, overwrite=overwrite)
    check_extra("export", "export")
    source = find_model(model)
    reader.check(read_model_info(source.folder), source.name)
    classifier = load_model(source.folder, "cpu", views=options.views)
    info = classifier.info
    size = sum(value.numel() * value.element_size() for value in classifier.network.state_dict().values())
    if size > LARGEST_BYTES:
        raise ModelError(
            f"{source.name} holds {size / 2**30:.1f} GiB of weights and one ONNX file 2 GiB; train a smaller `backbone`"
        )
    # Weights in channels-last order would be written with a transposition each.
    network = classifier.network.float().to(memory_format=torch.contiguous_format)
    graph = reader.graph(network, info).eval()
    with output_file(out) as file:
        _write(graph, file, options.opset, reader.metadata(info))
        _check_equal(graph, file)
    if out.resolve().parent == source.folder.resolve():
        add_checksums(out.parent, [out.name])
    return out


def _write(graph: WholeModel | PixelModel, file: Path, opset: int, metadata: dict[str, str]) -> None:
    import onnx

    backbone = graph.info.backbone
    example = graph.example(2)  # of 1, the batch would be taken for fixed
    try:
        with torch.no_grad(), _quiet():
            program = torch.onnx.export(
                graph, (example,), dynamo=True, dynamic_shapes=({0: torch.export.Dim("n")},),
                input_names=[graph.input], output_names=graph.outputs, opset_version=opset, verbose=False,
            )  # fmt: skip
            assert program is not None
            proto = program.model_proto
    except (torch.onnx.OnnxExporterError, ValueError) as error:
        raise ModelError(f"{backbone} cannot be written as ONNX (opset {opset}): {first_line(error)}") from error
    written = next(entry.version for entry in proto.opset_import if not entry.domain)
    if written != opset:  # onnxscript gives up a conversion without an error
        raise ModelError(f"{backbone} cannot be written as ONNX (opset {opset}), but as opset {written}; ask for that")
    _forget_origin(proto)
    # As old a layout as the operators allow, not torch's: runtimes of 2023, such as that of Deepness, refuse a later one.
    proto.ir_version = onnx.helper.find_min_ir_version_for(proto.opset_import)
    proto.doc_string = graph.about
    onnx.helper.set_model_props(proto, metadata)
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


def _forget_origin(proto: onnx.ModelProto) -> None:
    """Drop what torch notes at each operator: stack traces with paths, as large as a small network."""
    for owner in (proto.graph, *proto.functions):
        for part in (owner, *owner.node, *owner.value_info):
            part.ClearField("metadata_props")
            part.ClearField("doc_string")
    for part in (*proto.graph.input, *proto.graph.output, *proto.graph.initializer):
        part.ClearField("metadata_props")


def _check_equal(graph: WholeModel | PixelModel, file: Path) -> None:
    import onnxruntime

    backbone = graph.info.backbone
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3  # errors
    try:
        session = onnxruntime.InferenceSession(str(file), settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no root of their own
        raise ModelError(f"ONNX Runtime cannot load the export of {backbone}: {first_line(error)}") from error
    for count in (1, 3):
        tiles = graph.example(count)
        with torch.inference_mode():
            wanted = [output.numpy() for output in graph(tiles)]
        for found, expected in zip(session.run(graph.outputs, {graph.input: tiles.numpy()}), wanted, strict=True):
            difference = np.abs(found - expected).max() if found.shape == expected.shape else np.inf
            if not difference <= TOLERANCE:  # NaN included
                raise ModelError(
                    f"the ONNX export of {backbone} differs from the model by {difference:.1g} in a probability; "
                    "nothing was written: update onnxscript and onnxruntime, or use another `backbone`"
                )
