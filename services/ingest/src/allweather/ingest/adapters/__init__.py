"""What the door needs of Kafka, Postgres, Redis, files and sockets."""
