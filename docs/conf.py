"""How Sphinx builds these pages: `make docs`. Cells of tutorials and of the gallery run; a warning is an error.

Sphinx, because docstrings here are numpydoc's and the pages of ArviZ, xarray and PyMC are built by it too; MyST,
because the pages are Markdown that also reads well where the repository is read.
"""

from sphinx.application import Sphinx

import bayes_bm

project = "bayes_bm"
author = "bayes_bm contributors"
version = release = bayes_bm.__version__

extensions = ["sphinx.ext.autosummary", "sphinx.ext.mathjax", "numpydoc", "myst_nb"]
exclude_patterns = ["build", "planning"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 4
# the languages of a terminal and of files have no highlighter that would agree with their comments
suppress_warnings = ["misc.highlighting_failure"]

# not "cache": it knows the text of the cells, but not that the package below them has changed
nb_execution_mode = "force"
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_merge_streams = True
# progress of sampling goes to standard error and says nothing on a page
nb_output_stderr = "remove"

autosummary_generate = False
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_title = f"bayes_bm {version}"
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}


def lead_to_included(app: Sphinx, page: str, source: list[str]) -> None:
    """Let links to the changelog, which stands above these pages, lead to the page that includes it."""
    source[0] = source[0].replace("](../CHANGELOG.md)", "](changelog.md)")


def setup(app: Sphinx) -> None:
    """Connect what changes pages before they are read."""
    app.connect("source-read", lead_to_included)
