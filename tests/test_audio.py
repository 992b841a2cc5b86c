import numpy as np
import pytest
import soxr

from serve_app.audio import BadAudio, Resampler, Ring, bytes_of_pcm, decode, duration_s, encode, level_dbfs, pcm_of_bytes


def sine(rate, seconds=1.0, hertz=440.0, amplitude=10_000):
    return (amplitude * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)).astype(np.int16)


def in_chunks(pcm, sizes):
    start = 0
    while start < len(pcm):
        size = sizes[start % len(sizes)]
        yield pcm[start : start + size]
        start += size


# --- resampling -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("from_rate", "to_rate"), [(24_000, 16_000), (48_000, 16_000), (8_000, 16_000), (16_000, 24_000), (24_000, 8_000), (44_100, 16_000)]
)
@pytest.mark.parametrize("sizes", [(480,), (1, 7, 333, 2), (5003, 11)])
def test_a_stream_in_odd_chunks_sounds_like_the_whole_at_once(from_rate, to_rate, sizes):
    whole = sine(from_rate)
    resampler = Resampler(from_rate, to_rate)
    pieces = [resampler.push(chunk) for chunk in in_chunks(whole, sizes)]
    streamed = np.concatenate([*pieces, resampler.flush()])
    wanted = soxr.resample(whole, from_rate, to_rate)
    assert abs(len(streamed) - len(wanted)) <= 1
    common = min(len(streamed), len(wanted))
    assert np.abs(streamed[:common].astype(int) - wanted[:common]).max() <= 2


def test_a_tone_stays_the_same_tone():
    resampler = Resampler(24_000, 16_000)
    heard = np.concatenate([resampler.push(sine(24_000)), resampler.flush()])
    middle = slice(1000, -1000)
    assert np.abs(heard[middle].astype(int) - sine(16_000)[: len(heard)][middle]).max() <= 8


def test_a_tone_too_high_for_the_new_rate_is_gone_and_not_folded_back():
    resampler = Resampler(24_000, 16_000)
    heard = np.concatenate([resampler.push(sine(24_000, hertz=11_000)), resampler.flush()])
    assert level_dbfs(heard[1000:-1000]) < -80


def test_the_same_rate_passes_through():
    resampler = Resampler(16_000, 16_000)
    assert np.array_equal(resampler.push(sine(16_000)), sine(16_000))
    assert len(resampler.flush()) == 0


def test_after_a_flush_another_stream_begins():
    resampler, fresh = Resampler(24_000, 16_000), Resampler(24_000, 16_000)
    resampler.push(sine(24_000, hertz=3000))
    resampler.flush()
    again = np.concatenate([resampler.push(sine(24_000)), resampler.flush()])
    assert np.array_equal(again, np.concatenate([fresh.push(sine(24_000)), fresh.flush()]))


# --- bytes ------------------------------------------------------------------------------------------------------------------------------


def test_samples_are_little_endian():
    assert pcm_of_bytes(b"\x01\x00\x00\x80\xff\x7f").tolist() == [1, -32768, 32767]
    assert bytes_of_pcm(np.array([1, -32768, 32767], np.int16)) == b"\x01\x00\x00\x80\xff\x7f"


def test_half_a_sample_is_refused():
    with pytest.raises(BadAudio, match="3 bytes end in half a sample"):
        pcm_of_bytes(b"abc")


@pytest.mark.parametrize(("form", "loudest_error"), [("audio/pcm", 0), ("audio/pcmu", 1024), ("audio/pcma", 1024)])
def test_each_format_comes_back_as_it_went(form, loudest_error):
    every = np.arange(-32768, 32768).astype(np.int16)
    back = decode(encode(every, form), form)
    assert np.abs(back.astype(int) - every).max() <= loudest_error
    assert encode(back, form) == encode(every, form)


def test_an_unknown_format_is_refused():
    for change in (lambda: decode(b"", "audio/mp3"), lambda: encode(np.zeros(0, np.int16), "audio/mp3")):
        with pytest.raises(BadAudio, match="audio/mp3"):
            change()


