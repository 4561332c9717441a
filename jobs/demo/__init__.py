"""The whole platform shown once, from made or real events to published tables, through the commands people use."""
