"""Proof of the tests: the package is broken in one place at a time, and a test must notice."""
