"""Postgres, Redis and Kafka behind the words of the router."""
