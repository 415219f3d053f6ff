import signal
import subprocess
import sys

_HOLDING = """
import asyncio
from contextlib import asynccontextmanager
from allweather.local import foreground

@asynccontextmanager
async def held():
    print("held", flush=True)
    try:
        yield
    finally:
        await asyncio.sleep(0)
        print("let go", flush=True)

async def main():
    async with held():
        await asyncio.Event().wait()

foreground.run(main())
"""


def test_a_command_that_is_told_to_end_lets_go_of_what_it_holds() -> None:
    command = subprocess.Popen((sys.executable, "-c", _HOLDING), stdout=subprocess.PIPE, text=True)
    assert command.stdout is not None
    assert command.stdout.readline() == "held\n"

    command.send_signal(signal.SIGTERM)
    said, _ = command.communicate(timeout=30)

    assert said == "let go\n"
    assert command.returncode == 128 + signal.SIGTERM
