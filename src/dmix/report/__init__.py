"""From records to the data frame, the tables of the paper and the comparison with published numbers."""
