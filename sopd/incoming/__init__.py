"""What comes in beside WeCom's callbacks: events, messages, attributes, lists of people, from files and over HTTP.

Here it is read and checked, and every fault is told with its place; nothing is looked up and nothing is written. Faces
hand what they get here in to `sopd.handlers.signals`, `people_imports` and `audiences`.
"""
