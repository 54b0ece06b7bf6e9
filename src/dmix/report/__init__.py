"""Records to tables: the data frame, the tables of the paper and the comparison with published numbers."""
