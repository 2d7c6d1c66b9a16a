"""The documentation: the site builds without a warning, asks no other host, and says what the code says."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import fields
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from conftest import CHROMIUM, CHROMIUM_ARGUMENTS

from onlm_lab import schema
from onlm_lab.arguments import parser
from onlm_lab.study import Study

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "deploy").rglob("*.md"), *DOCS.glob("*.md"), *DOCS.glob("reference/*.md")])
ROOMS = ("analysis", "results", "figures", "cohort", "schema", "imaging", "patches", "study", "virtual", "app")
# What other rooms and other people's code rely on; the design fixes these names.
PROMISED = (
    "cohort.load_cohort cohort.screen imaging.find_series imaging.read_series imaging.read_mask imaging.cut_patch "
    "analysis.roc analysis.compare_aucs analysis.choose_threshold analysis.operating_point analysis.assess_calibration "
    "analysis.net_benefit analysis.survival_net_benefit analysis.reclassification analysis.by_subgroup "
    "analysis.by_centre analysis.kaplan_meier analysis.cox analysis.interaction analysis.rmst "
    "analysis.time_dependent_auc analysis.uno_c analysis.brier_survival analysis.cumulative_incidence "
    "analysis.fine_gray app.cohort app.training app.cases app.performance app.outcomes runs.open_run runs.list_runs "
    "study.load_study"
).split()
FENCE = re.compile(r"^ *```(\w*)[^\n]*\n(.*?)^ *```", flags=re.MULTILINE | re.DOTALL)


class Asked(HTMLParser):
    """What a browser loads by itself when it opens a page: scripts, styles, pictures, frames, fonts."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        self.ids.add(said.get("id", ""))
        names = ("src", "srcset", "data", "poster", "action", *(("href",) if tag == "link" else ()))
        self.addresses += [said[name] for name in names if name in said]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site; a warning fails it, and no proxy or network is there to help."""
    out = tmp_path_factory.mktemp("site")
    env = {k: v for k, v in os.environ.items() if k.lower() not in ("http_proxy", "https_proxy", "all_proxy")}
    env |= {
        "https_proxy": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "PYTHONWARNINGS": "",
    }  # notices among Sphinx and its parts
    words = ["-m", "sphinx", "-E", "-n", "-W", "--keep-going", "-q", "-b", "html", "-d", str(out / "trees")]
    done = subprocess.run(
        [sys.executable, *words, str(DOCS), str(out / "html")], env=env, capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr[-1500:]
    return out / "html"


@pytest.fixture(scope="module")
def read(site):
    """path of each built page -> what it asks for, and the ids in it."""
    found = {}
    for path in sorted(site.rglob("*.html")):
        found[path.relative_to(site).as_posix()] = page = Asked()
        page.feed(path.read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def chromium():
    if CHROMIUM is None:
        pytest.skip("NO CHROMIUM on this machine: the site was NOT looked at. Install it: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def extension(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS / "extensions"))
    return importlib.import_module


def prose(text: str) -> str:
    """A page without its code."""
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", text))


def test_the_site_has_a_page_for_each_text_and_no_page_asks_another_host(site, read):
    assert len(read) >= len(list(DOCS.glob("*.md")) + list(DOCS.glob("reference/*.md")))
    for name, page in read.items():
        assert page.addresses, name
        for address in page.addresses:
            assert not re.match(r"\w+:|//", address) or address.startswith("data:"), f"{name} asks for {address}"
    for style in site.rglob("*.css"):
        text = re.sub(r"/\*.*?\*/", "", style.read_text(encoding="utf-8"), flags=re.DOTALL)
        for address in re.findall(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)", text):
            assert not re.match(r"(https?:)?//", "".join(address)), f"{style.name} asks for {address}"


@pytest.mark.browser
def test_the_browser_asks_no_other_host_for_a_page_of_the_site(site, chromium):
    page = chromium.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for name in ("index", "first_hour", "reference/analysis", "search"):
        page.goto((site / f"{name}.html").as_uri())
        page.wait_for_load_state("networkidle")
    page.close()
    assert len(asked) > 8
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


@pytest.mark.parametrize("width", [1440, 400])
@pytest.mark.browser
def test_no_page_of_the_site_is_wider_than_its_window(site, chromium, width):
    page = chromium.new_page(viewport={"width": width, "height": 900})
    for name in ("index", "dicom_trouble", "design", "reference/analysis", "reference/columns", "reference/study_toml"):
        page.goto((site / f"{name}.html").as_uri())
        page.wait_for_load_state()
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, name
    page.close()


def test_the_command_line_page_names_every_verb_and_every_option(site, read):
    (verbs,) = [a for a in parser()._actions if isinstance(a, argparse._SubParsersAction)]
    text = (site / "reference" / "command_line.html").read_text(encoding="utf-8")
    assert {f"onlm-{name}" for name in verbs.choices} <= read["reference/command_line.html"].ids
    for name, verb in verbs.choices.items():
        part = text[text.index(f'id="onlm-{name}"') :].partition("</section>")[0]
        options = [o for a in verb._actions if a.help != argparse.SUPPRESS for o in a.option_strings]
        assert [option for option in options if option not in ("-h", "--help") and option not in part] == [], name


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_of_a_room_has_an_entry_in_the_reference(read, room):
    names = importlib.import_module(f"onlm_lab.{room}").__all__
    assert [name for name in names if f"onlm_lab.{room}.{name}" not in read[f"reference/{room}.html"].ids] == []


def test_every_call_that_others_rely_on_has_an_entry_in_the_reference(read):
    ids = set().union(*(page.ids for page in read.values()))
    assert [name for name in PROMISED if f"onlm_lab.{name}" not in ids] == []


def test_the_settings_page_names_every_section_and_key_with_its_default(site):
    text = (site / "reference" / "study_toml.html").read_text(encoding="utf-8")
    for stage in fields(Study)[1:]:
        assert f"[{stage.name}" in text
    for key in ("locked_fraction", "solid_cut_hu", "seeds_per_fold", "landmark_days", "redcap_dictionary", "passes"):
        assert f'<span class="pre">{key}</span>' in text
    assert "disputed, so it is named with every result" in text and "-300.0" in text


def test_the_columns_page_names_every_column_of_the_dictionary(site):
    text = (site / "reference" / "columns.html").read_text(encoding="utf-8")
    named = set(re.findall(r'<span class="pre">(\w+)</span>', text))
    assert {column.name for column in schema.COLUMNS if column.table in schema.TABLES} <= named


def slugs(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and MyST make them."""
    heads = re.findall(r"^#+ (.+)$", FENCE.sub("", text), flags=re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", h).lower()).replace(" ", "-") for h in heads
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_of_a_page_leads_to_a_file_and_a_heading_that_are_there(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name) if name else page
        assert path.exists(), f"{target} is not there"
        text = path.read_text(encoding="utf-8") if path.suffix == ".md" else ""
        while stub := re.match(r"<!-- page: (\S+) -->", text):
            path = path.parent / stub[1]
            text = path.read_text(encoding="utf-8")
        if anchor and "<!-- generated:" not in text:
            assert anchor in slugs(text), f"{target}: no such heading"


def commands(text: str) -> list[str]:
    """What a page tells the reader to type of `onlm`: lines of indented blocks and of blocks without a language."""
    found = re.findall(r"^    (onlm .+)$", FENCE.sub("", text), flags=re.MULTILINE)
    for language, block in FENCE.findall(text):
        lines = re.sub(r"\\\n\s*", "", block).splitlines() if language in ("", "sh", "bash") else []
        found += [line.strip() for line in lines if line.strip().startswith("onlm ")]
    return [re.split(r"\s{3,}|\s&&\s|\s[|>]\s", line)[0] for line in found if "..." not in line]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_that_a_page_prints_is_one_that_onlm_takes(page, capsys):
    for line in commands(page.read_text(encoding="utf-8")):
        words = shlex.split(line, comments=True)[1:]
        try:
            parser().parse_args(words)
        except SystemExit as ended:
            assert ended.code in (0, None), f"{line}: {capsys.readouterr().err}"


def test_pages_print_commands_at_all():
    assert sum(len(commands(page.read_text(encoding="utf-8"))) for page in PAGES) > 30


def test_no_page_names_a_path_of_a_machine():
    for page in [*PAGES, ROOT / "CITATION.cff"]:
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"(?<![\w.])/(root|work|home|tmp|farm)/", text), page.name


