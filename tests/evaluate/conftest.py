"""Fixtures of other rooms that tests of evaluations ask for."""

from tests.executors.conftest import cluster, scheduler, start_worker

__all__ = ["cluster", "scheduler", "start_worker"]
