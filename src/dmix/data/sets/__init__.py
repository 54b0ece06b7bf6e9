"""The data sets that a run can name, and the formats that they are read from."""
