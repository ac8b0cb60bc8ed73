"""What no service of this kind can be faster than, on the same machine at the same time."""
