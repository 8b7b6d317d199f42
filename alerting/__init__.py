"""Prometheus rules, Alertmanager routes and the runbook, generated from the configuration."""
