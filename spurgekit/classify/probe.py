"""The first recipe: features of a frozen backbone, and a logistic regression on them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import nn

from spurgekit.classify.preprocess import Preprocess
from spurgekit.errors import ModelError

C = 0.1
"""Inverse strength of the L2 penalty, on standardised features. Fixed, so that nothing is selected on the test side."""


@torch.inference_mode()
def extract_features(
    backbone: nn.Module, preprocess: Preprocess, batches: Iterable[NDArray[np.uint8]]
) -> Iterable[NDArray[np.float32]]:
    """Yield a backbone's features, batch by batch.

    Parameters
    ----------
    backbone : torch.nn.Module
        In evaluation mode (batch normalisation included), without a classifier.
    batches : iterable of ndarray of uint8, shape (n, bands, height, width)

    Yields
    ------
    ndarray of float32, shape (n, features)
    """
    for batch in batches:
        features = backbone(preprocess(batch)).float().cpu().numpy()
        if not np.isfinite(features).all():
            raise ModelError(
                "the backbone's features are not finite; its weights are damaged, or --image-size does not suit it"
            )
        yield features


def fit_head(features: NDArray[np.float32], targets: NDArray[np.int64], classes: int) -> nn.Linear:
    """Fit a logistic regression and return it as a linear layer whose softmax gives its probabilities.

    Features are standardised for the fit, and the standardisation is folded into the layer.

    Parameters
    ----------
    features : ndarray, shape (n, d)
    targets : ndarray of int, shape (n,)
        Class numbers; each class occurs.
    classes : int
    """
    scaler = StandardScaler().fit(features.astype(np.float64))
    fitted = LogisticRegression(C=C, max_iter=5000).fit(scaler.transform(features.astype(np.float64)), targets)
    weight, bias = fitted.coef_, fitted.intercept_
    if classes == 2:  # scikit-learn keeps the second class's logit alone; the first's is 0
        weight, bias = np.vstack([np.zeros_like(weight), weight]), np.concatenate([[0.0], bias])
    weight = weight / scaler.scale_
    bias = bias - weight @ scaler.mean_
    head = nn.Linear(weight.shape[1], classes)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weight))
        head.bias.copy_(torch.from_numpy(bias))
    return head
