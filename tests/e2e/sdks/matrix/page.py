"""The support matrix as a page."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

from matrix.cells import Cell, Matrix

PAGE: Final = "support-matrix.md"
APIS: Final = (
    *("Chat Completions", "Responses", "Embeddings", "Messages", "Files and batches", "Message batches", "Models"),
)
"""In the order of the page; the last resort of an API that is not here is the end."""
HEAD: Final = """# What works with which vendor

Written by `make matrix` from `support-matrix.json`, which the tests of [`tests/e2e/sdks`](../../tests/e2e/sdks) leave
behind: the official clients, unmodified, ask a whole running system, with the simulated vendors behind it. A cell says
what a test has shown:

- **yes**: the test passed with this vendor as the only candidate.
- **`field`** (the name of one): this vendor cannot be asked that. With no other candidate the request is refused before
  any vendor is called, and the error names this field and, unless it is the model itself, the deployments that could
  serve it; with another candidate behind the route, that one answers.
- empty: not tested.

The asynchronous clients of OpenAI and Anthropic ask at every vendor, the synchronous ones the same at one vendor.
"""


def rendered(matrix: Matrix) -> str:
    """The page of a matrix."""
    return HEAD + "".join(part for sdk, cells in _by_client(matrix.cells) for part in _client(sdk, cells, matrix))


def save(matrix: Matrix, folder: Path) -> None:
    """Leave the page in `folder`."""
    (folder / PAGE).write_text(rendered(matrix))


def _by_client(cells: Sequence[Cell]) -> Iterator[tuple[str, list[Cell]]]:
    clients = list(dict.fromkeys(cell.sdk for cell in cells))
    ordered = sorted(cells, key=lambda cell: (clients.index(cell.sdk), _place(cell.api)))
    return ((sdk, list(of)) for sdk, of in groupby(ordered, lambda cell: cell.sdk))


def _place(api: str) -> int:
    return APIS.index(api) if api in APIS else len(APIS)


def _client(sdk: str, cells: list[Cell], matrix: Matrix) -> Iterator[str]:
    yield f"\n## {sdk} {matrix.packages[sdk]}\n"
    for api, of in groupby(cells, lambda cell: cell.api):
        yield from _api(api, list(of), matrix.vendors)


def _api(api: str, cells: list[Cell], vendors: Sequence[str]) -> Iterator[str]:
    by_vendor = [cell for cell in cells if cell.vendor]
    if by_vendor:
        yield f"\n| {api} | {' | '.join(vendors)} |\n|---|{'---|' * len(vendors)}\n"
        for feature, of in _by_feature(by_vendor):
            found = {cell.vendor: cell for cell in of}
            yield f"| {feature} | {' | '.join(_said(found.get(vendor)) for vendor in vendors)} |\n"
    if len(by_vendor) < len(cells):
        yield f"\n| {api}, whatever the vendor | |\n|---|---|\n"
        yield from (f"| {feature} | yes |\n" for feature, _ in _by_feature([c for c in cells if not c.vendor]))


def _by_feature(cells: list[Cell]) -> Iterator[tuple[str, list[Cell]]]:
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        found.setdefault(cell.feature, []).append(cell)
    return iter(found.items())


def _said(cell: Cell | None) -> str:
    if cell is None:
        return ""
    return f"`{cell.refused}`" if cell.refused else "yes"
