"""How a stream is written in each dialect: framing, which event ends it, what an error looks like. Pure."""
