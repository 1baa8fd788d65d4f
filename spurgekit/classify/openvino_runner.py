"""Backbones run by OpenVINO, which is faster than PyTorch on most CPUs (``tests.benchmarks.bench_runtimes``).

What a network makes of its features stays PyTorch's, in float32. A backbone is converted for one shape, :data:`PIECE` images,
and each piece is worked off by one thread: what is said of an image does not depend on how many threads there are.

OpenVINO's own ``convert_model`` tells Google Analytics of each conversion unless it was told not to; its front end, which does
the work, tells nobody.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spurgekit.classify.folding import noise_images
from spurgekit.classify.training.network import Network
from spurgekit.errors import InputError, ModelError
from spurgekit.extras import check_extra

PIECE = 2
"""Images of a piece: of one, networks are up to a fifth slower than of 8, of two a tenth; and of fewer all cores get some."""

CLOSE = 1e-3
"""How far what comes out may be from PyTorch's in float32, as a share of the largest: sums in another order."""


class OpenVinoRunner:
    """Runs a backbone as :data:`spurgekit.classify.training.network.Runner` says, from whatever threads.

    Parameters
    ----------
    network : Network
        On the CPU, in evaluation mode; its weights are shared.
    shape : tuple of int
        Bands, height and width of images.
    dtype : torch.dtype or None
        What it counts in: ``torch.bfloat16``, or None for float32.

    Raises
    ------
    InputError
        If OpenVINO is not installed, or does not count in bfloat16 on this CPU.
    ModelError
        If it cannot convert the network, or says other things of images than PyTorch does.
    """

    def __init__(self, network: Network, shape: tuple[int, int, int], dtype: torch.dtype | None) -> None:
        check_extra("openvino", "`runtime=openvino`")
        example = noise_images(PIECE, *shape).contiguous(memory_format=torch.channels_last)
        kind = type(getattr(network.model, "backbone", network.model)).__name__
        with torch.inference_mode():
            expected = [tensor.numpy() for tensor in network.seen(example)]
        try:
            self._graph = _converted(network, example)
            found = _run(_compiled(self._graph, "f32", threads=1), example)
        except MemoryError:
            raise
        except Exception as error:  # OpenVINO's errors have no root of their own, nor have those of PyTorch's tracing
            *_, why = str(error).strip(" -\n").splitlines() or [type(error).__name__]  # what led to it comes last
            raise ModelError(f"OpenVINO cannot convert a {kind} ({why}); pass `runtime=torch`") from error
        if not all(map(_is_close, found, expected)):
            raise ModelError(f"OpenVINO says other things of tiles than PyTorch with a {kind}; pass `runtime=torch`")
        self._precision = "f32" if dtype is None else "bf16"
        self._of_thread = threading.local()
        self._request(0)  # so that what this CPU cannot do is told at once

    def __call__(self, batches: Iterable[Tensor]) -> list[tuple[Tensor, ...]]:
        """Return what the backbone makes of each of some batches of images [n, bands, h, w]."""
        begun: list[tuple[int, list[tuple[Any, NDArray[np.float32]]]]] = []
        number = 0
        for batch in batches:
            images = np.ascontiguousarray(batch.permute(0, 2, 3, 1).numpy())
            pieces = []
            for start in range(0, len(images), PIECE):
                piece = images[start : start + PIECE]
                if (missing := PIECE - len(piece)) > 0:
                    piece = np.concatenate([piece, np.zeros((missing, *piece.shape[1:]), np.float32)])
                request = self._request(number)
                request.start_async([piece], share_inputs=True)
                pieces.append((request, piece))  # which is not copied, so that it has to be there until that is done
                number += 1
            begun.append((len(images), pieces))
        found = []
        for count, pieces in begun:
            done = [_outputs(request) for request, _ in pieces]
            found.append(tuple(torch.from_numpy(np.concatenate(parts)[:count]) for parts in zip(*done, strict=True)))
        return found

    def _request(self, number: int) -> Any:
        """Return one of this thread's requests, which several threads cannot share."""
        own = self._of_thread
        if not hasattr(own, "requests"):
            own.compiled, own.requests = _compiled(self._graph, self._precision, threads=torch.get_num_threads()), []
        while len(own.requests) <= number:
            own.requests.append(own.compiled.create_infer_request())
        return own.requests[number]


class _Seen(nn.Module):
    """What a network asks of its backbone, as a module of its own."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return self.network.seen(images)


def _converted(network: Network, example: Tensor) -> Any:
    """Return a network's backbone as OpenVINO has it, for images in channels-last order."""
    import openvino
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder
    from openvino.preprocess import PrePostProcessor

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of branches, which the shape decides, and of torch.jit.trace, which is deprecated
        traced = torch.jit.trace(_Seen(network).eval(), example, check_trace=False)  # type: ignore[no-untyped-call]
        decoder = TorchScriptPythonDecoder(traced)  # which has to be there until the front end is done
        front_end = FrontEndManager().load_by_framework("pytorch")
        graph = front_end.convert(front_end.load(decoder))
    graph.inputs[0].get_node().set_element_type(openvino.Type.f32)
    graph.reshape(list(example.shape))
    images = PrePostProcessor(graph)
    images.input().tensor().set_layout(openvino.Layout("NHWC"))
    images.input().model().set_layout(openvino.Layout("NCHW"))
    for number in range(len(graph.outputs)):
        images.output(number).tensor().set_element_type(openvino.Type.f32)
    return images.build()


def _compiled(graph: Any, precision: str, *, threads: int) -> Any:
    """Return a graph as this CPU runs it, a piece on each thread; refuse where it does not count as it is asked to."""
    import openvino

    compiled = openvino.Core().compile_model(
        graph,
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": threads,
            "ENABLE_CPU_PINNING": False,  # else workers beside each other all count on the same cores
        },
    )
    if compiled.get_property("INFERENCE_PRECISION_HINT") != getattr(openvino.Type, precision):
        raise InputError("OpenVINO does not count in bfloat16 on this CPU; pass `precision=float32`, or `runtime=torch`")
    return compiled


def _run(compiled: Any, images: Tensor) -> list[NDArray[np.float32]]:
    request = compiled.create_infer_request()
    request.start_async([images.permute(0, 2, 3, 1).numpy()])
    return _outputs(request)


def _outputs(request: Any) -> list[NDArray[np.float32]]:
    request.wait()
    return [np.array(tensor.data) for tensor in request.output_tensors]


def _is_close(found: NDArray[np.float32], expected: NDArray[np.float32]) -> bool:
    return found.shape == expected.shape and np.allclose(found, expected, rtol=0, atol=CLOSE * float(np.abs(expected).max()))
