"""How the documentation site is built: `make docs`. Nothing is fetched: no inventory, font or script of others."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "extensions"), str(HERE.parent)]

_PROJECT = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
project = _PROJECT["name"]
release = version = _PROJECT["version"]
author = "onlm_lab contributors"
copyright = f"{author}. {_PROJECT['license']}"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "outside_pages",
    "generated_parts",
    "docstring_words",
    "doi_links",
]
exclude_patterns = ["_build", "extensions", "static"]
nitpicky = True
# Types of other packages have no page here, and what a module keeps to itself has none either.
nitpick_ignore_regex = [
    ("py:.*", r"(anywidget|collections|datetime|ipywidgets|np|numpy|os|pandas|pathlib|pd|plotly|typing)\..*|Path"),
    ("py:class", r"onlm_lab\.(cohort\.conditions|imaging\.(header|regular|faults)|virtual\.(world|phantom))\..*"),
    ("py:class", r"onlm_lab\.(schema\.(sheets|redcap)|figures\.hundred)\..*|Settings"),
]
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist"]
default_role = "code"  # of docstrings: `one backtick` is code there

autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 90
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"onlm_lab {version}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True

linkcheck_timeout = 30
linkcheck_retries = 2
linkcheck_ignore = [r"https?://(localhost|127\.0\.0\.1).*", r"tcp://.*"]
linkcheck_anchors = False


def setup(app: object) -> None:
    """What Pygments has no colours for is plain text."""
    from pygments.lexers.special import TextLexer

    for name in ("notes", "csv"):
        app.add_lexer(name, TextLexer)
