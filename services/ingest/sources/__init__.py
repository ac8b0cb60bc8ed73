"""What marketing tools send by webhook, one file per tool: is it genuine, and which activities does it tell of."""
