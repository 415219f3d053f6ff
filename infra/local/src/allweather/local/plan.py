"""What one start will run, worked out from settings and options before anything is started."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from allweather.contracts import config
from allweather.local import kafka, postgres, valkey
from allweather.local.child import Program
from allweather.local.credentials import Credentials
from allweather.local.ports import Ports
from allweather.local.settings import LocalSettings, inherited_environment
from allweather.local.state import StateFolder
from allweather.local.supervisor import Report
from allweather.local.system import EndPoints, System, real_vendors, services


class Options(BaseModel):
    """What may differ from one start to the next."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    brokers: Literal[1, 3] = 1
    # Broker name -> the port at which it tells clients to reach it, where something stands in front of it.
    advertised: dict[str, int] = Field(default_factory=dict)
    # Kafka, Postgres and Valkey, but no simulators and none of our services.
    stack_only: bool = False
    # Make the topics of topics.yaml; tests that bring their own topics do without.
    topics: bool = True
    # Without, Postgres forces nothing to the disk: for tests.
    durable: bool = True
    # Service -> number of processes, where that is not one.
    replicas: dict[str, int] = Field(default_factory=dict)
    # Variables of the service processes, over those of the environment (failpoints, the time factor).
    environment: dict[str, str] = Field(default_factory=dict)
    # The stack ends when this process is gone.
    owner: int | None = None


@dataclass(frozen=True)
class Plan:
    settings: LocalSettings
    options: Options
    report: Report

    @cached_property
    def state(self) -> StateFolder:
        return StateFolder(self.settings.state_dir)

    @cached_property
    def ports(self) -> Ports:
        chosen = {
            "http": self.settings.http_port,
            "kafka-1": self.settings.kafka_port,
            "postgres": self.settings.postgres_port,
            "valkey": self.settings.redis_port,
            "vendorsim": self.settings.vendorsim_port,
        }
        return Ports(self.settings.port_base, {name: port for name, port in chosen.items() if port})

    @cached_property
    def configuration(self) -> config.Configuration:
        return config.load(self.settings.config_dir)

    @cached_property
    def cluster(self) -> kafka.Cluster:
        return kafka.Cluster(
            folder=self.state.root / f"kafka-of-{self.options.brokers}",  # a quorum cannot change its size
            cache=self.settings.cache_dir,
            ports=self.ports,
            environment=self.environment,
            report=self.report,
            brokers=self.options.brokers,
            advertised=self.options.advertised,
            heap_mb=self.settings.kafka_heap_mb,
            compilers=self.settings.kafka_compilers,
            repository=self.settings.jar_repository,
        )

    @cached_property
    def environment(self) -> Mapping[str, str]:
        return {**inherited_environment(), **self.options.environment}

    @cached_property
    def end_points(self) -> EndPoints:
        """Existing dependencies where the settings name them, else our own."""
        return EndPoints(
            http=f"http://127.0.0.1:{self.ports.of('http')}",
            kafka=self.settings.kafka_bootstrap or self.cluster.bootstrap,
            postgres=self.settings.postgres_dsn or postgres.dsn(self.ports.of("postgres")),
            redis=self.settings.redis_url or valkey.url(self.ports.of("valkey")),
            simulators=f"http://127.0.0.1:{self.ports.of('vendorsim')}",
            vendor_calls=str(self.state.root / "vendor-calls.jsonl"),
        )

    def servers(self) -> list[Program]:
        """Kafka, Postgres and Valkey, as far as no existing one is named."""
        programs: list[Program] = []
        if not self.settings.kafka_bootstrap:
            programs += self.cluster.programs()
        if not self.settings.postgres_dsn:
            folder, port = self.state.root / "postgres", self.ports.of("postgres")
            programs.append(postgres.program(folder, port, self.environment, durable=self.options.durable))
        if not self.settings.redis_url:
            programs.append(valkey.program(self.state.root / "valkey", self.ports.of("valkey"), self.environment))
        return programs

    def simulators(self, credentials: Credentials) -> Program:
        return self._system(credentials).simulators()

    def services(self, credentials: Credentials) -> list[Program]:
        """Every replica of every service."""
        system, replicas = self._system(credentials), self.options.replicas
        return [
            system.program(service, slot)
            for service in system.services
            for slot in range(replicas.get(service.name, 1))
        ]

    def variables(self, credentials: Credentials) -> dict[str, str]:
        """The variables under which commands reach this system."""
        return self._system(credentials).variables()

    def _system(self, credentials: Credentials) -> System:
        real = self._real_vendors()
        return System(
            end_points=self.end_points,
            ports=self.ports,
            credentials=credentials,
            inherited=self.environment,
            config_dir=self.settings.config_dir,
            payload_dir=self.state.root / "payloads",
            folder=self.state.root,
            services=services(self.configuration, real),
            real_vendors=real,
        )

    def _real_vendors(self) -> frozenset[str]:
        if self.settings.vendors == "simulated":
            return frozenset()
        return real_vendors(self.configuration.deployments, self.environment)
