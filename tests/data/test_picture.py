"""A reader's own picture: what the network gets of it, and what is said of files that are none."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from gradcam_report.config import ReportError
from gradcam_report.data import picture


def test_the_middle_square_is_made_small(project: Path) -> None:
    wide = np.zeros((64, 192, 3), np.uint8)
    wide[:, 64:128] = (10, 200, 30)  # the middle third
    Image.fromarray(wide).save(project / "wide.png")
    found = picture.read("wide.png")
    assert found.shape == (1, 3, 32, 32) and found.dtype == torch.uint8
    assert (found[0] == torch.tensor([10, 200, 30], dtype=torch.uint8)[:, None, None]).all()


def test_a_photograph_is_turned_as_the_camera_was(project: Path) -> None:
    sky = np.zeros((32, 32, 3), np.uint8)
    sky[:16] = 255
    image = Image.fromarray(sky)
    exif = image.getexif()
    exif[0x0112] = 3  # upside down
    image.save(project / "turned.png", exif=exif)
    found = picture.read("turned.png")[0, 0]
    assert not found[:16].any() and (found[16:] == 255).all()


def test_transparent_parts_are_white_and_grey_pictures_have_three_channels(project: Path) -> None:
    Image.new("RGBA", (50, 50), (255, 0, 0, 0)).save(project / "clear.png")
    assert (picture.read("clear.png") == 255).all()
    Image.new("L", (50, 50), 77).save(project / "grey.webp", lossless=True)
    assert (picture.read(str(project / "grey.webp")) == 77).all()


def test_a_grey_picture_of_16_bits_keeps_its_brightness(project: Path) -> None:
    Image.fromarray(np.full((40, 40), 30_000, np.uint16)).save(project / "deep.png")
    assert abs(int(picture.read("deep.png")[0, 0, 5, 5]) - 30_000 / 257) <= 1


def test_a_folder_and_a_name_too_long_are_refused(project: Path) -> None:
    (project / "folder").mkdir()
    for path in ("folder", "x" * 300 + ".png"):
        with pytest.raises(ReportError, match=r"cannot be read \(.*\); save it as PNG or JPEG"):
            picture.read(path)


def test_pillows_own_limit_ends_in_the_same_advice(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    Image.new("RGB", (10, 10)).save(project / "x.png")
    with pytest.raises(ReportError, match="too many pixels; make it smaller"):
        picture.read("x.png")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "there is no such file"),
        (b"", "cannot be read"),
        (b"\x89PNG\r\n\x1a\n broken", "cannot be read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "cannot be read"),  # would start another program
    ],
)
def test_what_is_no_picture_is_refused_in_a_sentence(project: Path, content: bytes | None, sentence: str) -> None:
    if content is not None:
        (project / "x.png").write_bytes(content)
    with pytest.raises(ReportError, match=f"picture is 'x.png'.*{sentence}.*; .*PNG or JPEG"):
        picture.read("x.png")


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture, "MAX_PIXELS", 99)
    Image.new("RGB", (10, 10)).save(project / "x.png")
    with pytest.raises(ReportError, match="with 10 x 10 pixels; make it smaller"):
        picture.read("x.png")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(cut=st.integers(0, 400), where=st.integers(0, 400), byte=st.integers(0, 255))
def test_a_damaged_picture_is_read_or_refused(project: Path, cut: int, where: int, byte: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    for suffix in ("png", "jpg", "gif", "bmp", "webp"):
        Image.fromarray(noise).save(project / f"good.{suffix}")
        content = bytearray((project / f"good.{suffix}").read_bytes())
        content[min(where, len(content) - 1)] = byte
        (project / f"bad.{suffix}").write_bytes(content[: len(content) - cut])
        try:
            assert picture.read(f"bad.{suffix}").shape == (1, 3, 32, 32)
        except ReportError as error:
            assert "picture is" in str(error)
