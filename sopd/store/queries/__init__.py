"""Statements of one subject each, whole batches in and out: what handlers and loops ask of the tables."""
