"""The page "Try it" in a real browser: pixels are hidden, the picture is nudged, and an address keeps all of it."""

import re

import numpy as np
import pytest
import torch
from playwright.sync_api import expect
from torchvision.transforms.v2 import functional as transforms
from trying import Start, canvas, logits, press, seen, settled, stroke, title
from visiting import CHROMIUM, anchor

from gradcam_report.data import datasets
from gradcam_report.faithfulness import metrics

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")]


def tensor(image: np.ndarray) -> torch.Tensor:
    """uint8 (H, W, 3) as float (3, H, W), 0 to 255."""
    return torch.from_numpy(image).permute(2, 0, 1).float()


def test_strokes_change_the_answer_and_can_be_undone(start: Start) -> None:
    page = start().load()
    before, image = logits(page), seen(page)
    stroke(page, (0.3, 0.5), (0.7, 0.5))
    after, hidden = logits(page), seen(page)
    assert np.abs(np.subtract(after, before)).max() > 0.05 and (hidden != image).any(-1).sum() > 50
    press(page, "undo")
    assert logits(page) == before and (seen(page) == image).all()
    stroke(page, (0.2, 0.2), (0.2, 0.8))
    stroke(page, (0.8, 0.2), (0.8, 0.8))
    press(page, "show all again")
    assert logits(page) == before and (seen(page) == image).all()


def test_hidden_pixels_are_the_mean_colour_the_blur_of_the_faithfulness_chapter_or_noise(start: Start) -> None:
    page = start().load()
    image = seen(page)
    stroke(page, (0.3, 0.5), (0.7, 0.5))
    mean = 255 * torch.tensor(datasets.NORMALIZERS["cifar10"].mean)
    hidden = (seen(page) != image).any(-1)
    assert hidden.sum() > 50 and np.abs(seen(page)[hidden] - mean.numpy()).max() <= 1
    answers = [logits(page)]
    for fill in ("blur", "noise"):
        page.get_by_role("combobox", name="in their place").select_option(fill)
        settled(page)
        answers.append(logits(page))
        assert (seen(page) == image)[~hidden].all()
        if fill == "blur":
            blurred = metrics.blur(tensor(image)[None])[0].permute(1, 2, 0).numpy()
            assert np.abs(seen(page) - blurred)[hidden].max() <= 1
        else:
            assert seen(page)[hidden].std() > 50
    assert answers[0] != answers[1] != answers[2]


@pytest.mark.parametrize(("size", "pixels"), [(1, 1), (2, 4), (12, 112)])
def test_a_brush_has_the_size_that_its_slider_says(start: Start, size: int, pixels: int) -> None:
    page = start().load()
    image = seen(page)
    page.get_by_role("slider", name="brush size").fill(str(size))
    stroke(page, (0.51, 0.51))
    assert (seen(page) != image).any(-1).sum() == pixels
    page.get_by_role("combobox", name="the brush").select_option("0")
    stroke(page, (0.51, 0.51))
    assert (seen(page) == image).all()


def test_a_finger_draws(start: Start) -> None:
    page = start(viewport={"width": 360, "height": 800}, has_touch=True, is_mobile=True).load()
    image = seen(page)
    canvas(page).tap()
    settled(page)
    assert (seen(page) != image).any(-1).sum() > 10


def test_cells_are_hidden_by_the_map_and_noted_in_a_table_that_can_be_copied(start: Start) -> None:
    tab = start(permissions=["clipboard-read", "clipboard-write"])
    page = tab.load()
    page.get_by_role("radio", name="against cat").check()
    settled(page)
    page.get_by_role("slider", name="cells to hide").fill("8")
    for name in ("hide the hottest cells", "hide the coldest", "hide as many at random"):
        press(page, name)
        assert (seen(page).reshape(4, 8, 4, 8, 3).std(axis=(1, 3)).max(-1) == 0).sum() >= 8  # cells of one colour
    press(page, "copy the table")
    page.wait_for_function("document.querySelector('.live .steps [role=status]').textContent === 'Copied.'")
    copied = [line.split("\t") for line in page.evaluate("navigator.clipboard.readText()").splitlines()]
    assert copied[0][0] == "what" and [row[1] for row in copied[1:]] == ["0", "512", "512", "512"]
    assert all(row[4].endswith("− cat") for row in copied[1:])
    nothing, hottest, coldest, _ = (float(row[5].replace("−", "-")) for row in copied[1:])
    assert hottest < coldest < nothing and tab.faults == []


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
    total = re.search(r"add up to ([+−][\d.]+); with the difference of the biases", caption)
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
    press(page, "reset")
    assert (seen(page) == image).all()
    page.get_by_role("slider", name="contrast").fill("150")
    settled(page)
    expected = transforms.adjust_contrast(tensor(image.astype(np.uint8)) / 255, 1.5)
    assert np.abs(seen(page) - 255 * expected.permute(1, 2, 0).numpy()).max() <= 1


def test_a_permalink_restores_picture_question_and_strokes(start: Start) -> None:
    tab = start()
    page = tab.load()
    page.locator(".live ul.strip button").nth(5).click()
    settled(page)
    page.get_by_role("slider", name="layer", exact=True).fill("3")
    page.get_by_role("radio", name="for ship").check()
    page.get_by_role("radio", name="against frog").check()
    stroke(page, (0.2, 0.2), (0.6, 0.7))
    image, values, words = seen(page), logits(page), title(page).inner_text()
    link = str(page.get_by_role("link", name="link to this view").get_attribute("href"))
    assert "case=" in link and "hide=" in link and "layer=3" in link and link.endswith(anchor(page))
    again = start().load(anchor(page))
    expect(title(again)).to_have_text(words)
    assert logits(again) == values
    assert (seen(again) == image).all() and again.get_by_role("radio", name="against frog").is_checked()
    assert "layer3" in again.locator(".live figcaption").nth(1).inner_text()
    number = re.match(r"# (\d+)", words)
    assert number
    again.get_by_role("link", name="this image in the explorer").click()
    again.wait_for_selector(".explorer dialog[open]")
    again.get_by_role("link", name="try it: hide pixels").click()
    expect(title(again)).to_have_text(words)
    assert f"case={number[1]}" in anchor(again)


def test_an_image_with_a_card_leads_to_it_and_back(start: Start) -> None:
    page = start().open("gradcam")
    number = str(page.locator("figure.case").first.get_attribute("id")).removeprefix("case-")
    page.locator("figure.case").first.get_by_role("link", name="Try it").click()
    settled(page)
    expect(title(page)).to_contain_text(f"# {number}: ")
    expect(page.get_by_role("link", name="its card")).to_have_attribute("href", f"gradcam.html#case-{number}")
    page.get_by_role("combobox", name="show").select_option("right")  # right answers have no card
    page.locator(".live ul.strip button").first.click()
    settled(page)
    expect(page.get_by_role("link", name="its card")).to_have_count(0)


def test_a_link_with_nonsense_shows_the_page_as_it_begins(start: Start) -> None:
    tab = start()
    page = tab.open(anchor="#case=99999&hide=zz&layer=12&for=unicorn&fill=toString&dx=abc")
    settled(page)
    assert len(logits(page)) == 10 and tab.faults == []
