"""Builds every image of docker/ on a bare Debian machine, without Docker or a registry, and asks each whether it works.

The standard library only: `make images` needs nothing but Python, buildah and mmdebstrap.
"""
