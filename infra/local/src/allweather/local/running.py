"""The whole system, or its servers only, as an async context manager: up when entered, gone when left."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

import psutil

from allweather.local.credentials import Credentials
from allweather.local.plan import Options, Plan
from allweather.local.settings import LocalSettings
from allweather.local.state import write_json
from allweather.local.supervisor import Report, Supervisor
from allweather.local.system import EndPoints

DESCRIPTION = "system.json"
ENVIRONMENT = "environment"


class Running:
    """A system that is up: its end points, and its supervisor for faults and restarts."""

    def __init__(self, plan: Plan, supervisor: Supervisor, credentials: Credentials) -> None:
        self.supervisor = supervisor
        self.credentials = credentials
        self._plan = plan
        self._complete = False
        supervisor.on_change = self.describe

    @property
    def end_points(self) -> EndPoints:
        return self._plan.end_points

    def describe(self) -> None:
        """Keep `system.json` true, which is what other processes know of this one."""
        write_json(self._plan.state.root / DESCRIPTION, self._description())

    async def start(self) -> None:
        """Servers in parallel, topics, simulators, then the services in parallel."""
        await self.supervisor.start(*self._plan.servers())
        if self._plan.options.topics:
            await self._provision()
        if not self._plan.options.stack_only:
            await self.supervisor.start(self._plan.simulators(self.credentials))
            await self.supervisor.start(*self._plan.services(self.credentials))
        self._tell_commands()
        self._complete = True
        self.describe()

    def leave(self) -> None:
        """From now on the system is no longer whole."""
        self._complete = False

    def _description(self) -> dict[str, Any]:
        return {
            "ready": self._complete,
            "supervisor": {"pid": os.getpid(), "created": psutil.Process().create_time()},
            **asdict(self.end_points),
            "keys_file": str(self.credentials.keys_file),
            "logs": str(self._plan.state.logs),
            "services": self.supervisor.snapshot(),
        }

    def _tell_commands(self) -> None:
        """Leave a file of variables, by which commands find this system when nobody has set them."""
        lines = [f"{name}={value}" for name, value in self._plan.variables(self.credentials).items()]
        (self._plan.state.root / ENVIRONMENT).write_text("\n".join(lines) + "\n")

    async def _provision(self) -> None:
        # A Kafka client is needed for this only, and takes longer to import than Valkey takes to start.
        from allweather.local.topics import provision

        settings = self._plan.settings
        await provision(self.end_points.kafka, settings.topics_file, settings.config_dir, self._plan.report)


@asynccontextmanager
async def running(settings: LocalSettings, options: Options, report: Report) -> AsyncGenerator[Running]:
    """Start what `settings` do not name as existing, in order, and stop it in reverse order on leaving.

    Raises AlreadyRunning, PortTaken or StartFailed, with nothing left behind.
    """
    began = time.monotonic()
    plan = Plan(settings, options, report)
    async with Supervisor(plan.state, report) as supervisor:
        tenants = [tenant.id for tenant in plan.configuration.tenants]
        credentials = await asyncio.to_thread(Credentials.ensure, plan.state.root, tenants)
        system = Running(plan, supervisor, credentials)
        await system.start()
        report(f"up after {time.monotonic() - began:.1f} s")
        try:
            yield system
        finally:
            system.leave()
