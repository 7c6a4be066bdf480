"""The whole product, with no browser in it."""
