"""The same work on what users would pick instead: customers, each with a chain of timed steps, ended by a tag.

One module a rival, all in the shop of `shop.py` and measured by `match.py`. Each keeps to what its own documentation
recommends for work that must not be lost; what that is stands in its `setup`.
"""
