"""Consume and publish Kafka records safely: the only place that imports a Kafka client."""
