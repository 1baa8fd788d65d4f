"""Looks at a backbone in training: sheets of what it paints, and how far that is from held-out tiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from spurgekit.diffusion.image_tensors import Picture
from spurgekit.diffusion.latent_model import Backbone
from spurgekit.diffusion.pretraining.sampling import CELL_PX, STEPS, paint, round_trip, sheet_rows, shown
from spurgekit.imagery.sheet import Group, draw_groups
from spurgekit.outputs import output_file
from spurgekit.pretrain.backbone_card import COPIES, SHEET
from spurgekit.pretrain.fidelity import Copies
from spurgekit.pretrain.ground_sources import SurveyGround, whole_tiles
from spurgekit.pretrain.judge import MOST_HELD_OUT, MOST_TRAINING, FeatureSpace, Judge, can_judge, chosen, record_of
from spurgekit.pretrain.pretrain_options import PretrainOptions
from spurgekit.progress import Progress, silent
from spurgekit.seeds import seed_of

SHEETS = "validation"
COLUMNS = 8
PAINTED_ROWS = 2
"""Of tiles from noise alone."""


class Looking:
    """Looks at a backbone; it is called with the model and the steps done.

    Parameters
    ----------
    folder : pathlib.Path
        Gets ``validation/step-00001000.png`` for each look, and at the end ``sheet.png`` and ``nearest.png``.
    backbone : Backbone
    ground : SurveyGround
    options : PretrainOptions
    prompts : sequence of str
        Of the tiles that are painted, as many as are compared.
    dtype : torch.dtype or None
        That products are made in.
    report : callable
        Told what was found.
    progress : Progress

    Attributes
    ----------
    passes : int
        Passes through the UNet that a painted tile takes.
    judged_by : str or None
        Network that judges; None: nothing does.
    """

    passes = STEPS

    def __init__(
        self,
        folder: Path,
        backbone: Backbone,
        ground: SurveyGround,
        options: PretrainOptions,
        prompts: Sequence[str],
        dtype: torch.dtype | None,
        report: Callable[[dict[str, Any]], None] = lambda _: None,
        progress: Progress = silent,
    ) -> None:
        self.folder, self.backbone, self.options = folder, backbone, options
        self.prompts, self.dtype, self.report = list(prompts), dtype, report
        self.tile_px = ground.tile_px
        self._seeds = [seed_of(options.seed, "painted", number) for number in range(len(prompts))]
        training = chosen(whole_tiles(ground.training, ground.tile_px), MOST_TRAINING, options.seed, "training")
        held_out = chosen(whole_tiles(ground.held_out, ground.tile_px), MOST_HELD_OUT, options.seed, "held out")
        self._title = "real tiles, held out" if held_out else "real tiles of the training"
        self._shown = chosen(held_out or training, COLUMNS, options.seed, "shown")
        self._training = training
        self._judge: Judge | None = None
        self._found: tuple[list[Picture], Copies] | None = None
        if held_out and can_judge(options) is None:
            space = FeatureSpace(options, backbone.device)
            self._judge = Judge(space, held_out, training, round_trip(backbone, held_out, dtype=dtype), progress)

    @property
    def judged_by(self) -> str | None:
        """Network that judges; None: nothing does."""
        return None if self._judge is None else self._judge.space.name

    def references(self) -> dict[str, dict[str, Any]]:
        """Return how far real tiles are from held-out ones."""
        return {} if self._judge is None else {name: asdict(one) for name, one in self._judge.references().items()}

    def __call__(self, backbone: Backbone, done: int) -> dict[str, Any]:
        """Draw a sheet, compare what is painted with held-out tiles, and return what was found."""
        rows = sheet_rows(
            backbone,
            self._shown,
            self.prompts[: PAINTED_ROWS * COLUMNS],
            self._seeds[: PAINTED_ROWS * COLUMNS],
            title=self._title,
            dtype=self.dtype,
        )
        self._write(rows, self.folder / SHEETS / f"step-{done:08d}.png")
        found: dict[str, Any] = {"step": done}
        if self._judge is not None:
            painted = paint(backbone, self.prompts, self._seeds, self.tile_px, dtype=self.dtype)
            judged, copies = self._judge(painted)
            self._found = painted, copies
            found |= record_of(judged, copies)
        self.report(found)
        return found

    def finish(self) -> None:
        """Draw what the folder shows of the model in it: the last sheet, and the painted tiles that are most like copies."""
        rows = sheet_rows(
            self.backbone,
            self._shown,
            self.prompts[: 2 * PAINTED_ROWS * COLUMNS],
            self._seeds[: 2 * PAINTED_ROWS * COLUMNS],
            title=self._title,
            dtype=self.dtype,
        )
        self._write(rows, self.folder / SHEET)
        if self._judge is None:
            return
        if self._found is None:  # a run that was stopped after its last look
            painted = paint(self.backbone, self.prompts, self._seeds, self.tile_px, dtype=self.dtype)
            self._found = painted, self._judge(painted)[1]
        painted, copies = self._found
        pairs = [(painted[row], self._training[nearest]) for row, nearest in copies.nearest]
        self._write(
            [
                Group("painted, nearest to a tile of the training", [shown(one) for one, _ in pairs]),
                Group("that tile", [shown(one) for _, one in pairs]),
            ],
            self.folder / COPIES,
        )

    def _write(self, rows: Sequence[Group], path: Path) -> None:
        with output_file(path) as partial:
            draw_groups(rows, CELL_PX, COLUMNS).save(partial)
