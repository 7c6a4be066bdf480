"""The promises that need a real browser."""
