"""What a request costs: load on the whole system, and where its time and its processor go. Run `make bench`."""
