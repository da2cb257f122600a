"""A real Apache Kafka for tests and the demo."""
