"""The command line: `app` joins one file of commands for each group of questions."""
