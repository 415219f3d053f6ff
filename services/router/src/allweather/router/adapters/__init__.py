"""What the router needs of the world outside Kafka: its tables, the health of vendors, the fleet."""
