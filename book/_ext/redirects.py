"""Sphinx extension for retired pages: the old address leads to the page that holds their content now.

`redirects = {"scaling": "benchmarks"}` in the configuration, names without ".html"; the target may end in "#anchor".
"""

import html
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import ConfigError

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="robots" content="noindex">
<meta http-equiv="refresh" content="0; url={address}">
<link rel="canonical" href="{address}">
<title>{title}</title>
</head>
<body>
<p>This page is gone. Its content is now in <a href="{address}">{title}</a>.</p>
</body>
</html>
"""


def check(app: Sphinx, env: object, docnames: list[str]) -> None:
    """Raise `ConfigError` for a name that is still a page, and for a target that is none."""
    for old, new in app.config.redirects.items():
        if old in app.env.found_docs or new.partition("#")[0] not in app.env.found_docs:
            raise ConfigError(f"redirects leads from {old} to {new}; only the second must be a page.")


def write(app: Sphinx, error: Exception | None) -> None:
    """Write a page for each old name, where the site has a file for each page."""
    if error is not None or app.builder.name != "html":
        return
    for old, new in app.config.redirects.items():
        page, sign, anchor = new.partition("#")
        title = app.env.titles[page].astext()
        text = PAGE.format(address=html.escape(f"{page}.html{sign}{anchor}"), title=html.escape(title))
        (Path(app.outdir) / f"{old}.html").write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Take the configuration value and connect the steps."""
    app.add_config_value("redirects", {}, "html")
    app.connect("env-before-read-docs", check)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
