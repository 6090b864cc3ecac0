"""A study of whether flat regions and dual balancing help, and where."""
