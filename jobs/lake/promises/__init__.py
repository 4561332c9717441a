"""What holds the promises of `schemas/` together: checks of contracts, events and layout, history, and the docs."""
