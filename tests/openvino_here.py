"""What OpenVINO can do on this machine, for tests that need it."""

from __future__ import annotations

import pytest

from spurgekit.extras import missing_packages

IS_INSTALLED = not missing_packages("openvino")


def counts_in_bfloat16() -> bool:
    """Whether OpenVINO is installed and counts in bfloat16 on this CPU, be it by emulation."""
    if not IS_INSTALLED:
        return False
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


needs_openvino = pytest.mark.skipif(not IS_INSTALLED, reason="OpenVINO is not installed (the extra openvino)")
needs_bfloat16 = pytest.mark.skipif(not counts_in_bfloat16(), reason="OpenVINO does not count in bfloat16 on this CPU")
