"""Names of what is scored beside a memory, as they stand in its tables."""

MEMORY, KNN = "memory", "knn"
KNN_BASE, KNN_MEMORY = "knn_base", "knn_memory"  # on the queries that k-NN is scored on
