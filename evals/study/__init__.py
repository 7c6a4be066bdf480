"""Which recipe teaches best: policies × recipes × budgets × seeds, each trained once and asked the gold questions."""
