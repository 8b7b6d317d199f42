"""Records as other systems write them, turned into ours: pure functions from decoded JSON to prediction records."""
