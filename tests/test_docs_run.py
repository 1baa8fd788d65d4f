"""What README and the how-to pages show is typed, line by line, on small sites, each line after the one before.

Options are added that make a site, a network or a number of runs small; ``NOT_HERE`` has what needs the Hub, a GPU or a person.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
from PIL import Image
from rasterio.windows import Window
from shapely import Point, box

from tests.chain import BACKBONE
from tests.command import succeed
from tests.conftest import CORNER
from tests.export.conftest import make_map
from tests.export.places import decide, fill_in, make_check, make_tiles
from tests.test_docs import blocks, commands
from tests.tiles import ramp

NOT_HERE = {
    "dataset push": "the Hub",
    "dataset fetch": "the Hub",
    "model push": "the Hub",
    "model info hf:": "the Hub",
    "map site.tif --model hf:": "the Hub",
    "map drone-lsr": "the Hub",
    "review tiles": "a person, until it is stopped",
    "review dataset": "a person, until it is stopped",
    "review checks": "a person, until it is stopped",
    "map site.tif --model models/probe --views 1 --device cuda": "a GPU",
    "evaluate": "minutes",
    "train dataset --arm lora": "minutes, and a network with attention",
    "model export": "a minute",
}
"""Beginnings of lines that are not run, and what they need."""

SMALLER = {
    "tile": ["--size", "60"],
    "simulate": ["--gsd", "0.04", "--weed-share", "0.1"],
    "train": ["--backbone", BACKBONE, "--no-pretrained", "--image-size", "32"],
    "map": ["--views", "1"],
}
"""Options that make a line quick, where it does not say them itself."""


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """Return a simulated survey: nine plots between crosses, 48 m across, 4 cm a pixel."""
    folder = tmp_path_factory.mktemp("survey") / "survey"
    succeed("simulate", folder, *SMALLER["simulate"])
    return folder


def type_page(page: str, before: Callable[[str], object] = str) -> None:
    """Run the lines of a page in the working folder, which is the page's own; something may be done before each."""
    for code in blocks(page, "", "bash", "sh"):
        for words in commands(code):
            line = " ".join(words)
            if any(line.startswith(start) for start in NOT_HERE) and "--report" not in words:
                continue
            before(line)
            name, replaces = words[0], words[0] not in ("info", "dataset", "model", "review", "preview")
            more = [] if set(SMALLER.get(name, [""])[::2]) & set(words) else SMALLER.get(name, [])
            succeed(*words, *more, *(["--overwrite"] if replaces else []))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def bring(survey: Path, *names: str) -> None:
    for name in names:
        shutil.copy(survey / name, name)


def test_the_first_lines(survey, here):
    bring(survey, "site.tif", "weed.gpkg")

    def map_two_years(line: str) -> None:
        for year in ("2025", "2026") if line.startswith("change") else ():
            shutil.copytree("maps/site", f"maps/{year}")

    type_page("README.md", before=map_two_years)
    assert Path("maps/site/presence.tif").is_file()
    shown, again = (
        [words for code in blocks(page, "", "bash") for words in commands(code)] for page in ("README.md", "docs/index.md")
    )
    assert shown == again


def test_points(here, make_tif):
    make_tif(here / "site.tif", ramp(3, 2200, 2200), gsd=0.03)
    rng = np.random.default_rng(0)
    near, far = (rng.uniform(-1, 1, (24, 2)) + middle for middle in ((16, 16), (49, 49)))
    x, y = np.vstack([near, far]).T
    points = gpd.GeoDataFrame(
        {"label": ["absent", "present"] * 24, "cluster": [0, 3, 6] * 8 + [1, 2, 4] * 8},
        geometry=gpd.points_from_xy(CORNER[0] + x, CORNER[1] - y),
        crs="EPSG:32612",
    )
    points.loc[len(points)] = ["present", 1, Point(CORNER[0] + 20, CORNER[1] - 24)]  # its context alone touches a test tile's
    points.to_file("points.gpkg")
    type_page("docs/how-to/points.md")
    counts = {name: pd.read_csv(f"dataset/{name}/train/metadata.csv")["cluster"].size for name in ("crop", "context")}
    assert counts == {"crop": 25, "context": 24}


