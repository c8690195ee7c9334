"""The page "Try it" in a real browser: what is done to a picture, and pictures of one's own."""

import base64
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser
from trying import Start, canvas, give, logits, press, seen, settled, status, stroke, title
from visiting import CHROMIUM

from gradcam_report.data import picture

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")]


# What is done to a picture


def test_strokes_change_the_answer_and_can_be_undone(start: Start) -> None:
    page = start().load()
    before, image = logits(page), seen(page)
    stroke(page, (0.3, 0.5), (0.7, 0.5))
    after, hidden = logits(page), seen(page)
    assert np.abs(np.subtract(after, before)).max() > 0.05 and (hidden != image).any(-1).sum() > 50
    page.get_by_role("combobox", name="in their place").select_option("noise")
    settled(page)
    noisy = seen(page)
    assert ((noisy != image).any(-1) & ~(hidden != image).any(-1)).sum() == 0 and logits(page) != after
    press(page, "undo")
    assert logits(page) == before and (seen(page) == image).all()


def test_cells_are_hidden_by_the_map_and_noted_in_a_table_that_can_be_copied(start: Start) -> None:
    tab = start(permissions=["clipboard-read", "clipboard-write"])
    page = tab.load()
    page.get_by_role("radio", name="against cat").check()
    settled(page)
    page.get_by_role("slider", name="how much").fill("4")
    for name in ("hide the hottest cells", "hide the coldest", "hide as many at random"):
        press(page, name)
        assert (seen(page).reshape(4, 8, 4, 8, 3).std(axis=(1, 3)).max(-1) == 0).sum() >= 4  # cells of one colour
    press(page, "copy the table")
    page.wait_for_function("document.querySelector('.live .steps [role=status]').textContent === 'Copied.'")
    copied = [line.split("\t") for line in page.evaluate("navigator.clipboard.readText()").splitlines()]
    assert copied[0][0] == "what" and [row[1] for row in copied[1:]] == ["0", "256", "256", "256"]
    assert all(row[4].endswith("− cat") for row in copied[1:])
    assert len({row[5] for row in copied[1:]}) >= 3 and tab.faults == []


def test_cells_of_layer4_add_up_to_the_margin_less_the_biases_and_can_be_read_off(start: Start) -> None:
    page = start().load()
    page.locator(".live input[name=live-view][value=margin]").check()
    settled(page)
    canvas(page, 1).focus()
    cells = []
    for row in range(4):
        for column in range(4):
            key = "ArrowRight" if column else "ArrowDown"
            page.keyboard.press(key)
            text = page.locator(".live .read").nth(1).inner_text()
            assert text.startswith(f"row {row + 1}, column {column + 1}: ")
            cells.append(float(text.split(": ")[1].replace("−", "-")))
        for _ in range(3):
            page.keyboard.press("ArrowLeft")
    caption = page.locator(".live figcaption").nth(1).inner_text()
    total = re.search(r"add up to ([+−][\d.]+), the margin less the biases", caption)
    assert total and sum(cells) == pytest.approx(float(total[1].replace("−", "-")), abs=0.1)


def test_nudges_change_the_picture_and_go_back(start: Start) -> None:
    page = start().load()
    image = seen(page).astype(int)
    page.get_by_role("checkbox", name="flip").check()
    settled(page)
    assert (seen(page) == image[:, ::-1]).all()
    page.get_by_role("button", name="shift by a pixel: right").click()
    settled(page)
    assert (seen(page)[:, 1:] == image[:, ::-1][:, :-1]).all()
    page.get_by_role("slider", name="brightness").fill("50")
    settled(page)
    assert abs(seen(page)[:, 1:].astype(int) - image[:, ::-1][:, :-1] / 2).max() <= 1
    press(page, "as it was")
    assert (seen(page) == image).all()


def test_a_permalink_restores_picture_question_and_strokes(start: Start) -> None:
    tab = start()
    page = tab.load()
    page.locator(".live ul.strip button").nth(5).click()
    settled(page)
    page.get_by_role("slider", name="layer", exact=True).fill("3")
    page.get_by_role("radio", name="for ship").check()
    page.get_by_role("radio", name="against frog").check()
    stroke(page, (0.2, 0.2), (0.6, 0.7))
    image, values, name = seen(page), logits(page), title(page)
    link = str(page.get_by_role("link", name="link to this view").get_attribute("href"))
    assert "case=" in link and "hide=" in link and "layer=3" in link and page.url.endswith(link)
    again = start().load("#" + link.partition("#")[2])
    assert title(again) == name and logits(again) == values
    assert (seen(again) == image).all() and again.get_by_role("radio", name="against frog").is_checked()
    assert "layer3" in again.locator(".live figcaption").nth(1).inner_text()
    number = re.match(r"# (\d+)", name)
    assert number
    again.get_by_role("link", name="this image in the explorer").click()
    again.wait_for_selector(".explorer dialog[open]")
    again.get_by_role("link", name="try it: hide pixels").click()
    again.wait_for_selector(".live .title")
    assert title(again) == name and f"case={number[1]}" in again.url


