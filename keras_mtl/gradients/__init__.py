"""Gradients of the tasks' losses, and what a step makes of them."""