def test_the_citation_says_what_the_package_says():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    assert citation["title"].startswith(PROJECT["name"])
    assert citation["authors"] == [{"name": "onlm_lab contributors"}]
    (reference,) = citation["references"]
    assert reference["identifiers"][0]["value"] == "NCT06684418" and reference["authors"]


def test_the_changelog_begins_with_the_version_of_the_package():
    first = re.search(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert PROJECT["version"] in first[1]


def test_a_link_is_moved_with_the_page_that_shows_a_file_from_outside(extension):
    pages = {"../CHANGELOG.md": "changelog.md"}
    moved = extension("outside_pages").moved_links
    text = "[a](nginx.conf) [b](../CHANGELOG.md#x) [c](https://x.org/y) [d](#here)"
    said = moved(text, file="../deploy/README.md", page="deploying.md", pages=pages)
    assert said == "[a](../deploy/nginx.conf) [b](changelog.md#x) [c](https://x.org/y) [d](#here)"
    assert moved("[a](../a.md)", file="reference/x.md", page="reference/x.md", pages=pages) == "[a](../a.md)"


def test_the_other_calls_of_a_module_are_those_that_the_page_has_not_named(extension):
    text = "<!-- generated: calls onlm_lab.virtual Trial -->\n\n<!-- generated: calls onlm_lab.virtual others -->"
    first, second = extension("generated_parts").generated(text).split("\n\n```{eval-rst}")
    assert ".. autoclass:: onlm_lab.virtual.Trial" in first and "Trial\n" not in second
    assert ".. autofunction:: onlm_lab.virtual.draw_trial" in second and "write_trial" in second


def test_errors_get_their_page_and_shared_descriptions_stay_in_one_entry(extension):
    lines = extension("docstring_words").sphinx_lines(
        [":raises OnlmError: x", ":raises KeyError: x", ":ivar low, high: y"]
    )
    assert lines == [":raises onlm_lab.errors.OnlmError: x", ":raises KeyError: x", ":ivar low/high: y"]


def test_a_doi_becomes_a_link_without_the_sign_that_ends_the_sentence(extension):
    before, link, after = extension("doi_links").linked("DeLong (1988, doi:10.2307/2531595).")
    assert link["refuri"] == "https://doi.org/10.2307/2531595" and after == ")." and before.endswith(", ")
    assert extension("doi_links").linked("no address") == []
    (old,) = extension("doi_links").dois("(Youden, doi:10.1002/1097-0142(1950)3:1<32::aid-cncr2820030106>3.0.co;2-3).")
    assert old[2] == "10.1002/1097-0142(1950)3:1<32::aid-cncr2820030106>3.0.co;2-3"


def test_a_source_is_told_with_its_authors_and_never_with_those_of_the_one_before(extension):
    told = extension("statistics_sources").sources_in
    assert told("(Cox 1958; Steyerberg et al. 2004, doi:10.1002/sim.1844):") == [
        "Steyerberg et al. 2004, doi:10.1002/sim.1844"
    ]
    assert told("by Benjamini and Hochberg (1995, doi:10.1/a.x).") == []  # no such prefix
    assert told("by Benjamini and Hochberg (1995, doi:10.1111/a.x).") == [
        "Benjamini and Hochberg 1995, doi:10.1111/a.x"
    ]
    assert told("Cox 1958; and another (doi:10.1111/b)") == ["doi:10.1111/b"]
