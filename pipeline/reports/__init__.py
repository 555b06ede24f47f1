"""Pages about runs: what one run is worth, and how runs differ. Nothing is fetched, nothing is executed."""
