"""Proof by attack (SPEC 15.2): the engine as it runs in production, on three hosts, under load, while everything fails.

`make chaos` plays rounds until its minutes are over; a short round is part of `make test`. docs/chaos.md tells what is
attacked and what is held against what.
"""
