"""What the audit sink needs of the world outside Kafka."""
