"""Floor 5: a kit for authors of other clients, which tries one against PROTOCOL.md.

python -m bimip.conformance -- node my-client.mjs
"""
