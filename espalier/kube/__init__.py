"""A small, fast client of the Kubernetes API over a plain HTTP pool."""
