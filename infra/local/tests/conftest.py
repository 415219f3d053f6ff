"""A small real program to supervise, and a state folder for it."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from allweather.local.child import Program
from allweather.local.ports import Ports
from allweather.local.state import StateFolder

# Answers /readyz, writes down when it starts and when it is told to stop, and fails in the ways that programs fail.
SERVER = """
import os, signal, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

name, port, journal, behaviour = sys.argv[1:5]

def note(what):
    with open(journal, "a") as file:
        file.write(f"{what} {name}\\n")

def stop(*_):
    note("stops")
    os._exit(0)

class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        if waits := behaviour == "never-ready" or (behaviour == "waits" and not os.path.exists(journal + ".go")):
            note("waits")
        self.send_response(503 if waits else 200)
        self.end_headers()
        if self.path == "/exit":
            os._exit(0)
    def log_message(self, *_):
        pass

if behaviour == "broken":
    print("no luck today", flush=True)
    sys.exit(3)
signal.signal(signal.SIGTERM, signal.SIG_IGN if behaviour == "stubborn" else stop)
note("starts")
HTTPServer(("127.0.0.1", int(port)), Answer).serve_forever()
"""

MakeProgram = Callable[..., Program]


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / "state")


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def make_program(tmp_path: Path, journal: Path) -> MakeProgram:
    """`make_program(name, behaviour)`: a program that serves, or is `broken`, `stubborn` or `never-ready`.

    One that `waits` is not ready before `journal.go` exists.
    """
    script = tmp_path / "server.py"
    script.write_text(SERVER)
    ports = Ports(0)

    def make(name: str, behaviour: str = "serves", *, ready_within: float = 20.0, grace: float = 10.0) -> Program:
        port = ports.probe(0, hash(name))
        return Program(
            name=name,
            command=(sys.executable, str(script), name, str(port), str(journal), behaviour),
            probe=f"http://127.0.0.1:{port}/readyz",
            port=port,
            environment=os.environ,
            folder=tmp_path,
            grace=grace,
            ready_within=ready_within,
        )

    return make
