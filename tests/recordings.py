"""Recordings made on the spot, in every container the tests need."""

import io

import av
import numpy as np
import soundfile


def encoded(samples, rate, container, *, codec=None, subtype=None):
    """The bytes of a file: samples float32 [samples] or [samples, channels]."""
    file = io.BytesIO()
    if container in ("WAV", "WAVEX", "FLAC", "OGG", "MP3", "AIFF"):
        soundfile.write(file, samples, rate, format=container, subtype=subtype)
        return file.getvalue()
    samples = np.asarray(samples, np.float32).reshape(len(samples), -1)
    layout = {1: "mono", 2: "stereo"}[samples.shape[1]]
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples.reshape(1, -1)), "flt", layout
        )
        frame.sample_rate = rate
        frame.pts = 0  # with times the muxer notes the encoder's delay, as ffmpeg's own files do
        resampler = av.AudioResampler(
            stream.codec_context.format, layout, rate, frame_size=stream.codec_context.frame_size
        )
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(stream.encode(piece))
        out.mux(stream.encode(None))
    return file.getvalue()


def tone(seconds=1.0, rate=16_000, frequency=440.0, amplitude=0.5):
    """float32 [samples]."""
    time = np.arange(round(seconds * rate)) / rate
    return (amplitude * np.sin(2 * np.pi * frequency * time)).astype(np.float32)
