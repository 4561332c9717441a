"""What a record of ours is: how its text is read, when it happened, which arrival was first, what makes it refused."""
