"""The embedded world: a generator, tiny model families, and the recipes that train them."""
