"""The pages' HTML by the rules of html-validate, as written and as the scripts complete it.

Needs Node: html-validate is installed once, by the lock file in tests/site/web/, into the user's cache.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from visiting import CHROMIUM, Open

WEB = Path(__file__).parent / "web"
NPM, NODE = shutil.which("npm"), shutil.which("node")

pytestmark = [pytest.mark.slow, pytest.mark.skipif(NPM is None or NODE is None, reason="there is no Node with npm")]

THEIR_BUTTON = r"at #(pst-[\w-]+|main-content) > (?!.*\barticle\b).*button\b"
# What Sphinx, myst-nb and the theme write, and nobody here can change: rule, what it says or where, whose it is.
THEIRS = (
    ("element-permitted-content", r"<p> element is not permitted as content under <summary>", "myst-nb's folded cells"),
    ("empty-heading", r"genindex\.html", "the theme's index page"),
    ("prefer-tbody", r"genindex\.html", "Sphinx' index page"),
    ("no-implicit-button-type", THEIR_BUTTON, "the theme's bars, which are outside forms"),
    ("text-content", THEIR_BUTTON, "its buttons with icons, which it names when the page is there"),
    ("no-redundant-role", r"Redundant role .main. on <main>", "the theme's frame"),
    ("prefer-native-element", r"#pst-primary-sidebar > .* > p", "the captions of its table of contents"),
    ("wcag/h32", r"#pst-search-dialog > form|search\.html", "the theme's search, sent by the enter key"),
)
# Page -> (a part that a script writes, what makes it appear).
PARTS = {
    "explorer": ("section.explorer", lambda page: page.locator(".explorer ul.tiles button").first.click()),
    "training": ("#fig-curves", lambda page: page.locator("#fig-curves input").press("Home")),
    "gradcam": ("#link-tip", lambda page: page.locator('a[href="glossary.html#term-logit"]').first.hover()),
}


@pytest.fixture(scope="module")
def validator() -> Path:
    """The program, from the cache, or installed into it."""
    lock = hashlib.sha256((WEB / "package-lock.json").read_bytes()).hexdigest()[:12]
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gradcam-report" / f"web-{lock}"
    program = folder / "node_modules" / "html-validate" / "bin" / "html-validate.mjs"
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(WEB / name, folder)
        command = [str(NPM), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"npm could not install html-validate: {done.stderr[:200]}")
    return program


def faults(validator: Path, folder: Path, report: Path) -> list[tuple[str, str]]:
    """(rule, where and what) of each fault in the pages of a folder that is ours; `report` is written."""
    command = [str(NODE), str(validator), "--config", str(WEB / "htmlvalidate.json"), "--formatter", "json"]
    with report.open("w") as out:  # into a pipe it writes no more than 64 KiB
        done = subprocess.run([*command, *map(str, sorted(folder.glob("*.html")))], stdout=out, stderr=subprocess.PIPE)
    assert done.returncode in (0, 1), done.stderr.decode()
    found = []
    for page in json.loads(report.read_text(encoding="utf-8")):
        for fault in page["messages"]:
            where = fault.get("selector") or fault["line"]
            text = f"{Path(page['filePath']).name}: {fault['message']} at {where}"
            if not any(rule == fault["ruleId"] and re.search(words, text) for rule, words, _ in THEIRS):
                found.append((fault["ruleId"], text))
    return found


def test_the_pages_are_well_formed_but_for_what_the_theme_writes(validator: Path, site: Path, tmp_path: Path) -> None:
    assert faults(validator, site, tmp_path / "found.json") == []
    (tmp_path / "bad.html").write_text('<p><button>x</button><img src="x.png"></p><p id="a"></p><p id="a"></p>')
    found = {rule for rule, _ in faults(validator, tmp_path, tmp_path / "found.json")}
    assert found >= {"no-implicit-button-type", "wcag/h37", "no-dup-id"}, "a fault of our own would be found"


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_what_the_scripts_add_is_well_formed(validator: Path, visit: Open, tmp_path: Path) -> None:
    for name, (part, use) in PARTS.items():
        page = visit().open(name)
        use(page)
        page.locator(part).wait_for()
        made = re.sub(r'"data:[^"]*"', '"x.webp"', str(page.locator(part).evaluate("(part) => part.outerHTML")))
        assert len(made) > 100
        (tmp_path / f"{name}.html").write_text(made, encoding="utf-8")
    assert faults(validator, tmp_path, tmp_path / "found.json") == []
