"""The past as Prometheus would have seen it: logs replayed at past instants, and rules held against what came out."""
