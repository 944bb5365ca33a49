"""The command line: a face that calls the public names only."""
