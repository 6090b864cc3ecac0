"""Backbones of images, and models that predict for each pixel."""