def test_an_image_with_a_card_leads_to_it_and_back(start: Start) -> None:
    page = start().open("gradcam")
    number = str(page.locator("figure.case").first.get_attribute("id")).removeprefix("case-")
    page.locator("figure.case").first.get_by_role("link", name="Try it").click()
    page.wait_for_selector(".live .title")
    settled(page)
    assert title(page).startswith(f"# {number}: ")
    assert page.get_by_role("link", name="its card").get_attribute("href") == f"gradcam.html#case-{number}"
    page.get_by_role("combobox", name="show").select_option("right")  # right answers have no card
    page.locator(".live ul.strip button").first.click()
    settled(page)
    assert page.get_by_role("link", name="its card").count() == 0


def test_a_link_with_nonsense_shows_the_page_as_it_begins(start: Start) -> None:
    tab = start()
    page = tab.open(anchor="#case=99999&hide=zz&layer=12&for=unicorn&fill=toString&dx=abc")
    settled(page)
    assert len(logits(page)) == 10 and tab.faults == []


# A picture of one's own


def photograph(tmp_path: Path, name: str, **options: Any) -> Path:
    """A picture of 90 x 60 pixels with soft colours, upright only by its EXIF note where that is asked for."""
    rows, columns = np.mgrid[0:60, 0:90]
    pixels = np.stack([2.8 * columns, 4.2 * rows, 128 + 100 * np.sin(columns / 9) * np.cos(rows / 7)], -1)
    path = tmp_path / name
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, **options)
    return path


@pytest.mark.parametrize("kind", ["rotated.jpg", "plain.png", "plain.webp"])
def test_a_file_is_read_as_the_reports_own_reader_does(start: Start, tmp_path: Path, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {"exif": exif, "quality": 95} if kind == "rotated.jpg" else {"lossless": True}
    path = photograph(tmp_path, kind, **options)
    expected = picture.read(str(path))[0].permute(1, 2, 0).numpy().astype(int)
    tab = start()
    page = tab.load()
    give(page, path)
    off = np.abs(seen(page).astype(int) - expected)
    assert off.max() <= (6 if kind.endswith("jpg") else 2) and title(page) == "Your picture"
    before = seen(page)
    page.locator(".live .own canvas").focus()
    page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    settled(page)
    assert (seen(page) != before).any() and "#" not in page.url and tab.faults == []


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
    assert (seen(page) == [255, 0, 0]).all() and title(page) == "Your picture"
    assert page.evaluate(drop, ["link", "https://example.org/cat.png"]) == [False, False]  # the browser stays here
    settled(page)
    assert "no file" in status(page) and (seen(page) == [255, 0, 0]).all() and tab.faults == []


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
    filming = browser.browser_type.launch(executable_path=CHROMIUM, args=flags)
    try:
        page = start(started=filming).load()
        before = seen(page)
        page.evaluate("""() => {
          const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
          navigator.mediaDevices.getUserMedia = async (wanted) => (window.stream = await ask(wanted));
        }""")
        press(page, "camera")
        press(page, "take the picture")
        assert title(page) == "Your picture" and (seen(page) != before).any()
        assert page.evaluate("window.stream.getTracks().map((track) => track.readyState)") == ["ended"]
        assert page.locator(".live video").is_hidden()
    finally:
        filming.close()


def test_a_camera_that_is_not_allowed_ends_in_a_sentence(start: Start) -> None:
    page = start().open()
    press(page, "camera")  # a browser without anybody to ask allows none
    page.wait_for_selector(".live .status.fault")
    assert "camera" in status(page) and page.locator(".live video").count() == 0


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
        page.wait_for_function(
            "words => document.querySelector('.live .status').textContent.includes(words)", arg=words
        )
        settled(page)  # the page has come to rest, and the sentence is still there
        assert name in status(page)
