"""Make the topics that the file describes, and see whether the brokers agree with it."""

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from allweather.contracts import config
from allweather.messaging import topics
from allweather.messaging.topics import Difference, Topic

app = typer.Typer(no_args_is_help=True, help=__doc__, add_completion=False)

Bootstrap = Annotated[
    str, typer.Option(envvar="ALLWEATHER_KAFKA_BOOTSTRAP", help="Where the brokers are: host:port,host:port.")
]
File = Annotated[Path, typer.Option("--file", help="The topics file.")]
Folder = Annotated[
    Path, typer.Option("--config", envvar="ALLWEATHER_CONFIG_DIR", help="The configuration folder, for its tenants.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One line of JSON.")]

_FILE = Path("infra/kafka/topics.yaml")
_CONFIG = Path("config")


@app.command()
def apply(bootstrap: Bootstrap, file: File = _FILE, folder: Folder = _CONFIG, as_json: AsJson = False) -> None:
    """Make what is missing. Topics that exist are never altered: differences are reported, and the exit code is 1."""
    done = asyncio.run(topics.provision(bootstrap, _wanted(file, folder)))
    if not as_json:
        typer.echo("".join(f"made {name}\n" for name in done.created), nl=False)
    _report(done.differences, as_json=as_json, created=done.created)


@app.command()
def check(bootstrap: Bootstrap, file: File = _FILE, folder: Folder = _CONFIG, as_json: AsJson = False) -> None:
    """Report where the brokers differ from the file; the exit code is 1 if they do."""
    _report(asyncio.run(topics.differences(bootstrap, _wanted(file, folder))), as_json=as_json)


def _wanted(file: Path, folder: Path) -> tuple[Topic, ...]:
    known = config.load(folder)
    return topics.expand(topics.load(file), [t.id for t in known.tenants], [v.id for v in known.vendors])


def _report(differences: tuple[Difference, ...], *, as_json: bool, created: tuple[str, ...] = ()) -> None:
    if as_json:
        typer.echo(json.dumps({"created": created, "differences": [asdict(each) for each in differences]}))
    else:
        typer.echo("\n".join(map(str, differences)) or "the brokers agree with the file")
    if differences:
        raise typer.Exit(1)
