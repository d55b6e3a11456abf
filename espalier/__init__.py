"""Espalier: machine-learning platforms on Kubernetes from one typed stack file."""
