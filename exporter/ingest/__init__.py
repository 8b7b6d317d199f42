"""From files to batches: sources, parsing, and the joining of outcomes."""
