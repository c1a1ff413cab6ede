"""The sandbox's own tests; they import nothing from the rest of the repository."""
