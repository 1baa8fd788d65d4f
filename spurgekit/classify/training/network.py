"""A timm model as the recipes train it and as maps run it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import cast

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from spurgekit.classify.calibration import Vector, apply_vector
from spurgekit.classify.position_features import feature_maps, features_of_maps
from spurgekit.classify.position_head import PositionHead
from spurgekit.dihedral import turned_back, views_of
from spurgekit.errors import ModelError
from spurgekit.precision import autocast

Runner = Callable[[Iterable[Tensor]], list[tuple[Tensor, ...]]]
"""What runs a backbone elsewhere than torch: batches of images to what :meth:`Network.seen` returns of each, in their order."""


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

    def seen(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return what the backbone makes of images [n, bands, h, w], of which :meth:`described` makes their features."""
        return (self.model.forward_head(self.model.forward_features(images), pre_logits=True),)  # type: ignore[operator]

    def described(self, *seen: Tensor) -> Tensor:
        """Return features of what :meth:`seen` returns."""
        return nnf.normalize(seen[0].float(), dim=1) if self.unit_features else seen[0]

    def features(self, images: Tensor) -> Tensor:
        """Return what the classifier is shown: [n, features] of images [n, bands, h, w]."""
        return self.described(*self.seen(images))

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

    def rescale(self, vector: Vector) -> None:
        """Scale and shift the logits of each class."""
        apply_vector(self.classifier, *vector)

    def averaged(
        self, images: Tensor, views: int, *, features: bool = False, runner: Runner | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Return logits averaged over the first ``views`` views of images, [n, classes].

        And, where they are asked for, the features of images, averaged likewise: [n, features].
        """
        turned = views_of(images, range(views))
        if runner is None and not (features or self.unit_features):
            return torch.stack([self(view).float() for view in turned]).mean(dim=0), None
        logits, shown = [], []
        for seen in map(self.seen, turned) if runner is None else runner(turned):
            found = self.described(*seen).float()
            with autocast(images.device, None):  # of one layer nothing is saved, and bfloat16 knows logits to 0.4 % only
                logits.append(self.classifier(found))
            shown.append(found)
        return torch.stack(logits).mean(dim=0), torch.stack(shown).mean(dim=0) if features else None


class PositionModel(nn.Module):
    """A backbone and a head that says something of each position.

    Parameters
    ----------
    backbone : torch.nn.Module
        Of timm, without a classifier.
    head : PositionHead
    """

    def __init__(self, backbone: nn.Module, head: PositionHead) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head


class PositionNetwork(Network):
    """A network whose logits of a tile are pooled from those of its positions.

    Parameters
    ----------
    model : PositionModel
    """

    model: PositionModel

    def __init__(self, model: PositionModel) -> None:
        super().__init__(model, unit_features=True)

    def seen(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the feature maps of images [n, bands, h, w]."""
        return feature_maps(self.model.backbone, images)

    def described(self, *seen: Tensor) -> Tensor:
        """Return features of positions, [n, d, rows, columns], of what :meth:`seen` returns."""
        return features_of_maps(*seen)

    def position_logits(self, images: Tensor) -> Tensor:
        """Return logits [n, classes, rows, columns] of the positions of images, ahead of scaling and pooling."""
        logits: Tensor = self.model.head(self.features(images))
        return logits

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [n, classes] of images [n, bands, h, w]."""
        return self.model.head.pool(self.position_logits(images)[None])

    def averaged(
        self, images: Tensor, views: int, *, features: bool = False, runner: Runner | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Return logits of images as their first ``views`` views together have them, [n, classes]; features as any network."""
        logits, shown = self.of_positions(images, views, features=features, runner=runner)
        return self.model.head.pool(logits), shown

    def rescale(self, vector: Vector) -> None:
        """Scale and shift the logits of each class."""
        self.model.head.rescale(vector)

    def of_positions(
        self, images: Tensor, views: int, *, features: bool = False, runner: Runner | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Return logits of the positions of images, as each of the first ``views`` views has them, and the features of images.

        Returns
        -------
        logits : Tensor, shape (views, n, classes, rows, columns)
            Turned back, so that a position is the same ground in all views; ahead of scaling and pooling.
        features : Tensor, shape (n, features), or None
            The mean over positions and views; None where they were not asked for.
        """
        logits, shown = [], []
        turned = views_of(images, range(views))
        for view, seen in enumerate(map(self.seen, turned) if runner is None else runner(turned)):
            found = self.described(*seen)
            with autocast(images.device, None):
                logits.append(turned_back(self.model.head(found), view))
            if features:
                shown.append(found.mean(dim=(2, 3)))
        return torch.stack(logits), torch.stack(shown).mean(dim=0) if shown else None


def network_of(model: nn.Module, *, unit_features: bool) -> Network:
    """Return the network of a model, which says by its kind how it is looked at."""
    return PositionNetwork(model) if isinstance(model, PositionModel) else Network(model, unit_features=unit_features)
