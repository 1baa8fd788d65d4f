"""What OpenVINO can do on this machine, for tests that need it."""

from __future__ import annotations

import importlib.util

import pytest


def counts_in_bfloat16() -> bool:
    """Whether OpenVINO is installed and counts in bfloat16 on this CPU, be it by emulation."""
    if importlib.util.find_spec("openvino") is None:
        return False
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


needs_openvino = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="OpenVINO is not installed (the extra openvino)"
)
needs_bfloat16 = pytest.mark.skipif(not counts_in_bfloat16(), reason="OpenVINO does not count in bfloat16 on this CPU")
