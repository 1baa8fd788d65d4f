from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def working_folder(tmp_path, monkeypatch):
    """Run commands in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)
