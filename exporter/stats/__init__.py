"""Statistics: one number, or NotEnoughData, from a window and a reference. No thresholds, no clock, no files."""
