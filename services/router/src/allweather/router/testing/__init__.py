"""What tests and the protocol simulator stand on."""
