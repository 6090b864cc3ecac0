"""Pictures from elsewhere: which are read, and what they must not do."""

import os

import numpy as np
import pytest

from keras_mtl.datasets.picture_files import read_pictures

image = pytest.importorskip("PIL.Image")

POSTSCRIPT = (
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\nshowpage\n%%EOF\n"
)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("suffix", ["jpg", "png", ""])
def test_the_content_tells_what_it_is(tmp_path, kind, suffix):
    path = tmp_path / f"picture.{suffix}"
    image.new("RGB", (8, 8), (255, 0, 0)).save(path, kind)
    found = read_pictures([path], (2, 2))
    # JPEG rounds colours.
    np.testing.assert_allclose(found[0, 0, 0], [1.0, 0.0, 0.0], atol=0.01)


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "PPM", "WEBP", "EPS"])
def test_other_formats_are_not_opened(tmp_path, kind, monkeypatch):
    path = tmp_path / "picture.jpg"
    if kind == "EPS":
        path.write_bytes(POSTSCRIPT)
    else:
        image.new("RGB", (8, 8)).save(path, kind)
    ghostscript = pytest.importorskip("PIL.EpsImagePlugin")
    started = []
    monkeypatch.setattr(
        ghostscript, "Ghostscript", lambda *given, **it: started.append(given)
    )
    with pytest.raises(ValueError, match="no picture that can") as error:
        read_pictures([path], (8, 8))
    assert str(path) in str(error.value) and not started


def test_size_is_checked_before_anything_is_decoded(tmp_path, monkeypatch):
    path = tmp_path / "picture.png"
    image.new("L", (40, 30)).save(path)
    assert read_pictures([path], (2, 2), most_pixels=1200).shape[1:3] == (2, 2)
    file_class = pytest.importorskip("PIL.PngImagePlugin").PngImageFile
    decoded = []
    monkeypatch.setattr(file_class, "load", lambda self: decoded.append(self))
    with pytest.raises(ValueError, match="40 x 30 pixels, more than 1199"):
        read_pictures([path], (2, 2), most_pixels=1199)
    assert not decoded


def test_other_things_than_files_are_not_waited_for(tmp_path):
    with pytest.raises(ValueError, match="it is no file"):
        read_pictures([tmp_path], (2, 2))
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.jpg")
        with pytest.raises(ValueError, match="pipe.jpg.* it is no file"):
            read_pictures([tmp_path / "pipe.jpg"], (2, 2))
    with pytest.raises(FileNotFoundError):
        read_pictures([tmp_path / "missing.jpg"], (2, 2))
