"""What a person sees while a drill runs: a live panel on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

_LINE_EVERY_S = 5.0


@dataclass(slots=True)
class Figures:
    """The state of a run at one moment."""

    sent: int = 0
    settled: int = 0
    parked: int = 0
    by_vendor: Mapping[str, int] = field(default_factory=dict[str, int])

    def line(self) -> str:
        vendors = "  ".join(f"{vendor} {count}" for vendor, count in sorted(self.by_vendor.items()))
        return f"sent {self.sent}  answered {self.settled}  waiting in the queue {self.parked}  |  {vendors}"


class Screen:
    """Shows the acts as they pass and the figures of the present one. Writes to standard error."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._began = time.monotonic()
        self._past: list[str] = []
        self._present = ""
        self._figures = Figures()
        self._last_line = 0.0
        self._live = Live(console=self._console, refresh_per_second=4, transient=True)

    def __enter__(self) -> "Screen":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def act(self, title: str) -> None:
        """A new act begins."""
        if self._present:
            self._past.append(f"{self._present}  ({self._figures.line()})")
        self._present = title
        self._last_line = 0.0
        self._show()

    def note(self, line: str) -> None:
        """Something worth a line of its own."""
        self._console.print(f"{self._elapsed()} {line}", highlight=False, markup=False, soft_wrap=True)

    def update(self, figures: Figures) -> None:
        self._figures = figures
        self._show()

    def _show(self) -> None:
        if self._console.is_terminal:
            self._live.update(self._panel())
        elif time.monotonic() - self._last_line >= _LINE_EVERY_S:
            self._last_line = time.monotonic()
            self.note(f"{self._present}: {self._figures.line()}")

    def _panel(self) -> Group:
        past = [Text(f"  {line}", style="dim") for line in self._past]
        now = Text(f"{self._elapsed()} {self._present}", style="bold")
        return Group(*past, now, Text(f"  {self._figures.line()}"))

    def _elapsed(self) -> str:
        seconds = int(time.monotonic() - self._began)
        return f"[{seconds // 60}:{seconds % 60:02}]"


def print_table(title: str, rows: Mapping[str, object]) -> None:
    """A table of two columns, to standard error."""
    table = Table(title=title, show_header=False)
    table.add_column(justify="left")
    table.add_column(justify="right")
    for name, value in rows.items():
        table.add_row(name, str(value))
    Console(stderr=True).print(table)
