"""What the provider worker needs of the world outside Kafka: vendors, claims, credentials, bodies."""