# From audioop of Python 3.11 (lin2ulaw, lin2alaw, width 2), which Python 3.13 no longer has.
REFERENCE = {
    -32768: (0x00, 0x2A),
    -32000: (0x00, 0x2A),
    -1000: (0x4E, 0x7A),
    -133: (0x6F, 0x5D),
    -16: (0x7D, 0x55),
    -8: (0x7E, 0x55),
    -1: (0x7E, 0x55),
    0: (0xFF, 0xD5),
    1: (0xFF, 0xD5),
    8: (0xFE, 0xD5),
    15: (0xFD, 0xD5),
    16: (0xFD, 0xD4),
    132: (0xEF, 0xDD),
    1000: (0xCE, 0xFA),
    12345: (0x97, 0xBD),
    32767: (0x80, 0xAA),
}


def test_g711_codes_are_those_of_the_reference():
    samples = np.array(list(REFERENCE), np.int16)
    assert [*zip(encode(samples, "audio/pcmu"), encode(samples, "audio/pcma"), strict=True)] == list(REFERENCE.values())


@pytest.mark.filterwarnings("ignore:'audioop' is deprecated:DeprecationWarning")
def test_g711_agrees_with_audioop_on_every_sample_and_every_code():
    audioop = pytest.importorskip("audioop")
    every, codes = np.arange(-32768, 32768).astype(np.int16), bytes(range(256))
    assert encode(every, "audio/pcmu") == audioop.lin2ulaw(every.tobytes(), 2)
    assert encode(every, "audio/pcma") == audioop.lin2alaw(every.tobytes(), 2)
    assert decode(codes, "audio/pcmu").tobytes() == audioop.ulaw2lin(codes, 2)
    assert decode(codes, "audio/pcma").tobytes() == audioop.alaw2lin(codes, 2)


# --- the recent past, and loudness ------------------------------------------------------------------------------------------------------


def test_the_ring_finds_what_it_keeps_by_position():
    ring, stream = Ring(10), np.arange(1, 101, dtype=np.int16)
    for chunk in in_chunks(stream, (3, 1, 4, 2)):
        ring.push(chunk)
        kept = stream[max(0, ring.position - 10) : ring.position]
        for position in range(ring.position + 1):
            wanted = stream[max(position, ring.position - 10) : ring.position]
            assert ring.since(position).tolist() == wanted.tolist()
            assert ring.last(position).tolist() == kept[len(kept) - min(position, len(kept)) :].tolist()
    assert ring.position == 100


def test_more_at_once_than_the_ring_holds_leaves_the_end():
    ring = Ring(4)
    ring.push(np.arange(3, dtype=np.int16))
    ring.push(np.arange(100, 111, dtype=np.int16))
    assert (ring.position, ring.since(0).tolist()) == (14, [107, 108, 109, 110])


def test_a_position_to_come_has_no_samples_yet():
    ring = Ring(4)
    ring.push(np.ones(3, np.int16))
    assert len(ring.since(3)) == len(ring.since(9)) == 0


def test_what_the_ring_gave_is_not_overwritten_later():
    ring = Ring(4)
    ring.push(np.array([1, 2, 3, 4], np.int16))
    given = ring.since(0)
    ring.push(np.array([5, 6, 7, 8], np.int16))
    assert given.tolist() == [1, 2, 3, 4]


def test_levels_are_against_full_scale():
    square = np.tile(np.array([32767, -32768], np.int16), 100)
    assert level_dbfs(square) == pytest.approx(0, abs=0.01)
    assert level_dbfs(sine(16_000, amplitude=32767)) == pytest.approx(-3.01, abs=0.01)
    assert level_dbfs(square // 10) == pytest.approx(-20, abs=0.01)


def test_silence_and_nothing_at_all_have_a_level_too():
    assert level_dbfs(np.zeros(10, np.int16)) == level_dbfs(np.zeros(0, np.int16)) == -100


def test_duration_is_samples_over_rate():
    assert duration_s(np.zeros(12_000, np.int16), 24_000) == 0.5
