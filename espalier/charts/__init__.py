"""Fetches, pins and renders the content of add-ons: charts, kustomizations, plain manifests.

Nothing here is imported by a stack without such add-ons, beyond this line and `espalier.charts.place`.
"""
