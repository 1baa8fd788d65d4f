"""The model card: what the model is, where it was tested, what it should not be used for."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd

from spurgekit.classify.arms import parse_arm
from spurgekit.classify.metrics import METRICS
from spurgekit.classify.model_files import CARD, WEIGHTS
from spurgekit.classify.model_info import ModelInfo
from spurgekit.classify.scores import value_of
from spurgekit.text import counted, markdown

MOST_PLACES = 40
"""Places that the card lists one by one."""

REPOSITORY = "OWNER/NAME"
"""What stands on the card for the repository that the model has not been pushed to yet."""


def title_of(info: ModelInfo) -> str:
    """Return what the model is called on cards."""
    return f"{' / '.join(info.classes)} from drone tiles"


def write_card(folder: Path, info: ModelInfo, tested: pd.DataFrame, *, weights: str, base_model: str | None = None) -> None:
    """Write ``README.md`` of a model folder, with the YAML header that the Hugging Face Hub reads.

    Parameters
    ----------
    folder : pathlib.Path
    info : ModelInfo
    tested : pandas.DataFrame
        Test predictions: class, predicted, place and probabilities of each tile; the class of unclear tiles is empty.
    weights : str
        Where the backbone's weights were from.
    base_model : str, optional
        Their repository on the Hub.
    """
    title = title_of(info)
    unclear, tested = tested[tested["class"] == ""], tested[tested["class"] != ""]
    lines = ["---", _header(info, title, base_model), "---", ""]
    lines += [
        f"# {markdown(title)}",
        "",
        f"Arm `{info.arm}`: {parse_arm(info.arm).recipe.description}. The backbone is `{info.backbone}` (weights "
        f"{weights}). It looks at tiles of {info.tile_size_px} px{_on_the_ground(info)}, {_bands(info)}, resized to "
        f"{info.image_size_px} px; it learned from {_counts(info)}.",
        *_positions(info),
        "",
        "## Held-out test",
        "",
        f"Balanced accuracy {info.held_out.balanced_accuracy:.3f} on {len(tested)} tiles"
        + "".join(f", {METRICS[name].words} {value:.3f}" for name, value in info.held_out.metrics.items() if name in METRICS)
        + f". {info.held_out.split.describe()} The test side was looked at once.",
        "",
        "| true \\ predicted | " + " | ".join(map(markdown, info.classes)) + " |",
        "| --- |" + " ---: |" * len(info.classes),
        *(
            f"| {markdown(name)} | " + " | ".join(map(str, row)) + " |"
            for name, row in zip(info.classes, info.held_out.confusion_matrix, strict=True)
        ),
        "",
        *_cover(info),
        *_unclear(info, unclear),
        *_places(info, tested),
        "## Cover" if info.target == "cover" else "## Probabilities",
        "",
        _calibration(info),
        "",
        "![Reliability on the test tiles](reliability.png)",
        "",
        "## Limits",
        "",
        "- Tested on held-out places of the same survey only: another site, season, camera or height is another question.",
        "- Not for decisions about single plants: a tile is the smallest thing that it sees.",
        *(f"- {note[0].upper()}{markdown(note[1:].rstrip('.'))}." for note in info.notes),
        "- Not for other species than the classes above: what it does not know it calls by one of their names.",
        "",
        "## Use",
        "",
        "```sh",
        f"spurgekit map site.tif --model hf://{REPOSITORY}",
        "```",
        "",
        "maps a site; a folder that holds these files does in place of the address.",
        "",
        *_code(info),
        "",
    ]
    (folder / CARD).write_text("\n".join(lines), encoding="utf-8", newline="\n")


def _header(info: ModelInfo, title: str, base_model: str | None) -> str:
    """Return what the Hub reads, scores included."""
    from huggingface_hub import EvalResult, ModelCardData  # brings an HTTP client, which mapping does without

    scores = {"balanced_accuracy": info.held_out.balanced_accuracy, **info.held_out.metrics}
    results = [
        EvalResult(
            task_type="image-classification",
            dataset_type="imagefolder",
            dataset_name="places of the same survey that were held out",
            dataset_split="test",
            metric_type=name,
            metric_name=METRICS[name].words,
            metric_value=value,
        )
        for name, value in scores.items()
        if name in METRICS and math.isfinite(value)
    ]
    header = ModelCardData(
        base_model=base_model,
        library_name="timm" if info.positions is None else "spurgekit",
        pipeline_tag="image-segmentation" if info.head == "segmentation" else "image-classification",
        tags=["drone", "remote-sensing", "vegetation", "spurgekit"],
        metrics=[result.metric_type for result in results],
        model_name=title,
        eval_results=results,
    )
    return str(header)


def _on_the_ground(info: ModelInfo) -> str:
    return "" if info.gsd_m is None else f" = {info.tile_size_px * info.gsd_m:.2f} m at {100 * info.gsd_m:.2f} cm a pixel"


def _bands(info: ModelInfo) -> str:
    return f"{counted(info.bands, 'band')} of {info.dtype}"


def _counts(info: ModelInfo) -> str:
    return ", ".join(f"{count:,} of {markdown(name)}" for name, count in info.training_counts.items())


def _cover(info: ModelInfo) -> list[str]:
    """Return how well the cover of tiles was met."""
    if info.target != "cover":
        return []
    said = info.held_out.metrics
    plant = markdown(info.classes[1])
    return [
        f"It says how much of a tile is under {plant}: on all test tiles, unclear ones too, with a mean absolute error of "
        f"{said['cover_mae']:.3f}, a root mean square error of {said['cover_rmse']:.3f}, a bias of {said['cover_bias']:+.3f} "
        f"(R2 {said['cover_r2']:.2f}). A tile is taken for {plant} from a cover of {100 * (info.min_cover or 0):g} % on.",
        "",
    ]


def _unclear(info: ModelInfo, unclear: pd.DataFrame) -> list[str]:
    if unclear.empty:
        return []
    taken = int((unclear["predicted"] != info.classes[0]).sum())
    return [
        f"Among the test tiles lie {len(unclear):,} that hold some of a class and too little to be of it, which the test "
        f"leaves out: {taken:,} of them are not taken for {markdown(info.classes[0])}. Areas of maps allow for such ground.",
        "",
    ]


def _places(info: ModelInfo, tested: pd.DataFrame) -> list[str]:
    """Return a table of how the model did place by place."""
    names = sorted(set(tested["place"]), key=lambda name: (len(name), name))
    if not 1 < len(names) <= MOST_PLACES:
        return [f"The tiles are from {counted(len(names), 'place')}.", ""]
    recognised = " | ".join(f"{markdown(name)} recognised" for name in info.classes)
    lines = [f"| place | tiles | {recognised} | calibration error |", "| --- | ---: |" + " ---: |" * (len(info.classes) + 1)]
    for name in names:
        rows = tested[tested["place"] == name]
        cells = []
        for label in info.classes:
            mine = rows[rows["class"] == label]
            cells.append(f"{int((mine['predicted'] == label).sum())} of {len(mine)}" if len(mine) else "–")
        probabilities = rows[[f"p({label})" for label in info.classes]].to_numpy(np.float64)
        targets = rows["class"].map({label: number for number, label in enumerate(info.classes)}).to_numpy(np.int64)
        cells.append(f"{value_of('ece', probabilities, targets):.3f}")
        lines.append(f"| {markdown(name)} | {len(rows)} | " + " | ".join(cells) + " |")
    return [*lines, "", "Of a place with few tiles the calibration error is mostly chance, which makes it too high.", ""]


def _calibration(info: ModelInfo) -> str:
    shares = ", ".join(f"{markdown(name)} {share:.0%}" for name, share in info.prior.items())
    common = "equally common" if info.equal_prior else "as common as in training"
    suits = f"They suit ground where the classes are {common} ({shares}); `--prevalence` corrects for other ground."
    calibration = info.calibration
    if info.target == "cover":
        if calibration is None:
            return "Cover is as the training left it, not calibrated."
        held_out = f"{calibration.groups} places" if calibration.groups else "tiles"
        return (
            f"Cover is calibrated by a slope and an offset of its logit on {calibration.tiles:,} training tiles, {held_out} "
            f"held out in turn: mean error in ten bins {calibration.ece_before:.3f} before, {calibration.ece_after:.3f} after."
        )
    if calibration is None:
        return f"They are as the training left them, not calibrated. {suits}"
    held_out = f"{calibration.groups} places" if calibration.groups else "tiles"
    return (
        f"Calibrated by {calibration.method} scaling on {calibration.tiles:,} predictions of training tiles, {held_out} "
        f"held out in turn: expected calibration error {calibration.ece_before:.3f} before, {calibration.ece_after:.3f} "
        f"after. {suits}"
    )


def _positions(info: ModelInfo) -> list[str]:
    """Return how the head looks at the positions of a tile, if it does."""
    if info.positions is None:
        return []
    side = info.image_size_px // info.positions.stride_px
    head = f"it has linear logits of each of {side} x {side} positions ({info.positions.features:,} features of length 1)"
    fine = "`spurgekit map --resolution fine` draws cells of one position."
    if info.positions.sharpness is None:
        return [
            f"Its head is a segmentation head: {head}, learned from masks; a tile's cover is the mean of its positions. {fine}"
        ]
    return [
        f"Its head is a multiple-instance one: {head}, and pools them over the tile by (1/r) log mean exp(r z), "
        f"r = {info.positions.sharpness:g}. {fine} Labels said what tiles hold, not where: the probability of a tile is "
        "calibrated, that of a position is not."
    ]


def _code(info: ModelInfo) -> list[str]:
    """Return how the model is loaded with timm alone; of positions there is too much to do."""
    if info.positions is not None:
        return [
            f"`spurgekit model export hf://{REPOSITORY}` writes all that is done with a tile as one file for ONNX Runtime. "
            f"timm on its own cannot load the model, since it has no such head: `{WEIGHTS}` holds a `{info.backbone}` "
            "under `backbone.`, and the head under `head.`."
        ]
    white = " / 255" if info.dtype == "uint8" else ""
    shape = f"[n, {info.bands}, {info.image_size_px}, {info.image_size_px}]"
    own = ", whose own `model(x)` leaves out that features go to length 1 ahead of the classifier" if info.unit_features else ""
    lines = [
        f"With timm alone{own}:",
        "",
        "```python",
        "import timm",
        "import torch",
        "",
        f'model = timm.create_model("hf-hub:{REPOSITORY}", pretrained=True).eval()  # "local-dir:FOLDER" of a copy',
        'mean, std = (torch.tensor(model.pretrained_cfg[name]).view(1, -1, 1, 1) for name in ("mean", "std"))',
        f"x = (tiles{white} - mean) / std  # tiles as float32, {shape}",
    ]
    if info.unit_features:
        lines += [
            "features = model.forward_head(model.forward_features(x), pre_logits=True)",
            "logits = model.get_classifier()(torch.nn.functional.normalize(features, dim=1))",
        ]
    else:
        lines.append("logits = model(x)")
    said, column = ("probabilities", "") if info.target == "presence" else ("cover", "[:, 1]")
    lines += [f"{said} = (logits / {float(np.round(info.temperature, 6))}).softmax(dim=1){column}", "```"]
    if info.views == 8:
        lines += ["", "Test and maps are of the mean of logits over the 8 ways to turn and mirror a tile, which is better."]
    return lines
