"""ApplicationSets: generators, templates, and the Applications that they stand for."""
