"""Recordings: any file a clinician has to mono float32 at 16 kHz."""

from medstt.audio.source import AudioInfo, Source
from medstt.audio.stream import AudioStream, digest_recording, open_audio, probe, read_audio

__all__ = ["AudioInfo", "AudioStream", "Source", "digest_recording", "open_audio", "probe", "read_audio"]
