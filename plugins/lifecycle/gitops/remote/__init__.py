"""Git itself: a bare clone, its credentials and configuration, and what a failed command means."""
