"""The composition root of the policy service: the only place that builds its clients."""

from allweather.contracts import config, topics
from allweather.messaging import BatchHandler, Broker, OrderedConsumer, Points, open_broker
from allweather.messaging.kafka.settings import Connection
from allweather.messaging.middleware.standard import standard
from allweather.policy import files
from allweather.policy.adapters.bodies import Bodies
from allweather.policy.dead_letters import outcome_for
from allweather.policy.decision import Policy
from allweather.policy.handlers import ClearRequests
from allweather.policy.settings import Settings
from allweather.runtime.payloads import DirectoryPayloads
from allweather.runtime.service import Service
from allweather.runtime.settings import SettingsError
from allweather.telemetry.messaging import MessagingMetrics
from allweather.telemetry.tracing import tracer


async def main(service: Service[Settings]) -> None:
    """Give every request its verdict until told to stop."""
    settings = service.settings
    policy = _policy(settings)
    payloads = DirectoryPayloads(settings.payload_dir)
    bodies = Bodies(payloads)
    await payloads.put(policy.rules.document)  # what a verdict's digest names can be read as long as the log
    member = f"{service.name}-{settings.instance}"
    broker = await service.own(
        open_broker(Connection(settings.kafka_bootstrap, client_id=member), metrics=MessagingMetrics())
    )
    handler = ClearRequests(policy, settings.secret(), read_body=bodies.read, keep_body=bodies.keep)
    service.probes.register("payload store", payloads.ping)
    service.probes.register("kafka", lambda: _answers(broker))
    await _consumer(service, broker, handler, member).run(service.stopping)


def _policy(settings: Settings) -> Policy:
    try:
        configuration = config.load(settings.config_dir)
        return Policy(files.load(settings.config_dir / "policies", configuration), configuration)
    except (config.InvalidConfiguration, files.InvalidPolicies) as error:
        raise SettingsError(str(error).splitlines()) from None


def _consumer(service: Service[Settings], broker: Broker, handler: BatchHandler, member: str) -> OrderedConsumer:
    metrics = MessagingMetrics()
    return OrderedConsumer(
        broker,
        handler,
        group=service.name,
        instance=member,
        pattern=topics.REQUESTS_PATTERN,
        middleware=standard(
            group=service.name,
            metrics=metrics,
            tracer=tracer(__name__),
            outcome_for=outcome_for(service.settings.secret()),
        ),
        metrics=metrics,
        failpoints=service.failpoints,
        points=Points(before_publish="policy.before-publish", after_publish="policy.after-publish"),
    )


async def _answers(broker: Broker) -> None:
    if not await broker.reachable():
        raise ConnectionError("no broker answers")
