"""Uses a daemon through the reference client of the Wyoming protocol, as Home Assistant does.

usage: wyoming_client.py tcp://HOST:PORT

Exits with an error at the first thing that is not as the protocol has it.
"""

import array
import asyncio
import sys
import time

from wyoming.asr import Transcribe, Transcript, TranscriptChunk, TranscriptStart, TranscriptStop
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncClient
from wyoming.error import Error
from wyoming.handle import Handled, HandledChunk, HandledStart, HandledStop, NotHandled
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeStopped,
    SynthesizeVoice,
)

TEXT = "Drop the two when you add the figures."
LONG = " ".join(
    ["The ledger is kept dry, and whoever opens it writes down the day and the hour."] * 12
)


async def next_of(client, *kinds):
    event = await client.read_event()
    assert event is not None, "the daemon hung up"
    if Error.is_type(event.type) and Error not in kinds:
        raise AssertionError(Error.from_event(event).text)
    for kind in kinds:
        if kind.is_type(event.type):
            return kind.from_event(event)
    raise AssertionError(f"{event.type} instead of {[kind.__name__ for kind in kinds]}")


async def describe(uri):
    async with AsyncClient.from_uri(uri) as client:
        took = []
        for _ in range(20):
            begun = time.monotonic()
            await client.write_event(Describe().event())
            info = await next_of(client, Info)
            took.append(time.monotonic() - begun)
        print(f"describe: {1000 * sorted(took)[10]:.1f} ms, slowest {1000 * max(took):.1f} ms")
        assert info.asr[0].models and info.tts[0].voices and info.handle[0].models, info
        assert info.asr[0].supports_transcript_streaming and info.tts[0].supports_synthesize_streaming
        assert "en" in info.asr[0].models[0].languages, info.asr
        return info.tts[0].voices[0].name


async def sound(client):
    """One stretch of sound, its rate and its samples."""
    start = await next_of(client, AudioStart)
    assert (start.width, start.channels) == (2, 1), start
    audio = b""
    while True:
        part = await next_of(client, AudioChunk, AudioStop)
        if isinstance(part, AudioStop):
            return start.rate, audio
        assert part.rate == start.rate and len(part.audio) % 2 == 0, part
        audio += part.audio


async def speak(uri, voice):
    async with AsyncClient.from_uri(uri) as client:
        await client.write_event(Synthesize(text=TEXT, voice=SynthesizeVoice(name=voice)).event())
        rate, audio = await sound(client)
    seconds = len(audio) / 2 / rate
    assert 1 < seconds < 8 and max(map(abs, array.array("h", audio))) > 2000, seconds
    return rate, audio


async def speak_in_pieces(uri, whole):
    async with AsyncClient.from_uri(uri) as client:
        await client.write_event(SynthesizeStart().event())
        for word in f"{TEXT} {TEXT}".split():
            await client.write_event(SynthesizeChunk(text=word + " ").event())
        # For those who know no streams; it is not to be spoken again.
        await client.write_event(Synthesize(text=f"{TEXT} {TEXT}").event())
        await client.write_event(SynthesizeStop().event())
        rates, length = set(), 0
        while True:
            event = await client.read_event()
            if SynthesizeStopped.is_type(event.type):
                break
            if AudioChunk.is_type(event.type):
                chunk = AudioChunk.from_event(event)
                rates.add(chunk.rate)
                length += len(chunk.audio)
        assert len(rates) == 1 and 1.4 < length / len(whole) < 2.6, (rates, length, len(whole))


async def write_down(uri, rate, audio, stop=True):
    async with AsyncClient.from_uri(uri) as client:
        await client.write_event(Transcribe(language="en").event())
        await client.write_event(AudioStart(rate=rate, width=2, channels=1).event())
        for at in range(0, len(audio), 2048):
            part = audio[at : at + 2048]
            chunk = AudioChunk(rate=rate, width=2, channels=1, audio=part)
            await client.write_event(chunk.event())
        await client.write_event(AudioStop().event())
        await next_of(client, TranscriptStart)
        chunks = ""
        while True:
            part = await next_of(client, TranscriptChunk, Transcript)
            if isinstance(part, Transcript):
                break
            chunks += part.text
        assert chunks == part.text, (chunks, part.text)
        await next_of(client, TranscriptStop)
        return part.text


async def ping(uri):
    async with AsyncClient.from_uri(uri) as client:
        await client.write_event(Synthesize(text=LONG).event())
        await next_of(client, AudioStart)
        pings = []

        async def send():
            for n in range(10):
                pings.append(time.monotonic())
                await client.write_event(Ping(text=str(n)).event())
                await asyncio.sleep(0.05)

        sending = asyncio.create_task(send())
        took, over = [], False
        while len(took) < 10 or not over:
            event = await client.read_event()
            if Pong.is_type(event.type):
                took.append(time.monotonic() - pings[len(took)])
                assert not over or len(took) > 1, "it was answered after the text only"
            over = over or AudioStop.is_type(event.type)
        await sending
        print(f"ping while speaking: {1000 * sorted(took)[5]:.1f} ms, slowest {1000 * max(took):.1f} ms")


async def ask(uri, question):
    context = {"conversation_id": "01JDMT8V6Y5Z", "device_id": "kitchen"}
    async with AsyncClient.from_uri(uri) as client:
        await client.write_event(Transcript(text=question, language="en", context=context).event())
        begun = await next_of(client, HandledStart, NotHandled)
        if isinstance(begun, NotHandled):
            return begun, None
        chunks = ""
        while True:
            event = await client.read_event()
            if HandledChunk.is_type(event.type):
                chunks += HandledChunk.from_event(event).text
                continue
            assert Handled.is_type(event.type), event
            handled = Handled.from_event(event)
            break
        assert chunks.strip() == handled.text.strip(), (chunks, handled)
        assert handled.context == context and "[" not in handled.text, handled
        await next_of(client, HandledStop)
        return handled, event.data["citations"]


async def main():
    uri = sys.argv[1]
    voice = await describe(uri)
    rate, audio = await speak(uri, voice)
    await speak_in_pieces(uri, audio)
    said = await write_down(uri, rate, audio)
    print(said)
    assert "figures" in said.lower(), said
    assert await write_down(uri, 16000, bytes(64000)) == ""
    await ping(uri)
    handled, citations = await ask(uri, "What do I drop when I add the figures?")
    print(handled.text, citations)
    assert citations and citations[0]["quote"] in TEXT, citations
    refused, _ = await ask(uri, "Who painted the ceiling of the chapel in Rome?")
    assert isinstance(refused, NotHandled) and refused.text, refused
    print("ok")


asyncio.run(main())
