"""Writers of results, a module a family of formats."""
