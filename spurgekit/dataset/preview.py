"""``spurgekit preview``: contact sheets of whatever folder of tiles there is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from spurgekit.dataset.contact_sheet import COLUMNS, ROWS, choose_shown, draw_contact_sheet
from spurgekit.dataset.labels import as_text
from spurgekit.dataset.reader import SPLITS, class_folder, datasets_in, open_dataset
from spurgekit.dataset.sources import IMAGE, read_source
from spurgekit.imagery import slug
from spurgekit.outputs import output_folder


def preview_tiles(
    folder: str | Path, out: str | Path, *, rows: int = ROWS, columns: int = COLUMNS, overwrite: bool = False
) -> list[tuple[Path, int, int]]:
    """Draw a contact sheet for each class and split of a dataset, each class of a tiles folder or a folder of images.

    Where a dataset has masks, each sheet is drawn a second time, with their outlines.

    Parameters
    ----------
    folder : str or pathlib.Path
        Of a folder that holds several datasets, all of them.
    out : str or pathlib.Path
        Folder to make.
    rows, columns : int
        Tiles on a sheet, at most.
    overwrite : bool
        Replace a folder that spurgekit made before.

    Returns
    -------
    list of (path of the PNG, tiles shown, tiles there are)

    Raises
    ------
    InputError
        If the folder holds no tiles, or a mask is damaged.
    OutputExistsError
        If the folder to make is there already.
    """
    folder, drawn = Path(folder), []
    parameters = {"rows": rows, "columns": columns}
    with output_folder(out, "previews", parameters=parameters, inputs=[folder], overwrite=overwrite) as made:
        for name, title, paths, masks in _sheets(folder):
            shown = choose_shown(paths, rows * columns)
            draw_contact_sheet(
                [(f"{title}: {len(shown):,} of {len(paths):,}", paths)],
                made / f"{name}.png",
                rows=rows,
                columns=columns,
                named=True,
                masks=masks,
            )
            drawn.append((Path(out) / f"{name}.png", len(shown), len(paths)))
    return drawn


Sheet = tuple[str, str, list[Path], Mapping[Path, Path | None] | None]
"""Name of the file, title, images, and the masks that are drawn on them."""


def _sheets(folder: Path) -> list[Sheet]:
    sheets: list[Sheet] = []
    configs = datasets_in(folder)
    for config in configs:
        dataset = open_dataset(config)
        before = "" if config == Path(folder) else f"{config.name}_"
        for side in SPLITS:
            table = dataset.split(side)
            masks = dict(zip(table["path"], dataset.masks(table), strict=True)) if dataset.info.masks else None
            for number, label in enumerate(dataset.info.classes):
                paths = table["path"][table["target"] == number].tolist()
                name, title = f"{before}{side}_{class_folder(number, label)}", f"{before}{side}, {label}"
                sheets.append((name, title, paths, None))
                if masks is not None:
                    sheets.append((f"{name}_masks", f"{title}, masks", paths, masks))
    if configs:
        return sheets
    index = read_source(folder).index
    labels = as_text(index["label"]) if "label" in index else index["tile_id"].map(lambda _: None)
    sheets += [(slug(name), name, index[IMAGE][labels == name].tolist(), None) for name in sorted(set(labels.dropna()))]
    if labels.isna().any():
        sheets.append(("without-label", "without a label", index[IMAGE][labels.isna()].tolist(), None))
    return sheets
