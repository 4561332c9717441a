"""What the report is made of: pictures, and a way to ask for their rows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jobs.serve import charts
from jobs.serve.printing import inert

Ask = Callable[[str], list[dict[str, Any]]]


@dataclass(frozen=True)
class Figure:
    """One picture of the page: its heading, what it says, and the drawing as SVG."""

    heading: str
    says: str
    svg: str


def figure(heading: str, says: str, chart: charts.Drawing) -> Figure:
    """Draw a chart as SVG, offline; a character that no XML may hold would end the process, and is spelled out."""
    import vl_convert

    return Figure(heading, says, vl_convert.vegalite_to_svg(inert(chart)))
