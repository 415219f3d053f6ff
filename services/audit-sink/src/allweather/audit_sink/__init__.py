"""The immutable log: RFC 6962 trees, signed checkpoints, proofs, explain."""
