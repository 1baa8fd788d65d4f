"""Five small tiles, and a backbone that says how a tile lies."""

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from spurgekit.classify.features import FeatureStore
from spurgekit.classify.preprocess import Preprocess

SIDE = 8
CPU = torch.device("cpu")


class Corner(torch.nn.Module):
    """Features that say how a tile lies: the means of its upper left quarter's bands, counting how many tiles it was shown."""

    def __init__(self):
        super().__init__()
        self.seen = 0

    def forward(self, x):
        self.seen += len(x)
        return x[:, :, : SIDE // 2, : SIDE // 2].mean(dim=(2, 3))


@pytest.fixture
def tiles(tmp_path):
    rng = np.random.default_rng(0)
    rows = []
    for number in range(5):
        pixels = rng.integers(1, 256, (SIDE, SIDE, 3)).astype(np.uint8)
        path = tmp_path / f"t{number}.png"
        cv2.imwrite(str(path), pixels)
        rows.append({"tile_id": f"t{number}", "path": path, "target": number % 2})
    return pd.DataFrame(rows)


@pytest.fixture
def store():
    return FeatureStore(Corner(), Preprocess(SIDE, (0.0,) * 3, (1.0,) * 3, CPU), batch_size=2, precision="float32")
