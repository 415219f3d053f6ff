"""What the policy service needs of the world outside Kafka."""
