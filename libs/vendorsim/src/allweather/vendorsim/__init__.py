"""Model vendors as they are on the wire, with faults on demand."""
