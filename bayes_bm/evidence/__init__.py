"""What is known: tables, what is counted and set aside, and the rows of the likelihood."""
