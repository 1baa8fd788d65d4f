"""Arrays whose every pixel tells where it lies, and tiles read back as arrays."""

import cv2
import numpy as np
import rasterio


def ramp(bands, height, width):
    """uint8 pixels that differ from their neighbours in every direction and band, and are never 0."""
    band, row, col = np.mgrid[:bands, :height, :width]
    return ((101 * band + 17 * row + 5 * col) % 255 + 1).astype(np.uint8)


def read_tile(path):
    """Pixels [bands, h, w] of a tile."""
    if path.suffix == ".tif":
        with rasterio.open(path) as file:
            return file.read()
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return image[None] if image.ndim == 2 else np.moveaxis(image[..., ::-1], -1, 0)


def cut_out(array, window):
    """A window of an array [bands, h, w], with 0 where it reaches outside."""
    height, width = array.shape[1:]
    padded = np.zeros((len(array), height + 2 * window.height, width + 2 * window.width), array.dtype)
    padded[:, window.height : window.height + height, window.width : window.width + width] = array
    rows, cols = window.shifted(window.width, window.height).slices
    return padded[:, rows, cols]
