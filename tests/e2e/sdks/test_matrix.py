"""The page says what the tests say, no more and no less. Nothing is started here."""

from pathlib import Path

import pytest
from matrix import cells, declared, page

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"


@pytest.fixture
def matrix() -> cells.Matrix:
    return cells.read(REFERENCE)


def test_the_page_is_that_of_the_last_run(matrix: cells.Matrix) -> None:
    assert (REFERENCE / page.PAGE).read_text() == page.rendered(matrix), "run `make matrix`"


def test_every_cell_has_its_test_and_every_test_its_cell(matrix: cells.Matrix) -> None:
    filled = {(cell.sdk, cell.api, cell.feature, cell.vendor): cell.test for cell in matrix.cells}

    assert filled == declared.features(Path(__file__).parent), "run `make matrix`"


def test_the_last_run_was_with_the_clients_that_are_locked(matrix: cells.Matrix) -> None:
    assert matrix.packages == cells.of([]).packages, "run `make matrix`"
    assert matrix.vendors == cells.VENDORS, "run `make matrix`"
