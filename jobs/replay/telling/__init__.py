"""How any log is told: read, placed in time, put in order, sent at its pace."""
