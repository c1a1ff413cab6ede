"""What is decided: may a candidate go live, how does a rollout stand, does a retry help. Pure functions."""
