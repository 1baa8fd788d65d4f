from __future__ import annotations

import pytest

from tests.diffusion.conftest import tiny, tiny_inpaint, tiny_xl

__all__ = ["tiny", "tiny_inpaint", "tiny_xl", "working_folder"]


@pytest.fixture(autouse=True)
def working_folder(tmp_path, monkeypatch):
    """Run commands in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)
