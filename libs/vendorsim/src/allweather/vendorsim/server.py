"""The composition: one application for all vendors and the admin API."""

import hashlib
import time
from collections.abc import Iterable, MutableMapping
from typing import Any, Self
from urllib.parse import parse_qsl

from allweather.vendorsim.admin import Admin
from allweather.vendorsim.board import CALM, FaultBoard, Plan
from allweather.vendorsim.calls import CallLog, CallRecord
from allweather.vendorsim.connection import Listeners, Receive, Sender
from allweather.vendorsim.delivery import SILENCE, Close, Step, reply_steps, stream_steps
from allweather.vendorsim.faults import Answering, BodyError200, ErrorInStream, Hang, Refuse, Status
from allweather.vendorsim.limits import Meter
from allweather.vendorsim.player import Line
from allweather.vendorsim.settings import Settings
from allweather.vendorsim.vendors import simulated
from allweather.vendorsim.wire import Call, Reply, Request, Stream, Ticket, Usage, Vendor, ascii_header, encode


class Simulation:
    """The simulated vendors, listening. Use it as a context manager; `base_url` is valid inside.

    Raises OSError on entry when a port is taken.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._vendors = simulated()
        self._board = FaultBoard(settings.seed, settings.latencies())
        self._log = CallLog(settings.call_log)
        self._meter = Meter()
        self._listeners = Listeners(self._respond, settings.host)
        self._vendor_ports: dict[str, int] = {}
        self._admin = Admin(self._board, self._log, self._vendor_ports, self._match_listeners)
        self.base_url = ""

    async def __aenter__(self) -> Self:
        port = await self._listeners.open(self._settings.port)
        self.base_url = f"http://{self._settings.host}:{port}"
        if self._settings.port_per_vendor:
            for offset, vendor in enumerate(self._vendors.values(), start=1):
                wanted = port + offset if self._settings.port else 0
                self._vendor_ports[vendor.name] = await self._listeners.open(wanted)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._listeners.stop()
        self._log.close()

    async def _respond(self, scope: MutableMapping[str, Any], receive: Receive, send: Sender) -> None:
        line = Line(scope, receive, send)
        body = await line.body()
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        prefix, _, path = scope["path"][1:].partition("/")
        vendor = self._vendors.get(prefix)
        if vendor is None:
            await line.reply(await self._admin.answer(scope["method"], scope["path"], query, body))
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        await self._serve(vendor, vendor.read(Request(scope["method"], path, query, headers, body)), line)

    async def _serve(self, vendor: Vendor, call: Call, line: Line) -> None:
        wall, monotonic = time.time(), time.monotonic()
        digest = hashlib.sha256(call.request.body)
        record = self._log.received(call, f"sha256:{digest.hexdigest()}", wall, monotonic)
        plan = self._board.plan(call.target, record.number, monotonic, call.operation)
        record.fault = plan.fault
        ticket = Ticket(record.number, wall, self._meter.count(call.target, wall, plan.limit), digest.digest())
        usage = Usage()
        try:
            answer = _answer(vendor, call, ticket, plan)
            usage = answer.usage if answer is not None else usage
            if plan is CALM and isinstance(answer, Reply):
                await _deliver_at_once(answer, line, record)
            else:
                await line.play(_steps(vendor, call, ticket, plan, answer), record)
        finally:
            self._meter.spend(call.target, sum(usage))
            self._log.ended(record, call.target.name, usage, time.monotonic())

    async def _match_listeners(self) -> None:
        """Shut the listeners of vendors that refuse every call, and open the others."""
        refused = self._board.refused_vendors()
        for name, port in self._vendor_ports.items():
            shut = name in refused or None in refused
            if shut and self._listeners.is_open(port):
                self._listeners.close(port)
            elif not shut and not self._listeners.is_open(port):
                await self._listeners.open(port)


async def _deliver_at_once(reply: Reply, line: Line, record: CallRecord) -> None:
    """The ordinary call, without the detour of steps."""
    record.client_left = line.left
    record.status, record.chunks = reply.status, 1
    await line.reply(reply)


def _answer(vendor: Vendor, call: Call, ticket: Ticket, plan: Plan) -> Reply | Stream | None:
    """Return what is sent, or None when nothing is."""
    match plan.ending:
        case None:
            return vendor.respond(call, ticket)
        case Refuse() | Hang():
            return None
        case fault:
            return _dressed(vendor.render(vendor.problem(fault.failure(), call), call, ticket), fault)


def _dressed(reply: Reply, fault: Answering) -> Reply:
    """Put on what the fault says about the outside of an error."""
    given = {name.lower().encode(): ascii_header(name.lower(), value) for name, value in fault.headers.items()}
    kept = [header for header in reply.headers if header[0] not in given]
    status = 200 if isinstance(fault, BodyError200) else reply.status
    body = encode(fault.body) if isinstance(fault, Status) and fault.body is not None else reply.body
    return Reply(status, [*kept, *given.values()], body)


def _steps(vendor: Vendor, call: Call, ticket: Ticket, plan: Plan, answer: Reply | Stream | None) -> Iterable[Step]:
    if answer is None:
        return (SILENCE,) if isinstance(plan.ending, Hang) else (Close(reset=True),)
    if isinstance(answer, Reply):
        return reply_steps(answer, plan)
    if isinstance(plan.disturbance, ErrorInStream):
        problem = vendor.problem(plan.disturbance.failure(), call)
        return stream_steps(answer, plan, lambda sent: vendor.interrupt(problem, call, ticket, sent))
    return stream_steps(answer, plan)
