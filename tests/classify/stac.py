"""Validation of STAC items without a connection."""

from __future__ import annotations

import json
from pathlib import Path

import pystac
from pystac.validation.stac_validator import JsonSchemaSTACValidator

SCHEMAS = {
    "https://stac-extensions.github.io/{}/v{}/schema.json".format(*path.stem.split("-v")): json.loads(path.read_text())
    for path in (Path(__file__).parent / "stac_schemas").glob("*.json")
}


class Offline(JsonSchemaSTACValidator):
    """pystac's validator, with the extensions' schemas at hand and none that it has to fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.schema_cache.update(SCHEMAS)

    def _get_schema(self, schema_uri):
        assert schema_uri in self.schema_cache, f"{schema_uri} would be fetched"
        return super()._get_schema(schema_uri)


def validate(item):
    """Return how many schemas an item is valid by."""
    return len(pystac.Item.from_dict(item).validate(Offline()))
