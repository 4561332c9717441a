"""Real public logs told as our events, one module per format; how each column maps: docs/replay.md."""
