"""The processes that make up Allweather on one machine: a line here for each service, a worker for each vendor."""

import re
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from allweather.contracts.config import Configuration, Deployment
from allweather.local.child import Program
from allweather.local.credentials import Credentials
from allweather.local.ports import Ports

# The vendors that are simulated, in the order of their own ports, which follow the common one.
SIMULATED = ("anthropic", "openai", "azure-openai", "vertex", "open-source", "mistral")


@dataclass(frozen=True)
class Service:
    """A process of ours. Its name is its consumer group, and the stem of its static member ids."""

    name: str
    module: str
    vendor: str | None = None
    listens_on: str | None = None
    allocator: str | None = None
    """Which allocator Python takes (its `PYTHONMALLOC`), if not its own."""


def services(configuration: Configuration, real: Collection[str] = ()) -> tuple[Service, ...]:
    """Every process of ours: one worker for each vendor that a route names, or that is `real`."""
    used = {*real, *(configuration.deployment(c).vendor for route in configuration.routes for c in route.candidates)}
    vendors = [vendor.id for vendor in configuration.vendors if vendor.id in used]
    return (
        # Of a thousand callers that have waited, malloc gives back most at once; Python's own keeps nearly all of it.
        Service("ingest", "allweather.ingest", listens_on="http", allocator="malloc"),
        Service("policy", "allweather.policy"),
        Service("router", "allweather.router"),
        *(Service(f"provider-worker.{v}", "allweather.provider_worker", vendor=v) for v in vendors),
        Service("audit-sink", "allweather.audit_sink"),
    )


# In an end point's address, a variable that has no default.
_REQUIRED = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True)
class Servers:
    """Where the servers are reached that everything stands on."""

    kafka: str
    postgres: str
    redis: str


@dataclass(frozen=True)
class EndPoints(Servers):
    """Where all parts of a system are reached."""

    http: str
    simulators: str
    # The file in which the simulators note every call.
    vendor_calls: str


@dataclass(frozen=True)
class System:
    """What all service processes share, and how one of them becomes a program to run."""

    end_points: EndPoints
    ports: Ports
    credentials: Credentials
    inherited: Mapping[str, str]
    config_dir: Path
    payload_dir: Path
    folder: Path
    services: tuple[Service, ...]
    real_vendors: frozenset[str] = frozenset()

    def simulators(self) -> Program:
        """All vendors in one program, each also at a port of its own, which is closed while the vendor refuses."""
        port = self.ports.of("vendorsim")
        return Program(
            name="vendorsim",
            command=(sys.executable, "-m", "allweather.vendorsim"),
            probe=f"http://127.0.0.1:{port}/readyz",
            port=port,
            environment={
                **self.inherited,
                "ALLWEATHER_SIM_PORT": str(port),
                "ALLWEATHER_SIM_PORT_PER_VENDOR": "true",
                "ALLWEATHER_SIM_CALL_LOG": self.end_points.vendor_calls,
            },
            folder=self.folder,
        )

    def program(self, service: Service, slot: int = 0) -> Program:
        """Replica `slot` of `service`. The first is called like the service, further ones `<service>-<slot>`."""
        probe_port = self.ports.probe(self.services.index(service), slot)
        own = {"ALLWEATHER_INSTANCE": str(slot), "ALLWEATHER_PROBE_PORT": str(probe_port)}
        return Program(
            name=service.name if slot == 0 else f"{service.name}-{slot}",
            command=(sys.executable, "-m", service.module),
            probe=f"http://127.0.0.1:{probe_port}/readyz",
            port=self._port(service, probe_port),
            environment={
                **self.inherited,
                "PYTHONUNBUFFERED": "1",
                **self.variables(),
                **self._of_service(service),
                **own,
            },
            folder=self.folder,
            grace=25.0,  # a graceful stop may take the services 20 s
        )

    def _simulated(self, vendor: str) -> str:
        own = 1 + SIMULATED.index(vendor) if vendor in SIMULATED else 0
        return f"http://127.0.0.1:{self.ports.of('vendorsim') + own}"

    def _port(self, service: Service, probe_port: int) -> int:
        return self.ports.of(service.listens_on) if service.listens_on else probe_port

    def variables(self) -> dict[str, str]:
        """What every service, and every command that asks the system, is told alike."""
        return {
            "ALLWEATHER_KAFKA_BOOTSTRAP": self.end_points.kafka,
            "ALLWEATHER_POSTGRES_DSN": self.end_points.postgres,
            "ALLWEATHER_REDIS_URL": self.end_points.redis,
            "ALLWEATHER_CONFIG_DIR": str(self.config_dir),
            "ALLWEATHER_PAYLOAD_DIR": str(self.payload_dir),
            "ALLWEATHER_SECRET_FILE": str(self.credentials.secret_file),
            "ALLWEATHER_KEYS_FILE": str(self.credentials.keys_file),
            "ALLWEATHER_AUDIT_KEY_FILE": str(self.credentials.secret_file.with_name("audit.key")),
        }

    def _of_service(self, service: Service) -> dict[str, str]:
        environment: dict[str, str] = {}
        if service.listens_on:
            environment["ALLWEATHER_HTTP_HOST"] = "127.0.0.1"
            environment["ALLWEATHER_HTTP_PORT"] = str(self.ports.of(service.listens_on))
        if service.allocator:
            environment["PYTHONMALLOC"] = service.allocator
        if service.vendor:
            environment["VENDOR"] = service.vendor
            if service.vendor not in self.real_vendors:
                environment["ALLWEATHER_VENDOR_BASE_URL"] = self._simulated(service.vendor)
        return environment


def real_vendors(deployments: Iterable[Deployment], environment: Mapping[str, str]) -> frozenset[str]:
    """The vendors that a person has given a key or an address for; the others are simulated."""
    return frozenset(
        deployment.vendor
        for deployment in deployments
        if any(environment.get(name) for name in (deployment.credential, *_REQUIRED.findall(deployment.endpoint)))
    )
