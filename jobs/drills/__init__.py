"""Drills: faults on purpose on a scratch lake, each with what was done, what was expected and what was found."""
