"""When things run: schedules and policy only. What runs is in `jobs/`, reached by command, never by import."""
