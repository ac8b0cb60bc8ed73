"""The straightforward way of doing the same, kept for comparison."""
