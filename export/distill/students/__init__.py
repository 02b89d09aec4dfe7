"""Students: the weights that they begin with, and their losses."""
