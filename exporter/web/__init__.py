"""HTTP: the application, its pages, the rendered metrics, listeners, TLS and who may come in."""
