"""Implementations of the ports: each talks to one part of the world; only the root wires them."""
