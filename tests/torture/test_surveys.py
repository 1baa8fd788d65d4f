"""survey.toml, damaged in every way."""

from __future__ import annotations

import tomllib

from hypothesis import strategies as st

from spurgekit.survey import read_survey
from tests.fuzz import changed, damaged, fuzz

WHOLE = """\
schema_version = 1
name = "north"
date = 2026-06-14
classes = ["no spurge", "leafy spurge"]
labels = "weed.gpkg"
crs = "EPSG:32612"

[tiles]
size_px = 250
gsd_m = 0.014
min_valid = 0.5

[plots]
rows = 3
columns = 3
size_m = 10.0
gaps_m = [2.0, 2.0]
family = "cross"
marker_color = [200, 60, 40]

[dataset]
test_groups = ["a"]
group_column = "site"
test_share = 0.3
shots = [1, 2]

[[sites]]
name = "pasture"
image = "pasture.tif"
"""


def as_toml(value):
    """Return a document as TOML; what TOML has no word for is written as a text."""

    def one(value):
        if isinstance(value, dict):
            return "{" + ", ".join(f"{one(str(key))} = {one(entry)}" for key, entry in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(map(one, value)) + "]"
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, (int, float)) and abs(value) < 1e300:
            return repr(value)
        text = str(value) if value != 10**400 else "1" + "0" * 5000
        return text if value == 10**400 else '"' + "".join(f"\\u{ord(c):04x}" if ord(c) < 0xD800 else c for c in text) + '"'

    return "\n".join(f"{one(str(key))} = {one(entry)}" for key, entry in value.items()).encode("utf-8", "surrogatepass")


def test_survey(tmp_path):
    file = tmp_path / "survey.toml"
    document = tomllib.loads(WHOLE)
    document["date"] = "2026-06-14"
    deep = st.sampled_from([b"a = " + b"[" * 100_000, b"a = 1" + b"0" * 5000, b"\xff\xfe", b"a" + b".a" * 50_000 + b" = 1"])

    def attempt(found):
        file.write_bytes(found if isinstance(found, bytes) else as_toml(found))
        survey = read_survey(tmp_path)
        assert len(set(survey.classes)) == len(survey.classes) >= 2
        assert survey.tiles.gsd_m is None or 0 < survey.tiles.gsd_m < 1000

    fuzz("survey.toml", changed(document) | damaged(WHOLE.encode()) | deep, attempt, examples=200)
