"""Files that hold many recordings, made on the spot."""

import io
import tarfile

from recordings import encoded, tone

CLIPS = [encoded(tone(0.2, frequency=200.0 + 50 * number), 16_000, "WAV") for number in range(6)]
"""Recordings of 0.2 s, 6,444 bytes each."""


def make_tar(path, entries):
    """An archive of (name, content)."""
    with tarfile.open(path, "w") as archive:
        for name, content in entries:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def make_shard(path, clips=CLIPS):
    """A shard as WebDataset writes it: each recording with a label and a document."""
    return make_tar(
        path,
        [
            (f"{number:06}.{suffix}", content)
            for number, clip in enumerate(clips)
            for suffix, content in (("wav", clip), ("cls", b"1"), ("json", b"{}"))
        ],
    )


def make_table(path, rows=CLIPS, **options):
    """A Parquet file with Hugging Face's ``{bytes, path}``; other rows are taken as they are."""
    import pyarrow
    import pyarrow.parquet

    rows = [
        {"bytes": row, "path": f"{number}.wav"} if isinstance(row, bytes) else row
        for number, row in enumerate(rows)
    ]
    table = pyarrow.table({"label": ["x"] * len(rows), "audio": rows})
    pyarrow.parquet.write_table(table, path, **options)
    return path
