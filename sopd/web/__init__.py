"""The web faces: WeCom's callback, health and metrics. They parse, hand a command to a handler, and answer."""
