"""Events as they were received."""
