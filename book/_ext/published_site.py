"""Sphinx extension for what needs the address of the site or of its source.

REPORT_URL, the site's own address, adds a sitemap, a preview for links to its pages (OpenGraph), and a page for
addresses that are not found. REPORT_REPOSITORY, the address of the source on GitHub, adds buttons to the source of a
page, to edit it, to report an issue, and to open a chapter on Colab or Binder. Both come from the environment, so that
a fork's site names the fork.

``{{ source }}``
    In the prose, a link to the repository, or the words "the source" where it has no address.
``{setup-lines}``
    The first cell of a chapter opened on Colab, with the address of the repository.
"""

import os
from typing import Any
from urllib.parse import urlsplit

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

# The chapters say the same in a note that the site leaves out.
SETUP = "!git clone --depth 1 {repository} report\n%pip install -q ./report\n%cd report"


def address(name: str) -> str:
    """Return an address from the environment without its last slash, empty where it is not set."""
    value = os.environ.get(name, "").strip().rstrip("/")
    parts = urlsplit(value)
    if value and (parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment):
        raise ExtensionError(f"{name} is {value!r}; it must be an address such as https://example.org/report.")
    return value


def add_address(app: Sphinx, url: str) -> None:
    """Set up what needs the site's address."""
    for extension in ("sphinx_sitemap", "sphinxext.opengraph", "notfound.extension"):
        app.setup_extension(extension)
    config: Any = app.config
    config.html_baseurl = f"{url}/"
    config.sitemap_url_scheme = "{link}"
    config.sitemap_show_lastmod = False
    config.ogp_site_url = f"{url}/"
    config.ogp_site_name = config.html_title
    config.ogp_image = f"{url}/_static/screenshot.png"
    config.ogp_image_alt = "A right answer and an error of the network, each with Grad-CAM heat maps"
    config.ogp_social_cards = {"enable": False}
    config.notfound_urls_prefix = f"{urlsplit(url).path}/"


def add_repository(app: Sphinx, config: Config) -> None:
    """Add links and the theme's buttons to the source."""
    repository = address("REPORT_REPOSITORY")
    config.myst_substitutions["source"] = f"[the source]({repository})" if repository else "the source"
    if repository:
        config.html_theme_options |= {
            "repository_url": repository,
            "repository_branch": "main",
            "path_to_docs": "book",
            "use_repository_button": True,
            "use_edit_page_button": True,
            "use_issues_button": True,
        }
    if on_github(repository):
        config.html_theme_options["launch_buttons"] = {
            "colab_url": "https://colab.research.google.com",
            "binderhub_url": "https://mybinder.org",
            "notebook_interface": "jupyterlab",
        }


def on_github(repository: str) -> bool:
    """Return whether Colab and Binder can open notebooks of the repository."""
    return urlsplit(repository).netloc == "github.com"


class SetupLines(SphinxDirective):
    """``{setup-lines}``: the cell that fetches and installs the report where a chapter stands alone."""

    def run(self) -> list[nodes.Node]:
        """Return the lines as a block of code; without an address they hold a name to replace."""
        repository = address("REPORT_REPOSITORY") or "https://github.com/OWNER/REPOSITORY"
        return [nodes.literal_block("", SETUP.format(repository=repository), language="ipython")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Set up what the environment gives addresses for; raises `ExtensionError` for an invalid one."""
    url = address("REPORT_URL")
    address("REPORT_REPOSITORY")
    if url:
        add_address(app, url)
    app.add_directive("setup-lines", SetupLines)
    app.connect("config-inited", add_repository, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
