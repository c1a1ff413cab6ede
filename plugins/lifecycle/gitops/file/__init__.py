"""The values file: find one model's scalars, change them and nothing else, and whether they should be changed."""
