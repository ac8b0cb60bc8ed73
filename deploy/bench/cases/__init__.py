"""What is measured, one group per module; `registry` lists them."""
