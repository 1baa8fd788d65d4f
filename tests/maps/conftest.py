"""Fixtures of other rooms that tests of maps ask for."""

from tests.executors.conftest import scheduler, start_worker

__all__ = ["scheduler", "start_worker"]
