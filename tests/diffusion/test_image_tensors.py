import numpy as np
import pytest
import torch
from PIL import Image

from spurgekit.diffusion.image_tensors import from_model, read_picture, to_bytes, to_model
from spurgekit.errors import InputError


def test_pixels_without_data_have_the_mean_colour(tmp_path):
    pixels = np.full((4, 4, 3), (10, 20, 30), np.uint8)
    pixels[0] = (30, 20, 10)
    pixels[:2, 0] = 0
    Image.fromarray(pixels).save(tmp_path / "tile.png")
    picture = read_picture(tmp_path / "tile.png")
    assert picture.dtype == np.uint8
    assert picture[0, 0].tolist() == picture[1, 0].tolist() == [14, 20, 26]  # 3 of one colour, 11 of the other
    np.testing.assert_array_equal(picture[:, 1:], pixels[:, 1:])


def test_what_is_transparent_has_no_data(tmp_path):
    pixels = np.full((4, 4, 4), (200, 100, 50, 255), np.uint8)
    pixels[1, 2] = (1, 2, 3, 0)
    Image.fromarray(pixels).save(tmp_path / "tile.png")
    assert (read_picture(tmp_path / "tile.png") == (200, 100, 50)).all()


def test_a_geotiff_of_float_pixels_is_refused(tmp_path, make_tif):
    path = make_tif(tmp_path / "tile.tif", np.ones((5, 8, 8), np.float32))
    with pytest.raises(
        InputError, match=r"tile.tif has 5 bands of float32; diffusion models paint 3 bands of uint8: tile with `b"
    ):
        read_picture(path)


def test_grey_and_missing_tiles_are_refused(tmp_path):
    Image.fromarray(np.ones((4, 4), np.uint8)).save(tmp_path / "grey.png")
    with pytest.raises(InputError, match=r"grey.png has 1 band of uint8"):
        read_picture(tmp_path / "grey.png")
    with pytest.raises(InputError, match=r"none.png: no such file"):
        read_picture(tmp_path / "none.png")


def test_there_and_back_in_one_size_changes_nothing():
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    picture[0, 0] = (255, 254, 255)
    images = to_model([picture, 255 - picture], 64)
    assert images.shape == (2, 3, 64, 64)
    assert float(images.min()) == -1
    assert float(images.max()) == 1
    back = from_model(images, [(64, 64)] * 2)
    np.testing.assert_array_equal(back[0], picture)
    np.testing.assert_array_equal(back[1], 255 - picture)


def test_what_is_painted_black_has_data():
    images = torch.full((2, 3, 8, 8), -1.5)
    images[:, 0, :4] = 0.0
    for size in ((8, 8), (4, 4)):
        for picture in from_model(images, [size] * 2):
            assert picture.any(axis=2).all()
            assert (picture[-1] == 1).all()
            assert (picture[0, :, 1:] == 0).all()


def test_sizes_may_differ_and_none_depends_on_the_others():
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, size, np.uint8) for size in ((250, 250, 3), (33, 50, 3), (64, 64, 3))]
    images = to_model(pictures, 64)
    assert torch.equal(images[1:2], to_model(pictures[1:2], 64))
    assert float(images.abs().max()) <= 1  # bicubic would overshoot
    assert [picture.shape for picture in from_model(images, [(250, 250), (33, 50), (64, 64)])] == [
        picture.shape for picture in pictures
    ]


def test_pictures_of_one_size_are_what_each_is_by_itself():
    images = 3 * torch.rand(5, 3, 64, 64, generator=torch.Generator().manual_seed(0)) - 1.5
    for layout in (torch.contiguous_format, torch.channels_last):
        laid_out = images.contiguous(memory_format=layout)
        sizes = [(50, 40), (50, 40), (64, 64), (50, 40), (50, 40)]
        assert [part.shape for part in to_bytes(laid_out, sizes)] == [(2, 50, 40, 3), (1, 64, 64, 3), (2, 50, 40, 3)]
        for picture, image, size in zip(from_model(laid_out, sizes), laid_out, sizes, strict=True):
            np.testing.assert_array_equal(picture, from_model(image[None], [size])[0])


def test_what_lies_outside_is_clipped():
    (picture,) = from_model(torch.full((1, 3, 8, 8), 3.0), [(8, 8)])
    assert (picture == 255).all()
