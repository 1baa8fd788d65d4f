"""Ground is resampled alike, whichever part of the image is read, and whether or not the rest of it is in the file."""

import numpy as np
import pytest
from affine import Affine

from spurgekit.imagery import Window, open_raster

SITE = Affine(0.01, 0, 500_000.37, 0, -0.01, 5_000_000.81)
LEFT, TOP = 96, 64


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("gsd_m", [0.005, 0.02, 0.04])
def test_a_crop_is_read_as_that_part_of_the_image(tmp_path, make_tif, gsd_m, turned):
    """Means of four bytes are as often half as not: they are rounded the same way."""
    grid = SITE @ Affine.rotation(30) if turned else SITE
    pixels = np.random.default_rng(0).integers(1, 256, (3, 320, 320)).astype(np.uint8)
    site = make_tif(tmp_path / "site.tif", pixels, transform=grid)
    crop = make_tif(tmp_path / "crop.tif", pixels[:, TOP:224, LEFT:288], transform=grid @ Affine.translation(LEFT, TOP))
    with open_raster(site, gsd_m=gsd_m) as whole, open_raster(crop, gsd_m=gsd_m) as part:
        rim = 6  # where a cubic sees beyond the crop
        window = Window(rim, rim, part.grid.width - 2 * rim, part.grid.height - 2 * rim)
        left, top = round(LEFT * 0.01 / gsd_m), round(TOP * 0.01 / gsd_m)
        np.testing.assert_array_equal(part.read(window)[0], whole.read(window.shifted(left, top))[0])
        assert part.grid.transform.almost_equals(whole.grid.crop(Window(left, top, 1, 1)).transform, 1e-6)
