"""Small and fast: variants of a bundle, each behind a gate that refuses a model that got worse."""
