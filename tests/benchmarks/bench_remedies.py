"""What might mend generated tiles, on those that ``bench_study`` made: each remedy and none, on the same support sets.

    SPURGEKIT_DATA=../shared/data python -m tests.benchmarks.bench_remedies OUT [--sets simulated] [--backbones mobilenet,lite0]
        [--tiles roundtrip,real-guidance,da-fusion] [--mixings 0.1,0.3,0.5] [--round-trips 128,256,384]

``OUT`` is that of ``bench_study``. All are the recipe ``probe``; differences are from it without generated tiles. *Confident*
gives those no weight that the probe of the real tiles does not take for their class, *weighted* less weight to those that it
doubts (as ``spurgekit weigh`` does). *Centred* takes what all images of a tile have in common for the generator's own mark, and
moves their mean back to the tile, so that but their spread is left. *Directions* learns nothing from images: that in which they
differ from their tile means nothing, as turns do, and is shrunk with turns. *Detail* adds to an image what encoder and decoder
lose of its tile (the tile less its round trip), so that a weak edit is the tile but for what was edited. With ``--round-trips``
it is only described what TAESD leaves of tiles that it sees in so many pixels a side.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from diffusers import AutoencoderTiny

from spurgekit.augment.manifest import MANIFEST, labels, read_manifest
from spurgekit.classify.arms import parse_arm
from spurgekit.classify.backbone_options import BackboneOptions
from spurgekit.classify.features import FeatureStore, unit
from spurgekit.classify.probe_samples import ProbeUnit, SupportSet, probe_unit, tile_features
from spurgekit.classify.recipes import calibrated_probabilities, left_out_logits
from spurgekit.classify.setup import set_up
from spurgekit.classify.synthetic_weights import confidence_of
from spurgekit.classify.tile_reader import read_tile
from spurgekit.classify.training_tiles import ExtraTiles
from spurgekit.classify.turns import TILES, ShrunkTurns
from spurgekit.classify.weigh_options import WeighOptions
from spurgekit.dataset import open_dataset
from spurgekit.dataset.folds import held_out_split
from spurgekit.dihedral import VIEWS
from spurgekit.evaluate.bootstrap import resample
from spurgekit.evaluate.intervals import paired_differences, summarise
from spurgekit.evaluate.predictions import pair_predictions
from spurgekit.study.made_tiles import describe_made_tiles
from spurgekit.tiles.png import encode_png
from tests.benchmarks.bench_arms import HALF, IMAGE_PX
from tests.benchmarks.bench_shift import BACKBONES, DATA
from tests.benchmarks.bench_study import show

PROBE = parse_arm("probe")
WEIGHED = {"confident": WeighOptions(keep="confident"), "weighted": WeighOptions(keep="weighted")}
DETAIL = "-detail"
REMEDIES = ("none", *WEIGHED, "centred")


def centred(found: ProbeUnit, extra: pd.DataFrame, support: SupportSet) -> ProbeUnit:
    """Return the unit with the mean of the images of each tile where that tile is."""
    features = found.samples.features.copy()
    first = len(features) - len(extra)
    for row, tile in enumerate(support.tiles["tile_id"]):
        own = first + np.flatnonzero(extra["owner"] == tile)
        features[own] += found.tiles[row] - features[own].mean(axis=0) if len(own) else 0
    return replace(found, samples=replace(found.samples, features=features))


def shrunk_directions(store: FeatureStore, support: SupportSet, alone: ProbeUnit, train: pd.DataFrame) -> dict[str, ProbeUnit]:
    """Return the unit of the real tiles alone, with what sets images apart from their tile shrunk as turns are.

    Of turns as many are taken as a tile has images, and one; ``the same turns alone`` are the control for that.
    """
    features = tile_features(store, support.extra, PROBE.recipe)
    count = int(support.extra["owner"].value_counts().min())
    edits = np.stack([
        np.concatenate([alone.tiles[row : row + 1], features[(support.extra["owner"] == tile).to_numpy()][:count]])
        for row, tile in enumerate(support.tiles["tile_id"])
    ])  # fmt: skip
    turns = unit(store.views(train.sort_values("tile_id").iloc[:: max(1, len(train) // TILES)][:TILES], range(VIEWS)))
    turned = turns[:, : count + 1] if count < VIEWS else turns
    both = np.concatenate([turned, np.repeat(edits, max(1, len(turned) // len(edits)), axis=0)])
    shrunk = {"directions": both, "the same turns alone": turned}
    return {way: replace(alone, turns=ShrunkTurns.of(views)) for way, views in shrunk.items()}


def with_detail(folder: Path, round_trip: Path, sources: pd.Series, classes: tuple[str, ...]) -> Path:
    """Write a folder of images that have what their tile lost on its round trip; return it."""
    out = folder.with_name(f"{folder.name}{DETAIL}")
    if (out / MANIFEST).is_file():
        return out
    back = read_manifest(round_trip, classes).drop_duplicates("tile_id").set_index("tile_id")["path"]
    for row in read_manifest(folder, classes).itertuples():
        source, lost, edit = (read_tile(path).astype(np.int16) for path in (sources[row.tile_id], back[row.tile_id], row.path))
        kept = np.clip(edit + source - lost, 0, 255).astype(np.uint8)
        file = out / str(row.file_name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encode_png(kept.transpose(1, 2, 0)))
    shutil.copy(folder / MANIFEST, out / MANIFEST)
    return out


def round_trip_at(size_px: int, folder: Path, sources: pd.Series, classes: tuple[str, ...]) -> Path:
    """Write what TAESD leaves of tiles that are resized to so many pixels, and back; return the folder."""
    out = folder.with_name(f"{folder.name}-{size_px}")
    if (out / MANIFEST).is_file():
        return out
    vae = AutoencoderTiny.from_pretrained(DATA / "weights" / "taesd").eval()
    for tile_id, rows in read_manifest(folder, classes).groupby("tile_id"):
        tile = read_tile(sources[tile_id]).transpose(1, 2, 0)
        larger = cv2.INTER_CUBIC if size_px >= len(tile) else cv2.INTER_AREA
        shown = torch.from_numpy(
            cv2.resize(tile, (size_px, size_px), interpolation=larger).transpose(2, 0, 1).astype(np.float32)
        )
        with torch.inference_mode():
            back = vae.decode(vae.encode(shown[None] / 127.5 - 1).latents).sample[0]
        pixels = ((back.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
        encoded = encode_png(cv2.resize(pixels, tile.shape[1::-1], interpolation=cv2.INTER_AREA))
        for file_name in rows["file_name"]:
            file = out / str(file_name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(encoded)
    shutil.copy(folder / MANIFEST, out / MANIFEST)
    return out


def options_of(backbone: str) -> BackboneOptions:
    """Return how tiles are looked at."""
    timm_name, arguments = BACKBONES[backbone]
    return BackboneOptions(
        backbone=timm_name, backbone_options=arguments, weights=DATA / "weights" / timm_name, image_size_px=IMAGE_PX,
        mean=HALF, std=HALF,
    )  # fmt: skip


def describe_round_trips(name: str, backbone: str, out: Path, sizes: list[int]) -> None:
    """Print what tiles are like after round trips in several sizes."""
    data = open_dataset(out / name / "dataset")
    sources = data.split("train").set_index("tile_id")["path"]
    folder = out / name / "study" / "roundtrip"
    folders = {f"{size} px": round_trip_at(size, folder, sources, data.info.classes) for size in sizes}
    (fold,) = held_out_split(data, [1], 1)
    print(f"\n{name}, {backbone}")
    print(
        describe_made_tiles(set_up(options_of(backbone), fold.train), folders, [fold], data.info.classes).to_string(index=False)
    )


def predictions(name: str, backbone: str, out: Path, tiles: list[str], mixings: list[float]) -> Iterator[pd.DataFrame]:
    """Yield what each way says of the test tiles, for each support set."""
    data = open_dataset(out / name / "dataset")
    study, classes = out / name / "study", data.info.classes
    folders = {each: study / each for each in tiles}
    sources = data.split("train").set_index("tile_id")["path"]
    for each in [one for one in tiles if one not in ("roundtrip", "copy-paste", "insertion")]:
        folders[f"{each}{DETAIL}"] = with_detail(study / each, study / "roundtrip", sources, classes)
    given = ExtraTiles.open(data, folders, None)
    made = pd.concat(list(given.synthetic.values()))[["trial", "n"]].drop_duplicates().sort_values(["n", "trial"])
    sets = [(int(n), int(trial)) for n, trial in zip(made["n"], made["trial"], strict=True)]
    own = {each: set(zip(rows["n"], rows["trial"], strict=True)) for each, rows in given.synthetic.items()}
    (fold,) = held_out_split(data, sorted({n for n, _ in sets}), 1 + max(trial for _, trial in sets))
    setup = set_up(options_of(backbone), fold.train)
    made_tiles = describe_made_tiles(setup, folders, [fold], classes)
    print(made_tiles.to_string(index=False, float_format="%.3f"), flush=True)
    store = setup.store()
    asked = tile_features(store, fold.test, PROBE.recipe)

    def told(way: str, n: int, trial: int, found: ProbeUnit) -> pd.DataFrame:
        probe = found.fit()
        held_out = left_out_logits(probe, found.targets, found.groups)
        p = calibrated_probabilities(probe.logits(asked), held_out, "temperature")
        rows = pd.DataFrame({"tile_id": fold.test["tile_id"], "place": fold.test["group"], "target": fold.test["target"]})
        return rows.assign(arm=way, n=n, trial=trial, fold=fold.name, **{f"p{i}": column for i, column in enumerate(p.T)})

    for n, trial in sets:
        alone = probe_unit(store, given.gather(store, fold.support(n, trial), PROBE, fold=fold, n=n, trial=trial), PROBE)
        yield told("probe", n, trial, alone)
        judge = alone.fit()
        for each in [one for one in folders if (n, trial) in own[one]]:
            arm = parse_arm(f"probe+synthetic:{each}")
            support = given.gather(store, fold.support(n, trial), arm, fold=fold, n=n, trial=trial)
            for way, found in shrunk_directions(store, support, alone, fold.train).items():
                yield told(f"{each}, {way}", n, trial, found)
            seen = tile_features(store, support.extra, PROBE.recipe)
            agreed, _ = confidence_of(judge, support, seen, labels(support.extra, support.classes))
            for mixing in mixings:
                for remedy in REMEDIES:
                    extra = support.extra
                    if remedy in WEIGHED:
                        extra = extra.assign(weight=extra["weight"] * WEIGHED[remedy].factors(agreed))
                    found = probe_unit(store, replace(support, extra=extra, mixing=mixing), arm)
                    if remedy == "centred":
                        found = centred(found, extra, support)
                    yield told(f"{each}, {remedy}, {mixing:g}", n, trial, found)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--sets", default="simulated")
    parser.add_argument("--backbones", default="mobilenet,lite0")
    parser.add_argument("--tiles", default="roundtrip,real-guidance,da-fusion")
    parser.add_argument("--mixings", default="0.1,0.3,0.5")
    parser.add_argument("--round-trips", help="sizes in pixels; nothing else is done")
    chosen = parser.parse_args()
    if chosen.round_trips:
        for name in chosen.sets.split(","):
            for backbone in chosen.backbones.split(","):
                describe_round_trips(name, backbone, chosen.out, [int(size) for size in chosen.round_trips.split(",")])
        return
    tiles, mixings = chosen.tiles.split(","), [float(one) for one in chosen.mixings.split(",")]
    print("| data | way | balanced accuracy | less the probe without |\n| --- | --- | --- | --- |")
    for name in chosen.sets.split(","):
        for backbone in chosen.backbones.split(","):
            found = pd.concat(predictions(name, backbone, chosen.out, tiles, mixings), ignore_index=True)
            classes = open_dataset(chosen.out / name / "dataset").info.classes
            shots = found.groupby("arm", sort=False)["n"].agg(lambda n: tuple(sorted(set(n))))
            for numbers in dict.fromkeys(shots):  # tiles of some numbers of shots alone are compared on those
                arms = ["probe", *(arm for arm, own in shots.items() if own == numbers and arm != "probe")]
                bootstrap = resample(pair_predictions(found[found["arm"].isin(arms) & found["n"].isin(numbers)], classes))
                title = f"{name}, {backbone}, n = {' '.join(map(str, numbers))}"
                show(title, "probe", summarise(bootstrap), paired_differences(bootstrap, "probe"))


if __name__ == "__main__":
    main()
