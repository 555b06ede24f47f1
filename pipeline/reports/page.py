"""From a template to a page that no browser will fetch or execute anything for."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.files import atomic

TEMPLATES = Path(__file__).parents[1] / "templates"
STYLE = "report.css"


def write_page(output: str | Path, template: str, **values: Any) -> None:
    """Render a template into a self-contained file, whole or not at all.

    Notes
    -----
    The page's own policy allows its style sheet, known by its hash, and nothing else: no script, no
    request, no style in an attribute. The same values give the same bytes.
    """
    style = (TEMPLATES / STYLE).read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    text = _environment().get_template(template).render(style=style, policy=policy, **values)
    with atomic(output) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="replace")


def signed(value: float, digits: int = 2) -> str:
    """Return a number with its sign, the minus as long as the plus."""
    text = f"{abs(value):.{digits}f}"
    return text if float(text) == 0 else f"{'−' if value < 0 else '+'}{text}"


def spaced(name: str) -> str:
    """Return a name of a label or column as words."""
    return str(name).replace("_", " ")


@cache
def _environment() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from pipeline.reports.charts import interval_bar

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"signed": signed, "spaced": spaced}
    environment.globals |= {"interval_bar": interval_bar}
    return environment
