"""Prediction logging for serving processes."""
