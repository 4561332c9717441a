"""The only code that touches the outside: settings, session, tables, topics, runner, books."""
