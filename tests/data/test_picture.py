"""A reader's own picture: what the network gets of it, and what is said of files that are none."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gradcam_report.config import ReportError
from gradcam_report.data import picture


def test_the_middle_square_of_the_upright_picture_is_scaled_down(project: Path) -> None:
    wide = np.zeros((64, 192, 3), np.uint8)
    wide[:32, 64:128] = (10, 200, 30)  # the middle third, its upper half
    image = Image.fromarray(wide)
    exif = image.getexif()
    exif[0x0112] = 3  # the camera was upside down
    image.save(project / "turned.png", exif=exif)
    read = picture.read("turned.png")
    assert read.shape == (1, 3, 32, 32) and read.dtype == torch.uint8
    assert (read[0, :, 20:] == torch.tensor([10, 200, 30], dtype=torch.uint8)[:, None, None]).all()
    assert not read[0, :, :12].any()


def test_every_mode_becomes_rgb_and_a_path_may_start_anywhere(project: Path, tmp_path: Path, monkeypatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("HOME", str(tmp_path))
    Image.new("RGBA", (50, 50), (255, 0, 0, 0)).save("clear.png")
    assert (picture.read("clear.png") == 255).all()  # transparent parts are white
    Image.new("L", (50, 50), 77).save("grey.webp", lossless=True)
    assert (picture.read("~/elsewhere/grey.webp") == 77).all()
    Image.fromarray(np.full((40, 40), 30_000, np.uint16)).save("deep.png")
    assert abs(int(picture.read(str(elsewhere / "deep.png"))[0, 0, 5, 5]) - 30_000 / 257) <= 1


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("none.png", "there is no such file"),
        ("folder", "cannot be read"),
        ("x" * 300, "cannot be read"),
        ("empty.png", "cannot be read"),
        ("half.jpg", "cannot be read"),
        ("script.eps", "cannot be read"),  # Pillow would start another program
        ("large.png", "too many pixels"),
    ],
)
def test_what_is_no_picture_is_refused_in_a_sentence(project: Path, monkeypatch, path: str, fault: str) -> None:
    monkeypatch.setattr(picture, "MAX_PIXELS", 100)
    (project / "folder").mkdir()
    (project / "empty.png").touch()
    Image.new("RGB", (10, 10)).save(project / "whole.jpg")
    (project / "half.jpg").write_bytes((project / "whole.jpg").read_bytes()[:-20])
    (project / "script.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    Image.new("RGB", (10, 11)).save(project / "large.png")
    with pytest.raises(ReportError, match=f"picture is '{path}'.*{fault}"):
        picture.read(path)
