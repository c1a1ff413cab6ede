"""Applications: their spec and project, comparison, sync, and the status that is written back."""
