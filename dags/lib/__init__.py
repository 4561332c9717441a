"""What every DAG shares: names as assets, jobs as commands, one policy."""
