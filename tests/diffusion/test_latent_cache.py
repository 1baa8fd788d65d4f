import numpy as np
import pytest
import torch
from PIL import Image

from spurgekit.diffusion.image_tensors import read_picture, to_model
from spurgekit.diffusion.latent_cache import LatentBank
from spurgekit.dihedral import view_of
from spurgekit.errors import InputError


@pytest.fixture
def paths(tmp_path):
    for number in range(3):
        pixels = np.random.default_rng(number).integers(1, 256, (40, 50, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    return [tmp_path / f"{number}.png" for number in range(3)]


def test_latents_of_views_are_those_of_turned_tiles(backbone, paths):
    bank = LatentBank(backbone, (0, 3, 4), 64)
    bank.fill(paths)
    assert (len(bank), bank.shape) == (3, (4, 8, 8))
    noise = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    latents = bank.sample([paths[1], paths[2]], [1, 2], noise)
    for row, path, view in ((0, paths[1], 3), (1, paths[2], 4)):
        found = backbone.encode(view_of(to_model([read_picture(path)], 64), view))
        torch.testing.assert_close(latents[row : row + 1], found.mean + found.std * noise[row : row + 1], atol=1e-5, rtol=0)
    assert not latents.is_inference()  # gradients are taken later on


def test_tiles_beyond_the_limit_are_encoded_again_and_to_the_same_bits(backbone, paths):
    roomy = LatentBank(backbone, (0, 4), 64)
    assert roomy.tile_bytes == 2 * 2 * 4 * 8 * 8 * 4
    tight = LatentBank(backbone, (0, 4), 64, limit_bytes=2 * roomy.tile_bytes)
    for bank in (roomy, tight):
        bank.fill(paths)
    assert (len(roomy), len(tight)) == (3, 2)
    order = [paths[0], paths[2], paths[1], paths[0], paths[2]]
    noise = torch.zeros(5, 4, 8, 8)
    assert torch.equal(roomy.sample(order, [0, 1, 0, 1, 0], noise), tight.sample(order, [0, 1, 0, 1, 0], noise))
    assert len(tight) == 2


def test_every_tile_is_looked_at_ahead(backbone, paths, tmp_path):
    bank = LatentBank(backbone, (0,), 64, limit_bytes=1)
    Image.fromarray(np.ones((8, 8), np.uint8)).save(tmp_path / "grey.png")
    with pytest.raises(InputError, match=r"grey.png has 1 band of uint8"):
        bank.fill([*paths, tmp_path / "grey.png"])
    with pytest.raises(InputError, match=r"none.png: no such file; the dataset lists it"):
        bank.fill([*paths, tmp_path / "none.png"])
    assert len(bank) == 0


def test_a_size_that_does_not_fit(backbone):
    with pytest.raises(InputError, match="images of 65 px do not fit the model; pass a multiple of 8"):
        LatentBank(backbone, (0,), 65)
