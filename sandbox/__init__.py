"""The laptop stand-in for a cluster. Imports nothing from the rest of the repository, and is never imported by it."""
