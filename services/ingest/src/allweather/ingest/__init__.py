"""HTTP doors: OpenAI-compatible in, durable requests out."""
