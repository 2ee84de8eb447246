"""Where the plots, the table and the words of a gating tree go on the page. Inches from the lower left corner."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from nti7flow.plot.placing import Rect

#: The page: 1,600 px wide; its margin, the height of the title, and of a line at the foot.
WIDTH, EDGE, HEADER, LINE = 16.0, 0.2, 0.75, 0.19
#: Room around the axes of a plot, and their height over their width.
LEFT, RIGHT, ABOVE, BELOW = 0.75, 0.15, 0.42, 0.62
ASPECT = 0.86


@dataclass(frozen=True, slots=True)
class Plan:
    """Where everything goes, inches."""

    n_panels: int
    n_columns: int
    height: float
    table_height: float

    @classmethod
    def of(cls, n_panels: int, table_height: float, n_lines: int) -> Plan:
        """Three or four columns, whichever leaves fewer cells empty; the table comes after the last plot."""
        cells = n_panels + 1
        n_columns = min((3, 4), key=lambda n: (-cells % n, ceil(cells / n)))
        n_rows = ceil(cells / n_columns)
        last_row = max(_cell_height(n_columns), table_height + ABOVE)
        height = HEADER + (n_rows - 1) * _cell_height(n_columns) + last_row + EDGE + n_lines * LINE
        return cls(n_panels, n_columns, height, table_height)

    def frame(self, i: int) -> Rect:
        """Axes of the i-th plot."""
        left, top = self._corner(i)
        width = _frame_width(self.n_columns)
        return Rect(left + LEFT, top - ABOVE - ASPECT * width, left + LEFT + width, top - ABOVE)

    @property
    def table(self) -> Rect:
        """What is left in the last row."""
        left, top = self._corner(self.n_panels)
        return Rect(left + 0.3, top - ABOVE - self.table_height, WIDTH - EDGE - RIGHT, top - 0.1)

    def _corner(self, i: int) -> tuple[float, float]:
        """Left and top of the i-th cell."""
        row, column = divmod(i, self.n_columns)
        return EDGE + column * _cell_width(self.n_columns), self.height - HEADER - row * _cell_height(self.n_columns)


def _cell_width(n_columns: int) -> float:
    return (WIDTH - 2 * EDGE) / n_columns


def _frame_width(n_columns: int) -> float:
    return _cell_width(n_columns) - LEFT - RIGHT


def _cell_height(n_columns: int) -> float:
    return ABOVE + ASPECT * _frame_width(n_columns) + BELOW
