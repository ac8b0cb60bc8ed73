"""Measures how close the services come to the limits of the machine they run on."""
