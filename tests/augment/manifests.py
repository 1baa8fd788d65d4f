"""Small ``augmented/`` folders for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from spurgekit.augment.manifest import COLUMNS, MANIFEST


def synthetic(name: str, **columns: Any) -> dict[str, Any]:
    """Return the row of a synthetic tile: made from ``real`` for the support set of trial 0 with 4 shots, unless said."""
    row = {
        "id": name, "file_name": f"{name}.png", "tile_id": "real", "method": "da-fusion", "backbone": "tiny", "strength": 0.5,
        "prompt": "a photo of weed", "seed": 1, "trial": 0, "n": 4, "class": "weed", "weight": 1.0,
    }  # fmt: skip
    return {**row, **columns}


def write_augmented(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """Write a folder of synthetic tiles of 4 x 4 px, and return it; rows may have other columns beside the usual ones."""
    folder.mkdir()
    table = pd.DataFrame(rows, columns=list(dict.fromkeys([*COLUMNS, *(name for row in rows for name in row)])))
    for name in table["file_name"].dropna():
        (folder / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (4, 4), (60, 90, 40)).save(folder / name)
    table.to_parquet(folder / MANIFEST)
    return folder
