"""The life of a service process: settings, signals, probes, a graceful stop, an exit code.

`__main__.py` of every service:

    from allweather.router.app import main
    from allweather.router.settings import Settings
    from allweather.runtime.service import run
    from allweather.telemetry.process import observed

    run("router", Settings, main, observed)
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack
from importlib.metadata import PackageNotFoundError, version
from typing import Generic, NoReturn, Protocol, TypeVar

import uvloop

from allweather.failpoints import Failpoints
from allweather.runtime import memory
from allweather.runtime.clock import Clock, SystemClock
from allweather.runtime.probes import Probes
from allweather.runtime.settings import ServiceSettings, SettingsError, describe

S = TypeVar("S", bound=ServiceSettings)
T = TypeVar("T")

STOPPED, CRASHED, BAD_SETTINGS = 0, 1, 2

log = logging.getLogger(__name__)


class Observed(Protocol):
    """Sets logs and traces up for a process and flushes them at its end."""

    def __call__(self, name: str, settings: ServiceSettings, /) -> AbstractContextManager[None]: ...


class Service(Generic[S]):
    """What `main` of a service is given: its settings, and the means to own things and to be told to stop.

    `main` returns once `stopping` is set; then its tasks are awaited, and what it owns is closed, newest first.
    """

    def __init__(self, name: str, settings: S) -> None:
        self.name = name
        self.settings = settings
        self.clock: Clock = SystemClock()
        self.probes = Probes(
            {"service": name, "version": _version(name), "instance": settings.instance, "pid": os.getpid()}
        )
        self.stopping = asyncio.Event()
        self._stack = AsyncExitStack()
        self._tasks = asyncio.TaskGroup()

    @property
    def failpoints(self) -> Failpoints:
        return self.settings.failpoints

    async def own(self, resource: AbstractAsyncContextManager[T]) -> T:
        """Enter `resource` now and leave it when the service has stopped."""
        return await self._stack.enter_async_context(resource)

    def spawn(self, work: Coroutine[object, object, None], *, name: str) -> asyncio.Task[None]:
        """Run `work` beside `main`; it must end once `stopping` is set. Its failure is the service's failure."""
        return self._tasks.create_task(work, name=name)

    def stop(self) -> None:
        """Ask for a graceful stop: not ready from now on, and `stopping` is set."""
        self.probes.stop()
        self.stopping.set()

    async def live(self, main: "Main[S]") -> None:
        """The whole life, from the first probe to the last thing closed."""
        async with self._stack:
            await self.own(self.probes.serving(self.settings.probe_host, self.settings.probe_port))
            log.info("service started", extra={"service": self.name, "probe_port": self.probes.port})
            if self.failpoints:
                log.warning("failpoints are armed", extra={"failpoints": repr(self.failpoints)})
            async with self._tasks:
                self.spawn(memory.tidying(self.stopping), name="memory")
                await main(self)
                self.stop()


Main = Callable[[Service[S]], Awaitable[None]]


def run(name: str, settings: type[S], main: Main[S], observed: Observed) -> NoReturn:
    """Run a service until it is told to stop, then exit: 0 stopped, 1 crashed (restart it), 2 bad settings.

    SIGTERM or SIGINT asks for a graceful stop, which `stop_timeout_s` limits; a second signal ends the process at once.
    """
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(usage(name, settings))  # noqa: T201 - help is the one thing that a service says on standard output
        sys.exit(STOPPED)
    try:
        values = settings.load()
        memory.settle()
        with observed(name, values):
            code = uvloop.run(_outcome(Service(name, values), main))
    except SettingsError as error:
        print(f"{name} cannot start:\n{error}", file=sys.stderr)  # noqa: T201 - there is no log to write to yet
        code = BAD_SETTINGS
    sys.exit(code)


def usage(name: str, settings: type[ServiceSettings]) -> str:
    """How to start the service, and every variable it reads: name, default, meaning."""
    rows = describe(settings)
    width = max(len(variable) for variable, _, _ in rows)
    lines = (f"  {variable:{width}}  {meaning} [{default or 'not set'}]" for variable, default, meaning in rows)
    return "\n".join([f"python -m allweather.{name.replace('-', '_')}", "", "Settings, from the environment:", *lines])


async def _outcome(service: Service[S], main: Main[S]) -> int:
    try:
        with _signals(service):
            await _within_limit(service, asyncio.create_task(service.live(main), name="service"))
    except Exception as error:
        cause = _sole(error)
        if isinstance(cause, SettingsError):
            raise cause from None
        log.critical("service crashed", exc_info=cause)
        return CRASHED
    log.info("service stopped", extra={"service": service.name})
    return STOPPED


async def _within_limit(service: Service[S], life: asyncio.Task[None]) -> None:
    """Await `life`; once a stop is asked for, only for so long: then it is cancelled and TimeoutError raised."""
    asked = asyncio.create_task(service.stopping.wait(), name="stop-asked")
    await asyncio.wait({life, asked}, return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    async with asyncio.timeout(service.settings.stop_timeout_s):
        await life


@contextlib.contextmanager
def _signals(service: Service[S]) -> Generator[None]:
    """The first signal asks for a graceful stop, the second ends the process where it is."""
    loop = asyncio.get_running_loop()
    received: list[signal.Signals] = []

    def receive(number: signal.Signals) -> None:
        if received:
            os._exit(128 + number)
        received.append(number)
        service.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, receive, number)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _version(name: str) -> str:
    try:
        return version(f"allweather-{name}")
    except PackageNotFoundError:
        return "unknown"


def _sole(error: Exception) -> Exception:
    """The one cause inside nested groups of one, which say nothing by themselves."""
    causes: tuple[Exception, ...] = getattr(error, "exceptions", ())
    return _sole(causes[0]) if len(causes) == 1 else error