def test_datasets(here, survey):
    bring(survey, "site.tif", "weed.gpkg", "weed.tif", "survey.toml")
    succeed("tile", "--size", 40, "--quarters", "grid")
    index = gpd.read_parquet("tiles/tiles.parquet")
    index.assign(spurge=np.resize(["yes", "no"], len(index))).to_parquet("tiles/tiles.parquet")
    plots = sorted(index["plot"].unique())
    pd.DataFrame({"plot": plots, "label": ["yes", "no", "yes"] * 3}).to_csv("record.csv", index=False)
    names = ("no spurge", "leafy spurge")
    for year, metres in (("2025", 0), ("2026", 1000)):  # another site in another year, a kilometre to the east
        shutil.copytree("tiles", f"{year}/tiles")
        Path(year, "survey.toml").write_text(f'schema_version = 1\nname = "{year}"\nclasses = {list(names)}\n')
        table = index.assign(site=f"site-{year}", label=np.resize(names, len(index)))
        table.set_geometry(table.translate(metres)).to_parquet(f"{year}/tiles/tiles.parquet")
    for number, name in enumerate(["sand", "weed"] * 6):
        Path("photos", name).mkdir(parents=True, exist_ok=True)
        pixels = np.full((8, 8, 3), 10 + number, np.uint8)
        Image.fromarray(pixels).save(f"photos/{name}/IMG_{number // 4}_{number}.png")
        folder = Path("pascal", "train" if number < 8 else "test", name)
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (60 - number, 40 + number), (number, 90, 90)).save(folder / f"{number}.jpg")
    type_page("docs/how-to/datasets.md")
    assert Path("dataset/train").is_dir()


def test_plots(here, survey):
    bring(survey, "plots.gpkg")
    plots = gpd.read_file("plots.gpkg")
    corners = [
        {"plot": plot, "corner": name, "longitude": x, "latitude": y}
        for plot, shape in zip(plots["plot"], plots.to_crs("EPSG:4326").geometry, strict=True)
        for name, (x, y) in zip(("NW", "NE", "SE", "SW"), shape.exterior.coords, strict=False)
    ]
    pd.DataFrame(corners).to_csv("corners.csv", index=False)
    pd.DataFrame({"plot": plots["plot"], "present": "yes"}).to_csv("plots.csv", index=False)
    row = ["--plot-rows", 1, "--plot-columns", 5, "--gap", 2, "--family", "checker", "--marker-size", 0.6]
    succeed("simulate", "row", "--gsd", 0.04, "--weed-share", 0.02, *row)
    succeed("simulate", "frame", "--frame", "--frame-px", 1400, "--weed-share", 0.02)
    shutil.copy("frame/site.jpg", "DJI_0042.JPG")
    Image.new("RGB", (400, 300), "tan").save("scan.jpg")
    Image.new("RGB", (400, 300), "tan").save("photo.jpg")
    Path("photo.jgw").write_text("2e-7\n0\n0\n-2e-7\n-111.5\n45.1\n")  # as drones' makers write it, in degrees
    succeed("markers", "DJI_0042.JPG", "--gcp", "frame/markers.gpkg", "--out", "gcp_list.txt")

    def before(line: str) -> None:
        shutil.copy("row/site.tif" if "checker" in line else survey / "site.tif", "site.tif")
        if line == "tile":
            os.chdir("practice")

    type_page("docs/how-to/plots.md", before)
    assert Path("dataset/train").is_dir()


