"""Write, or with --check compare, everything under schemas/ that is generated from the models.

schemas/<event>.v1.json     JSON Schema of the event's value
schemas/examples/*.json     one golden example of each event
schemas/asyncapi.yaml       the topics, who sends and who receives, with the same schemas and examples
schemas/released/           schemas as last released; a change that cannot read their records is refused
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import yaml

from allweather.contracts import asyncapi
from allweather.contracts.compatibility import backward_faults
from allweather.contracts.examples import all_examples
from allweather.contracts.records import EventType
from allweather.contracts.schemas import schema

HERE = Path(__file__).parent
RELEASED = HERE / "released"


def generated() -> dict[Path, str]:
    """Every generated file with its content."""
    files = {HERE / f"{event}.v1.json": _json(schema(event)) for event in EventType}
    for example in reversed(all_examples()):
        files[HERE / "examples" / f"{example.event}.json"] = _json(example.to_plain())
    files[HERE / "asyncapi.yaml"] = yaml.safe_dump(asyncapi.document(), sort_keys=False, width=120, allow_unicode=True)
    return files


def incompatibilities() -> list[str]:
    """Every fault of today's schemas against the released ones."""
    faults: list[str] = []
    for path in sorted(RELEASED.glob("*.json")):
        old = json.loads(path.read_text())
        event = EventType(old["title"])
        faults += [f"{path.name} {fault}" for fault in backward_faults(old, schema(event))]
    return faults


def drift(files: dict[Path, str]) -> list[str]:
    """Files that differ from what the models say."""
    return [
        str(path.relative_to(HERE)) for path, text in files.items() if not path.exists() or path.read_text() != text
    ]


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 on drift or incompatibility")
    parser.add_argument("--release", action="store_true", help="also record today's schemas as released")
    arguments = parser.parse_args()
    files = generated()
    if arguments.release:
        files |= {RELEASED / f"{event}.v1.json": _json(schema(event)) for event in EventType}
    problems = [f"incompatible: {fault}" for fault in incompatibilities()]
    if arguments.check:
        problems += [f"differs from the models, run `make schemas`: {name}" for name in drift(files)]
    else:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    print("\n".join(problems) or f"{len(files)} files {'agree' if arguments.check else 'written'}")  # noqa: T201 -- a command
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
