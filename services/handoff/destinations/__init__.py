"""Where qualified leads go: one adapter file per kind of destination."""
