"""The curves of the training chapter read off the history; on paper and without scripts the picture is shown."""

import re

import numpy as np
import pytest
from playwright.sync_api import expect
from visiting import TOP, Open, in_a_browser

from gradcam_report import plots
from gradcam_report.config import PUBLISHED
from gradcam_report.plots import style
from gradcam_report.runs import io

HISTORY = io.read_table(TOP / PUBLISHED / "history.csv")


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
    assert list(light.values()) == [getattr(style.LIGHT, name).lower() for *_, name, _ in plots.SERIES]
    assert set(dark.values()) <= {style.LIGHT.pale.lower(), style.DARK.blue.lower(), style.DARK.orange.lower()}


class TestInABrowser:
    pytestmark = in_a_browser

    def test_pointer_and_keys_read_off_the_history_that_is_drawn(self, visit: Open) -> None:
        tab = visit()
        page = tab.open("training")
        slider, last = page.locator("#fig-curves input"), len(HISTORY["epoch"])

        def read() -> list[list[str]]:
            rows = page.locator("#fig-curves .curves table tbody tr").all()
            return [[cell.replace("\u00a0", " ") for cell in row.locator("td").all_inner_texts()] for row in rows]

        expect(slider).to_have_value(str(last))
        assert read() == of_epoch(last)
        slider.press("Home")
        expect(slider).to_have_value("1")
        assert read() == of_epoch(1)
        slider.press("ArrowRight")
        expect(slider).to_have_value("2")
        assert read() == of_epoch(2) and of_epoch(2)[2][0] in str(slider.get_attribute("aria-valuetext"))
        page.locator("#fig-curves svg").first.hover()  # waits until it stands still
        box = page.locator("#fig-curves svg").first.bounding_box()
        assert box
        page.mouse.move(box["x"] + 0.96 * box["width"], box["y"] + box["height"] / 2)
        expect(slider).to_have_value(str(last))
        assert read() == of_epoch(last)
        for chart, quantity in enumerate(("loss", "accuracy")):
            svg = page.locator("#fig-curves .charts svg").nth(chart)
            for at, (kind, *_) in enumerate(plots.SERIES):
                path = str(svg.locator(f"path.series-{at}").get_attribute("d"))
                heights = -np.array([float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", path)])
                assert np.corrcoef(heights, HISTORY[kind.format(quantity)])[0, 1] > 0.9999
        assert tab.faults == []

    @pytest.mark.parametrize(("options", "media"), [({"java_script_enabled": False}, "screen"), ({}, "print")])
    def test_paper_and_browsers_without_scripts_show_the_picture(
        self, visit: Open, options: dict[str, bool], media: str
    ) -> None:
        page = visit(**options).open("training")
        page.emulate_media(media=media)  # type: ignore[arg-type]
        page.locator("#fig-curves figcaption").scroll_into_view_if_needed()
        shown = page.locator("#fig-curves img").locator("visible=true")
        shown.wait_for()  # the one version that fits
        expect(page.locator("#fig-curves .curves")).not_to_be_visible()
        assert page.locator("details.history table").count() == 1

    @pytest.mark.parametrize(("scheme", "width"), [("light", 360), ("dark", 1440)])
    def test_the_curves_and_their_table_fit_and_are_accessible(self, visit: Open, scheme: str, width: int) -> None:
        tab = visit(color_scheme=scheme, viewport={"width": width, "height": 900})
        tab.open("training").locator("details.history summary").click()
        assert not tab.scrolls_sideways()
        assert tab.serious_faults("#fig-curves") == tab.serious_faults("details.history") == []
