"""Lock the prices of the catalogue's models, as the genai-prices library knows them."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from allweather.cli.output import emit, fail
from allweather.prices.library import NAME, Unpriced, price
from allweather.prices.locking import locked

app = typer.Typer(no_args_is_help=True, help=__doc__, add_completion=False)

Folder = Annotated[Path, typer.Argument(metavar="[DIR]", help="The configuration folder.")]


@app.command()
def lock(
    folder: Folder = Path("config"),
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail when the file is stale.")] = False,
) -> None:
    """Write `prices.yaml`: the prices of today, or of the day that the file is of when it is only checked."""
    file = folder / "prices.yaml"
    before = file.read_text() if file.exists() else ""
    day: date = yaml.safe_load(before)["as_of"] if check and before else datetime.now(UTC).date()
    content = _content(folder, day)
    if check and content != before:
        fail(f"{file} is not what {NAME} and the catalogue say: run `make prices`")
    if not check:
        file.write_text(content)
    emit({"file": str(file), "source": NAME}, as_json=False, shown=f"{file} agrees with {NAME}")


@app.callback()
def prices() -> None:
    """Lock the prices of the catalogue's models, as the genai-prices library knows them."""


def _content(folder: Path, day: date) -> str:
    catalogue: Any = yaml.safe_load((folder / "catalogue.yaml").read_text())
    try:
        return locked(catalogue, day, price)
    except Unpriced as unpriced:
        fail(f"{unpriced}: write a `price` into its deployments")
