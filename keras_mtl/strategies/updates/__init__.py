"""Kinds of update: one class, one file each."""
