import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image

from spurgekit.tiles.png import SIGNATURE, encode_png

shapes = st.one_of(
    npst.array_shapes(min_dims=2, max_dims=2, max_side=40),
    npst.array_shapes(min_dims=2, max_dims=2, max_side=40).map(lambda shape: (*shape, 3)),
)


def images(dtype):
    return shapes.flatmap(lambda shape: npst.arrays(dtype, shape))


def read_cv2(data):
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return image if image.ndim == 2 else image[..., ::-1]  # OpenCV has blue first


def chunks(data):
    """The kinds and contents of a file's chunks, their checksums checked."""
    assert data.startswith(SIGNATURE)
    at, found = len(SIGNATURE), []
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        (check,) = struct.unpack(">I", data[at + 8 + length : at + 12 + length])
        assert check == zlib.crc32(kind + content)
        found.append((kind, content))
        at += 12 + length
    return found


class TestRoundTrip:
    @given(st.sampled_from([np.uint8, np.uint16]).flatmap(images))
    def test_opencv_reads_what_was_written(self, image):
        back = read_cv2(encode_png(image))
        assert back.dtype == image.dtype
        assert (back == image).all()

    @given(images(np.uint8))
    def test_pillow_reads_what_was_written(self, image):
        back = Image.open(io.BytesIO(encode_png(image)))
        assert back.mode == ("L" if image.ndim == 2 else "RGB")
        assert (np.asarray(back) == image).all()

    @given(npst.arrays(np.uint16, npst.array_shapes(min_dims=2, max_dims=2, max_side=40)))
    def test_pillow_reads_16_bit_grey(self, image):
        assert (np.asarray(Image.open(io.BytesIO(encode_png(image)))) == image).all()

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    @pytest.mark.parametrize("shape", [(250, 250, 3), (250, 250), (1, 300, 3), (300, 1, 3)])
    def test_noise_from_end_to_end_of_the_type(self, dtype, shape):
        image = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
        assert (read_cv2(encode_png(image)) == image).all()

    def test_a_view_with_odd_strides(self):
        image = np.arange(2 * 30 * 40 * 3, dtype=np.uint16).reshape(60, 40, 3)[::2, ::-1]
        assert (read_cv2(encode_png(image)) == image).all()


def test_a_pixel_worked_out_by_hand():
    # Filter 2 (up): the first row has none above it; in the second 9 - 100 = -91 = 165 of 256, and 9 - 7 = 2.
    (_, header), (_, data), (end, _) = chunks(encode_png(np.array([[100, 7], [9, 9]], np.uint8)))
    assert header == bytes([0, 0, 0, 2, 0, 0, 0, 2, 8, 0, 0, 0, 0])
    assert list(zlib.decompress(data)) == [2, 100, 7, 2, 165, 2]
    assert end == b"IEND"


def test_the_same_pixels_give_the_same_bytes():
    image = np.random.default_rng(1).integers(0, 255, (50, 60, 3), np.uint8)
    assert encode_png(image) == encode_png(image.copy())


def test_the_bytes_are_the_same_wherever_in_memory_they_are_made():
    image, threads = np.zeros((4, 4), np.uint8), 200
    together = Barrier(threads)  # each thread has a stack of its own, and so addresses of its own, while all live

    def encode(_):
        together.wait()
        return encode_png(image)

    with ThreadPoolExecutor(threads) as pool:
        assert set(pool.map(encode, range(threads))) == {encode_png(image)}


@pytest.mark.parametrize(("shape", "dtype"), [((4, 4, 4), np.uint8), ((4, 4, 2), np.uint8), ((4, 4), np.float32)])
def test_what_it_does_not_write(shape, dtype):
    with pytest.raises(ValueError, match="grey or RGB of uint8 or uint16"):
        encode_png(np.zeros(shape, dtype))
