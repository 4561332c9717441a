"""What the words of the trade mean, as pure Column or array functions: no table, no session, no clock."""
