"""The ways to consume: in order, many at a time, and the tail of a partition without a group."""
