"""Other ways to run a stage's work than in one process."""
