"""Laws p(x_t | context): heads, nulls, marginals, how they are fitted, stored and compared."""
