"""Published tables: funnels and profiles."""
