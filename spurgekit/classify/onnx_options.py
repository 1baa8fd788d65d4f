"""How to write a model as ONNX."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from spurgekit.classify.onnx_readers import READERS, OnnxReader
from spurgekit.options import Options

OPSET = 18
"""Of 2022: every runtime of today knows it, and torch writes it without conversion."""


@dataclass(frozen=True, kw_only=True)
class OnnxOptions(Options):
    """How to write a model as ONNX.

    Attributes
    ----------
    reader : str
        What is to read the file.
    views : {1, 4, 8}, optional
        Turns of a tile to average; 1 is eight times as fast as 8. Default: as tested.
    opset : int
        Version of ONNX's operators.
    """

    reader: Annotated[str, READERS] = "onnxruntime"
    views: Literal[1, 4, 8] | None = None
    opset: int = OPSET

    @property
    def known_reader(self) -> OnnxReader:
        """What is to read the file."""
        return READERS[self.reader]
