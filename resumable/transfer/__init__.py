"""Transfers: the effects (threads, files, locks) around the pure decisions of the core."""
