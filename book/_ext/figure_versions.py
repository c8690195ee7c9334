"""Sphinx extension: figures for dark pages and for phones.

A chapter's output holds, beside a figure's PNG, the figure drawn for dark pages and for phones, under types such as
``application/x.figure-dark-narrow+webp``. MyST-NB shows the PNG, with caption, number and alternative text. This
extension puts the other versions beside it; style sheets show the one that fits (`only-light` and `only-dark` are the
theme's, `only-wide` and `only-narrow` those of report.css). A browser loads no version that it does not show.

Figures that chapters write as HTML hold their versions as data addresses; they become files, so that the same holds
for them. On one page, as it is printed, each figure stands once, as the PNG.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

VERSION = re.compile(r"application/x\.figure-(light|dark)(-narrow)?\+webp")
# Not the explorer's pictures: a page that is opened from a folder may not read the pixels of a file.
DATA = re.compile(
    r'(<(?:img|source)(?! class="(?:sprite|maps|near)")[^>]* (?:src|srcset)=")data:image/webp;base64,([\w+/=]+)"'
)
DARK = re.compile(r'<picture>(?:<source[^>]*>)?<img class="only-dark"[^>]*></picture>|<img class="only-dark"[^>]*>')
SIZE = re.compile(r'style="width: (\d+)px; height: (\d+)px;"')


def outputs(notebook: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield each output of a notebook (nbformat 4, as parsed JSON) that holds a PNG."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                yield output


def decoded(text: str | list[str]) -> bytes:
    """Return the bytes of a base64 text, which a notebook may hold as lines."""
    return base64.b64decode("".join(text))


def classes(dark: bool, narrow: bool, looks: set[tuple[bool, bool]]) -> list[str]:
    """Return the classes of a version, one for each thing in which the figure has versions."""
    theme = ["only-dark" if dark else "only-light"] if any(d for d, _ in looks) else []
    return theme + (["only-narrow" if narrow else "only-wide"] if any(n for _, n in looks) else [])


def add_versions(app: Sphinx, doctree: nodes.document) -> None:
    """Put the versions of each figure of a chapter beside it."""
    source = Path(app.env.doc2path(app.env.docname))
    if source.suffix != ".ipynb":
        return
    found = {
        hashlib.sha256(decoded(output["data"]["image/png"])).hexdigest(): output
        for output in outputs(json.loads(source.read_text(encoding="utf-8")))
    }
    for image in list(doctree.findall(nodes.image)):
        if output := found.get(Path(image["uri"]).stem):
            _add_versions(app, image, output)


def _add_versions(app: Sphinx, image: nodes.image, output: dict[str, Any]) -> None:
    versions = {kind: match for kind in output["data"] if (match := VERSION.fullmatch(kind))}
    if not versions:
        return
    looks = {kind: (match[1] == "dark", bool(match[2])) for kind, match in versions.items()}
    every = {*looks.values(), (False, False)}
    image["loading"] = "lazy"
    group = nodes.container("", classes=["figure-versions"])
    image.replace_self(group)
    group += image
    for kind, (dark, narrow) in looks.items():
        other = image.deepcopy()
        other["uri"] = _file(app, image["uri"], decoded(output["data"][kind]))
        other["classes"] = [*image["classes"], "version", *classes(dark, narrow, every)]
        for side, pixels in output.get("metadata", {}).get(kind, {}).items():
            other[side] = str(pixels)
        other["ids"], other["names"] = [], []
        group += other
    image["classes"] = [*image["classes"], *classes(False, False, every)]


def _file(app: Sphinx, beside: str, content: bytes) -> str:
    """Write a version beside the PNG, which is at the address `beside`; returns its address."""
    name = f"{hashlib.sha256(content).hexdigest()}.webp"
    folder = Path(app.srcdir) / Path(beside).parent.relative_to("/")
    (folder / name).write_bytes(content)
    return str(Path(beside).with_name(name).as_posix())


def know_versions(app: Sphinx, config: Config) -> None:
    """Let MyST-NB pass over the types of the versions, which this extension reads, without a warning."""
    config.suppress_warnings = [*config.suppress_warnings, "mystnb.unknown_mime_type"]


def keep_one(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Leave out the versions where the output is one page, for print."""
    if app.builder.name == "singlehtml":
        for image in list(doctree.findall(nodes.image)):
            if "version" in image["classes"]:
                image.parent.remove(image)
            else:
                image["classes"] = [name for name in image["classes"] if not name.startswith("only-")]


def finish_page(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document) -> None:
    """Make files of the pictures that a page holds as data addresses, and write sizes as attributes."""
    if "body" not in context:
        return
    if app.builder.name == "singlehtml":  # as it is printed, without the dark
        context["body"] = DARK.sub("", context["body"])
        return
    folder = Path(app.outdir) / "_images"
    up = "../" * page.count("/")

    def moved(match: re.Match[str]) -> str:
        content = decoded(match[2])
        name = f"{hashlib.sha256(content).hexdigest()}.webp"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        return f'{match[1]}{up}_images/{name}"'

    # As attributes the sizes keep the place of an image that is not loaded yet, at whatever width.
    context["body"] = SIZE.sub(r'width="\1" height="\2"', DATA.sub(moved, context["body"]))


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the changes; the versions are added before Sphinx collects the images."""
    app.connect("config-inited", know_versions)
    app.connect("doctree-read", add_versions, priority=100)
    app.connect("doctree-resolved", keep_one)
    app.connect("html-page-context", finish_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
