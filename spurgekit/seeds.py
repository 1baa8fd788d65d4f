"""The one place where chance comes from: numbers that are derived from names, so that the same work draws the same."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_ONE_AT_A_TIME = threading.RLock()


def seed_of(*names: object) -> int:
    """Return a seed from 0 to 2**32 - 1 that names fix, whatever else is drawn and in whatever order.

    >>> seed_of("site_r00001_c00002", "cutmix", 3) == seed_of("site_r00001_c00002", "cutmix", 3)
    True
    >>> seed_of("a", 1) == seed_of("a", 2)
    False
    """
    digest = hashlib.sha256("/".join(map(str, names)).encode()).digest()
    return int.from_bytes(digest[:4], "little")


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the generators that libraries draw from behind the scenes (Python's, NumPy's, torch's); put them back after.

    timm's mixing draws from NumPy's, torchvision's RandAugment and dropout from torch's.

    All threads of a process share these generators, so only one thread is in such a block at a time; others wait. Keep
    blocks short (a step, not a training), and do not wait in one for a thread that may need one itself.
    """
    import numpy as np
    import torch

    with _ONE_AT_A_TIME:
        # torch.manual_seed would leave a seed behind for a GPU that is not in use yet, and double the time that this takes.
        gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None  # type: ignore[no-untyped-call]
        before = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        torch.default_generator.manual_seed(seed)
        if gpus is not None:
            torch.cuda.manual_seed_all(seed)
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])  # noqa: NPY002
            torch.set_rng_state(before[2])
            if gpus is not None:
                torch.cuda.set_rng_state_all(gpus)
