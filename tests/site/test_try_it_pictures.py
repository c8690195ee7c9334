"""The page "Try it" in a real browser: pictures of the reader's own."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, expect
from trying import Start, give, logits, press, seen, settled, status, title
from visiting import CHROMIUM, WAIT, anchor

from gradcam_report.data import picture

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")]


def photograph(tmp_path: Path, name: str, **options: Any) -> Path:
    """A picture of 90 x 60 pixels with soft colours, upright only by its EXIF note where that is asked for."""
    rows, columns = np.mgrid[0:60, 0:90]
    pixels = np.stack([2.8 * columns, 4.2 * rows, 128 + 100 * np.sin(columns / 9) * np.cos(rows / 7)], -1)
    path = tmp_path / name
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, **options)
    return path


@pytest.mark.parametrize("kind", ["rotated.jpg", "plain.png", "plain.webp"])
def test_a_file_is_read_as_the_reports_own_reader_does(start: Start, tmp_path: Path, kind: str) -> None:
    from test_live import PUBLISHED, Session  # type: ignore[attr-defined]

    exif = Image.Exif()
    exif[0x0112] = 6
    options = {"exif": exif, "quality": 95} if kind == "rotated.jpg" else {"lossless": True}
    path = photograph(tmp_path, kind, **options)
    expected = picture.read(str(path))[0].permute(1, 2, 0).numpy().astype(int)
    tab = start()
    page = tab.load()
    give(page, path)
    off = np.abs(seen(page).astype(int) - expected)
    answer = Session("answer", PUBLISHED.read_bytes())(pixels=expected.transpose(2, 0, 1)[None].astype(np.float32))
    assert off.max() <= (6 if kind.endswith("jpg") else 2)
    assert np.abs(answer["logits"][0] - logits(page)).max() < 0.3, "the answer is that of the report's own reader"
    expect(title(page)).to_have_text("Your picture")
    before = seen(page)
    page.locator(".live .own canvas").focus()
    page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    settled(page)
    assert (seen(page) != before).any() and anchor(page) == "" and tab.faults == []


def test_transparent_parts_are_white(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "clear.png"
    Image.new("RGBA", (64, 64), (255, 0, 0, 0)).save(path)
    page = start().load()
    give(page, path)
    assert (seen(page) == 255).all()


def png(colour: str) -> bytes:
    """A picture of one colour."""
    written = io.BytesIO()
    Image.new("RGB", (40, 40), colour).save(written, "PNG")
    return written.getvalue()


def encoded(colour: str) -> str:
    return base64.b64encode(png(colour)).decode()


def test_a_picture_can_be_dropped_anywhere_and_what_is_no_file_is_refused(start: Start) -> None:
    tab = start()
    page = tab.load()
    drop = """([kind, body]) => {
      const items = new DataTransfer();
      if (kind === 'file') {
        const bytes = Uint8Array.from(atob(body), (letter) => letter.charCodeAt(0));
        items.items.add(new File([bytes], 'dropped.png', { type: 'image/png' }));
      } else items.setData('text/uri-list', body);
      const options = { bubbles: true, cancelable: true, dataTransfer: items };
      const main = document.querySelector('main');
      return ['dragover', 'drop'].map((name) => main.dispatchEvent(new DragEvent(name, options)));
    }"""
    assert page.evaluate(drop, ["file", encoded("red")]) == [False, False]  # the page takes both
    page.wait_for_selector(".live .own:not([hidden])")
    settled(page)
    assert (seen(page) == [255, 0, 0]).all()
    expect(title(page)).to_have_text("Your picture")
    assert page.evaluate(drop, ["link", "https://example.org/cat.png"]) == [False, False]  # the browser stays here
    expect(status(page)).to_contain_text("no file")
    assert (seen(page) == [255, 0, 0]).all() and tab.faults == []


def test_a_picture_can_be_pasted(start: Start) -> None:
    tab = start(permissions=["clipboard-read", "clipboard-write"])
    page = tab.load()
    page.evaluate(
        """async (body) => {
          const bytes = Uint8Array.from(atob(body), (letter) => letter.charCodeAt(0));
          const file = new Blob([bytes], { type: 'image/png' });
          await navigator.clipboard.write([new ClipboardItem({ [file.type]: file })]);
        }""",
        encoded("blue"),
    )
    page.keyboard.press("Control+V")
    page.wait_for_selector(".live .own:not([hidden])")
    settled(page)
    assert (seen(page) == [0, 0, 255]).all() and tab.faults == []


def test_the_camera_gives_a_picture_and_is_let_go(start: Start, browser: Browser) -> None:
    flags = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    filming = browser.browser_type.launch(executable_path=CHROMIUM, args=flags, timeout=WAIT)
    try:
        page = start(started=filming).load()
        before = seen(page)
        page.evaluate("""() => {
          const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
          navigator.mediaDevices.getUserMedia = async (wanted) => (window.stream = await ask(wanted));
        }""")
        press(page, "camera")
        press(page, "take the picture")
        expect(title(page)).to_have_text("Your picture")
        assert (seen(page) != before).any()
        assert page.evaluate("window.stream.getTracks().map((track) => track.readyState)") == ["ended"]
        expect(page.locator(".live video")).to_be_hidden()
    finally:
        filming.close()


def test_a_camera_that_is_not_allowed_ends_in_a_sentence(start: Start) -> None:
    page = start().open()
    press(page, "camera")  # a browser without anybody to ask allows none
    expect(status(page)).to_contain_text("The camera was not allowed")
    expect(page.locator(".live video")).to_have_count(0)


def test_files_that_are_no_pictures_are_refused_in_a_sentence(start: Start, tmp_path: Path) -> None:
    page = start().open()
    whole = png("red")
    huge = whole[:16] + (20_000).to_bytes(4, "big") + (20_000).to_bytes(4, "big") + whole[24:]
    cases = {
        "notes.txt": (b"this is no picture at all, whatever its name", "is no PNG, JPEG, WebP, BMP or GIF picture"),
        "huge.png": (huge, "has 20000 × 20000 pixels; make it smaller"),
        "cut.png": (whole[:50], "cannot be read, perhaps it is not whole"),
    }
    for name, (content, words) in cases.items():
        (tmp_path / name).write_bytes(content)
        page.get_by_label("a picture file").set_input_files(tmp_path / name)
        expect(status(page)).to_contain_text(words)
        settled(page)  # the page has come to rest, and the sentence is still there
        expect(status(page)).to_contain_text(name)
