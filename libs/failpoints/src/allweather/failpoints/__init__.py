"""Named places where a test may make a process die, stall or skip a guard."""
