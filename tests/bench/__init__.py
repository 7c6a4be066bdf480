"""Measurements, run by hand: `.venv/bin/python -m tests.bench NAME`. Never timed tests."""
