"""Training of the models that ship with the package, from what the package itself can render."""
