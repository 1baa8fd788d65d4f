"""A timm model as the recipes train it and as maps run it."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from spurgekit.dihedral import views_of
from spurgekit.errors import ModelError


class Network(nn.Module):
    """A timm model whose features may be scaled to length 1 ahead of its classifier.

    The state of ``model`` is plain timm's, so that timm alone can load it again.

    Parameters
    ----------
    model : torch.nn.Module
        Of timm, with one linear classifier.
    unit_features : bool
    """

    def __init__(self, model: nn.Module, *, unit_features: bool = False) -> None:
        super().__init__()
        self.model = model
        self.unit_features = unit_features

    def features(self, images: Tensor) -> Tensor:
        """Return what the classifier is shown: [n, features] of images [n, bands, h, w]."""
        features: Tensor = self.model.forward_head(self.model.forward_features(images), pre_logits=True)  # type: ignore[operator]
        return nnf.normalize(features.float(), dim=1) if self.unit_features else features

    @property
    def classifier(self) -> nn.Linear:
        """The linear layer from features to logits."""
        found = self.model.get_classifier()  # type: ignore[operator]
        if not isinstance(found, nn.Linear):
            raise ModelError(f"a {type(self.model).__name__} has no single linear classifier; pass another `backbone`")
        return found

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [n, classes] of images [n, bands, h, w]."""
        if not self.unit_features:
            return cast(Tensor, self.model(images))
        return cast(Tensor, self.classifier(self.features(images)))

    def averaged(self, images: Tensor, views: int, *, features: bool = False) -> tuple[Tensor, Tensor | None]:
        """Return logits averaged over the first ``views`` views of images, [n, classes].

        And, where they are asked for, the features of images, averaged likewise: [n, features].
        """
        logits, seen = [], []
        for view in views_of(images, range(views)):
            if features:
                seen.append(self.features(view).float())
                logits.append(self.classifier(seen[-1]).float())
            else:
                logits.append(self(view).float())
        return torch.stack(logits).mean(dim=0), torch.stack(seen).mean(dim=0) if seen else None
