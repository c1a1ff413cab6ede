"""A stand-in for Argo CD: reads its objects, does what it would do with ours, and writes its status fields."""
