"""What the tests of this folder stand on: a vendor as its route shows it, and both kinds of client through one."""

import asyncio
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import anthropic
import openai
import pytest

from allweather.contracts.config import Configuration
from allweather.contracts.slip import Capability, Parameter

REFUSALS: Final = (openai.BadRequestError, anthropic.BadRequestError)


@dataclass(frozen=True)
class Door:
    """What a client is given to reach the running system."""

    url: str
    key: str


@dataclass
class Vendor:
    """A vendor behind a route of its own, and what the catalogue says that it can be asked."""

    id: str
    deployment: str
    declares: frozenset[Capability | Parameter]
    refused: str | None = None
    """The field that was named, once something was refused."""

    @property
    def model(self) -> str:
        """The route with this vendor as its only candidate."""
        return f"only-{self.id}"

    @property
    def first(self) -> str:
        """The route with this vendor in front of all others."""
        return f"first-{self.id}"

    @contextmanager
    def asked(self, *wishes: Capability | Parameter, field: str) -> Generator[None]:
        """What is asked inside is answered where the catalogue declares all of it, else refused, naming `field`."""
        if self.declares.issuperset(wishes):
            yield
            return
        with pytest.raises(REFUSALS, match=field) as refused:
            yield
        assert refused.value.response.headers["x-allweather-attempts"] == "0", "no vendor was called"
        assert field == "model" or "These could: " in str(refused.value), "a model of the wrong kind has no substitute"
        self.refused = field


def standing(name: str, configuration: Configuration) -> Vendor:
    """The vendor of that name."""
    return standing_at(f"only-{name}", name, configuration)


def standing_at(route_id: str, name: str, configuration: Configuration) -> Vendor:
    """The vendor of that name behind that route."""
    route = configuration.route(route_id)
    assert route is not None, "the configuration of these tests has a route for each vendor"
    deployment = configuration.deployment(route.candidates[0])
    said = configuration.vendor(name).parameters or ()
    return Vendor(name, deployment.id, frozenset({*deployment.capabilities, *said}) - set(deployment.refuses))


def as_async(client: Any) -> Any:
    """A synchronous client, to be used as if it were the asynchronous one of the same API."""
    return InThread(client)


class InThread:
    """A synchronous client, used as if it were the asynchronous one: each call and each step waits in a thread."""

    def __init__(self, it: Any) -> None:
        self._it = it

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._it, name)
        return InThread(found) if callable(found) or name.startswith("with_") or _is_resource(found) else found

    def __call__(self, *args: Any, **named: Any) -> "_Call":
        return _Call(lambda: self._it(*args, **named))

    def __aiter__(self) -> AsyncIterator[Any]:
        return _each(iter(self._it))


class _Call:
    """A call that has not been made yet: awaited, entered or iterated, as the asynchronous client wants it."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._manager: Any = None

    def __await__(self) -> Any:
        return self._made().__await__()

    async def __aenter__(self) -> Any:
        self._manager = await asyncio.to_thread(self._call)
        return InThread(await asyncio.to_thread(self._manager.__enter__))

    async def __aexit__(self, *raised: Any) -> None:
        await asyncio.to_thread(self._manager.__exit__, *raised)

    async def __aiter__(self) -> AsyncIterator[Any]:
        async for each in _each(iter(await asyncio.to_thread(self._call))):
            yield each

    async def _made(self) -> Any:
        value = await asyncio.to_thread(self._call)
        return InThread(value) if hasattr(value, "__next__") else value


async def _each(values: Iterator[Any]) -> AsyncIterator[Any]:
    end = object()
    while (value := await asyncio.to_thread(next, values, end)) is not end:
        yield value


def _is_resource(value: Any) -> bool:
    return type(value).__module__.startswith(("openai.resources", "anthropic.resources"))
