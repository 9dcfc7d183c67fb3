"""The templates of the report page: Jinja2 with autoescape on, so that no text of a user can break a page.

Only what writes a page imports this module: Jinja2 is not needed to import `bayes_bm` or to ask the command for help.
"""

from functools import cache, partial
from typing import Any

import jinja2

from bayes_bm.report.explanations import NAMELESS, Names, linked


@cache
def environment() -> jinja2.Environment:
    """Return the environment of `report/templates`; a name that a template misspells is an error, never a blank."""
    made: Any = jinja2.Environment(
        loader=jinja2.PackageLoader("bayes_bm.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["linked"] = linked
    return made


def render_template(name: str, *, names: Names = NAMELESS, **context: Any) -> str:
    """Return the text of a template with `context` filled in; texts say `names` in words.

    >>> from bayes_bm.report.tables import make_table, plain
    >>> text = render_template("elsewhere.html.jinja", made={"words": "", "figure": None, "table": make_table(
    ...     [{"arm": "a < b"}], [plain("arm", "arm")])})
    >>> "a &lt; b</th>" in text
    True
    """
    made: Any = environment().overlay()
    made.filters = {**made.filters, "linked": partial(linked, names=names)}
    text: str = made.get_template(name).render(**context)
    return text
