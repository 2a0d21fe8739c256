"""History in and out of IoT TS Bulk as pandas DataFrames."""