def test_maps_and_models(here, survey):
    bring(survey, "site.tif", "weed.gpkg", "survey.toml")
    succeed("tile", "--layout", "grid", "--size", 96)
    succeed("build-dataset")
    index = gpd.read_parquet("dataset/tiles.parquet").query("valid_fraction == 1").groupby("class").head(3)
    index.set_geometry(index.centroid)[["class", "geometry"]].to_file("known.gpkg")
    west, south, east, north = gpd.read_parquet("dataset/tiles.parquet").total_bounds
    ranch = gpd.GeoSeries([box(west, south, (west + east) / 2, north)], crs=index.crs)
    ranch.to_file("ranch.gpkg")
    ranch.to_frame("geometry").assign(name="north").to_file("paddocks.gpkg")
    with rasterio.open("site.tif") as file:
        profile, middle = file.profile, file.width // 2
        for name, window in (
            ("part1.tif", Window(0, 0, middle, file.height)),
            ("part2.tif", Window(middle, 0, file.width - middle, file.height)),
        ):
            profile.update(width=window.width, transform=file.window_transform(window))
            with rasterio.open(name, "w", **profile) as part:
                part.write(file.read(window=window))
    type_page("docs/how-to/train.md")
    type_page("docs/how-to/maps.md")
    type_page("docs/how-to/review.md")
    assert Path("maps/site/presence.tif").is_file()


def map_by_polygons(survey):
    """Map a site by a model of its own tiles, labelled by the polygons of its weed."""
    bring(survey, "site.tif", "weed.gpkg")
    succeed("tile", "--layout", "grid", "--size", 64, "site.tif")
    succeed("build-dataset", "tiles", "--labels", "weed.gpkg")
    succeed("train", "dataset", *SMALLER["train"])
    succeed("map", "site.tif", "--model", "models/probe", "--views", 1)


def test_a_next_survey(here, survey):
    map_by_polygons(survey)

    def before(line: str) -> None:
        if line.startswith("build-dataset"):  # what the botanists would have filled in
            table = pd.read_csv("next-surveys/site/points.csv")
            table.assign(label=np.resize(["no", "yes"], len(table))).to_csv("next-surveys/site/points.csv", index=False)

    type_page("docs/how-to/next-survey.md", before)
    assert len(pd.read_csv("next-surveys/gate/points.csv")) < 40
    assert Path("looked-at/train").is_dir()


def test_a_check(here, survey):
    map_by_polygons(survey)

    def before(line: str) -> None:
        if line == "check checks/site":  # what the review would have labelled
            table = pd.read_csv("checks/site/cells.csv")
            table["label"] = np.resize(["no", "no", "yes"], len(table))
            table.to_csv("filled.csv", index=False)
            table[:-3].to_csv("half.csv", index=False)
            table.to_csv("checks/site/cells.csv", index=False)

    type_page("docs/how-to/check.md", before)
    assert Path("checks/site/accuracy.json").is_file()


def test_an_export(here):
    make_map(here / "maps" / "site")
    make_check(here / "checks" / "site", {(0, 0): "leafy spurge"}, map_folder=here / "maps" / "site")
    decide(make_tiles(here / "tiles", [(10, 0, 2)]), "t0", "leafy spurge")
    Path("survey.toml").write_text(
        'schema_version = 1\nname = "dunes"\ndate = 2026-06-14\nclasses = ["bare", "leafy spurge", "sumac"]\n[record]\n'
        'observer = "Ada Field"\ncountry = "United States"\nstate = "Montana"\n[record.taxa."leafy spurge"]\n'
        'scientific_name = "Euphorbia virgata"\n[record.taxa.sumac]\nscientific_name = "Rhus glabra"\n'
    )

    def before(line: str) -> None:
        if "crew.csv" in line:  # what the crew would have filled in
            shutil.copy("exports/site/crew/patches.csv", "crew.csv")
            fill_in(Path("crew.csv"), {"P001": "leafy spurge"})

    type_page("docs/how-to/export.md", before)
    assert Path("exports/site/records/darwin-core.zip").is_file()
    assert Path("exports/site/crew/patches.gpx").is_file()
    assert Path("rx/prescription.zip").is_file()


def test_what_is_not_run_is_shown_somewhere():
    lines = [
        " ".join(words)
        for page in ["README.md", *map(str, sorted(Path("docs").glob("how-to/*.md")))]
        for code in blocks(page, "", "bash", "sh")
        for words in commands(code)
    ]
    assert [start for start in NOT_HERE if not any(line.startswith(start) for line in lines)] == []
