"""What is asked of a posterior: who it is about, and which quantity."""
