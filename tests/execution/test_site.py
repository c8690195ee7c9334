"""The site of a run: what it is built from, and why a build failed."""

import shutil
from pathlib import Path

import pytest
import yaml

from gradcam_report.config import ReportError
from gradcam_report.execution import serve, site
from gradcam_report.runs.folder import RunFolder

TOP = Path(__file__).parents[2]


def test_a_runs_site_has_the_runs_chapters_the_books_pages_and_says_whose_it_is(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = []
    monkeypatch.setattr(site, "build", lambda *folders: built.append(folders))
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(TOP / name, project)
    (project / "book" / "_static").mkdir()
    (project / "book" / "_static" / "logo.svg").write_text("logo")
    (project / "book" / "data.ipynb").write_text("committed")
    (project / "runs" / "x" / "book").mkdir(parents=True)
    (project / "runs" / "x" / "book" / "data.ipynb").write_text("executed")
    folder = RunFolder("runs/x")
    assert site.build_run(folder) == folder / site.INDEX
    assert built == [(folder / "book", folder.path, folder.path)]
    assert (folder / "book" / "data.ipynb").read_text() == "executed"
    assert (folder / "book" / "_static" / "logo.svg").exists() and (folder / "book" / "index.md").exists()
    options = yaml.safe_load((folder / "_config.yml").read_text())["sphinx"]["config"]["html_theme_options"]
    assert "runs/x" in options["announcement"]


@pytest.mark.slow
def test_a_build_that_fails_gives_the_reason_in_a_sentence(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(TOP)
    monkeypatch.setenv("REPORT_URL", "me.github.io/x")
    with pytest.raises(ReportError, match=r"REPORT_URL is 'me\.github\.io/x'; it must be an address") as caught:
        site.build(TOP / "book", tmp_path, TOP)
    assert "\n" not in str(caught.value) and (tmp_path / "_build" / "build.log").exists()


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("reading\n/x/book/a.md:3: WARNING: unknown document: 'b'\nbuild finished", "/x/book/a.md:3: WARNING: unknown"),
        ("Traceback\nsphinx.errors.ExtensionError: A is wrong.\nRuntimeError: \n====", "A is wrong"),
        ("nothing", "no reason"),
    ],
)
def test_the_reason_is_found_in_the_log(log: str, words: str) -> None:
    assert words in site.reason(log)


def test_a_built_site_is_served_on_this_machine_alone(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ReportError, match="runs/x holds no built site"):
        serve.find_site("runs/x")
    pages = project / "runs" / "x" / "_build" / "html"
    pages.mkdir(parents=True)
    (pages / "index.html").write_text("here")
    assert serve.find_site("runs/x") == serve.find_site(str(pages)) == str(pages)
    served: list[tuple[str, int]] = []
    monkeypatch.setattr(serve.ThreadingHTTPServer, "serve_forever", lambda self: served.append(self.server_address))
    serve.serve("runs/x", 0)
    assert served[0][0] == "127.0.0.1" and served[0][1] > 0
