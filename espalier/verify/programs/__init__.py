"""Programs that run in pods of `verify --probe`, from a ConfigMap, in images that have torch, JAX or Neuron's tools.

Each is one file that imports the standard library, and what its image has when it gets there. What it finds it tells
in lines that begin with `espalier-probe: ` and go on with JSON (read by `espalier.verify.probe_results`):
`{"found": {"devices": 8, "names": {"NVIDIA H100 80GB HBM3": 8}, "failed": []}}`, where `failed` says which devices
computed wrongly, or not at all; `{"measured": {"scope": "node", "devices": 8, "busbw": 478.3}}`, GB/s as NVIDIA's
nccl-tests count bus bandwidth (doc/PERFORMANCE.md).
"""
