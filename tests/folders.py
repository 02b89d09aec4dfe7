"""The content of a folder, for comparisons of before and after."""


def snapshot(folder):
    """Path of each file, relative to the folder → its content."""
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
