"""One tube as it came off the cytometer."""
