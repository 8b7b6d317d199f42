"""Additive counts of one model, version and time bucket: merging equals having seen both inputs."""
