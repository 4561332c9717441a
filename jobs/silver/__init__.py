"""Events and entities: true, typed, once."""
