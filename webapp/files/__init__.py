"""What is kept as bytes: clips and results in the storage, data sets and trained predictors in folders."""
