"""The whole system on one machine, natively: Kafka, Postgres, Valkey, simulators and services."""
