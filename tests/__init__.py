"""The promises, one file a source file."""
