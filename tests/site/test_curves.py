"""The curves of the training chapter: what they read off is the history, and paper and readers get it another way."""

import re
from collections.abc import Callable

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from visiting import CHROMIUM, TOP, Visit

from gradcam_report import plots
from gradcam_report.config import PUBLISHED
from gradcam_report.plots import style
from gradcam_report.runs import io

in_a_browser = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")]
HISTORY = io.read_table(TOP / PUBLISHED / "history.csv")
READOUT = "#fig-curves .curves table tbody"


def of_epoch(epoch: int) -> list[list[str]]:
    """The published loss and accuracy of each series after an epoch, as they are written."""
    at = epoch - 1
    return [
        [f"{HISTORY[kind.format('loss')][at]:.4f}", f"{100 * HISTORY[kind.format('accuracy')][at]:.2f} %"]
        for kind, *_ in plots.SERIES
    ]


def test_the_curves_have_the_pictures_colours() -> None:
    sheet = (TOP / "book" / "_static" / "curves.css").read_text(encoding="utf-8")
    light, dark = (dict(re.findall(r"--series-(\d): (#\w+)", block)) for block in sheet.split("}")[:2])
    assert list(light.values()) == [colour.lower() for *_, colour, _ in plots.SERIES]
    assert set(dark.values()) <= {style.PALE.lower(), style.SKY.lower(), style.ORANGE.lower()}


class TestInABrowser:
    pytestmark = in_a_browser

    def test_pointer_and_keys_read_off_the_history(self, visit: Callable[..., Visit]) -> None:
        tab = visit()
        page = tab.open("training")

        def read() -> list[list[str]]:
            rows = page.locator(f"{READOUT} tr").all()
            return [[cell.replace("\u00a0", " ") for cell in row.locator("td").all_inner_texts()] for row in rows]

        last = len(HISTORY["epoch"])
        assert read() == of_epoch(last)
        slider = page.locator("#fig-curves input")
        slider.press("Home")
        assert read() == of_epoch(1)
        slider.press("ArrowRight")
        told = str(slider.get_attribute("aria-valuetext"))
        assert read() == of_epoch(2) and told.startswith("epoch 2; loss, ") and of_epoch(2)[2][0] in told
        box = page.locator("#fig-curves svg").first.bounding_box()
        assert box
        page.mouse.move(box["x"] + 0.96 * box["width"], box["y"] + box["height"] / 2)
        assert slider.input_value() == str(last) and read() == of_epoch(last)
        assert tab.faults == []

    def test_the_curves_rise_and_fall_as_the_history_does(self, visit: Callable[..., Visit]) -> None:
        page = visit().open("training")
        for chart, quantity in enumerate(("loss", "accuracy")):
            for at, (kind, *_) in enumerate(plots.SERIES):
                path = (
                    page.locator("#fig-curves .charts svg").nth(chart).locator(f"path.series-{at}").get_attribute("d")
                )
                heights = -np.array([float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", str(path))])
                values = HISTORY[kind.format(quantity)]
                assert len(heights) == len(values) and np.corrcoef(heights, values)[0, 1] > 0.9999

    @pytest.mark.parametrize(("options", "media"), [({"java_script_enabled": False}, "screen"), ({}, "print")])
    def test_paper_and_browsers_without_scripts_show_the_picture(
        self, visit: Callable[..., Visit], options: dict[str, bool], media: str
    ) -> None:
        page = visit(**options).open("training")
        page.emulate_media(media=media)  # type: ignore[arg-type]
        assert page.locator("#fig-curves img").is_visible() and not page.locator("#fig-curves .curves").is_visible()
        page.emulate_media(media="screen")
        assert page.locator("details.history table").count() == 1

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("width", [360, 1440])
    def test_the_curves_fit_and_have_no_serious_fault_of_accessibility(
        self, visit: Callable[..., Visit], scheme: str, width: int
    ) -> None:
        page = visit(color_scheme=scheme, viewport={"width": width, "height": 900}).open("training")
        page.locator("details.history summary").click()
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width
        for part in ("#fig-curves", "details.history"):
            found = Axe().run(page, context=part).response["violations"]
            assert [fault["id"] for fault in found if fault["impact"] in ("serious", "critical")] == []
