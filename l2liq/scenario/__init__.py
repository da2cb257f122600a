"""Scenarios: what to change, from when, and how the worlds are replayed (DESIGN §11)."""
