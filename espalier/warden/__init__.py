"""espalier-warden: opens gated nodes once their devices are there, takes failed ones out, stops what stands idle.

It runs in the cluster, from a ConfigMap that the add-on `warden` fills with these very files, in an unmodified Python
image: the standard library is all that it may import. Decisions are pure functions (`rules`, `idle`); `loop` asks the
API server and does what they say. All that it has to remember stands on the objects themselves.
"""
