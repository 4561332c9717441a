"""All logic of Reelhouse: what the tables mean and how they are made. The command line is `reelhouse`."""
