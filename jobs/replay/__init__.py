"""Real public logs told as our events, one file per format."""
