"""Fixtures of other rooms that tests of augmentation ask for: small diffusion models, and workers."""

from tests.diffusion.conftest import tiny
from tests.executors.conftest import cluster, scheduler, start_worker

__all__ = ["cluster", "scheduler", "start_worker", "tiny"]
