"""Holds a conversation through the official OpenAI client's realtime connection, as a program written for OpenAI would.

usage: openai_realtime.py URL

Exits with an error at the first thing that is not as it would be with OpenAI.
"""

import asyncio
import base64
import sys
import time

import openai
import pydantic
from openai.types.realtime import RealtimeServerEvent

QUESTION = "Drop the two when you add the figures."
RATE = 24000
FRAME = RATE // 50 * 2

EVENT = pydantic.TypeAdapter(RealtimeServerEvent)


class Microphone:
    """Sends a recording at the pace at which it was spoken, then silence, until it is stopped."""

    def __init__(self, connection, recording):
        self.connection = connection
        self.sound = recording
        self.task = asyncio.create_task(self.run())

    async def run(self):
        begun = time.monotonic()
        sent = 0
        while True:
            frame = self.sound[sent : sent + FRAME].ljust(FRAME, b"\0")
            await self.connection.input_audio_buffer.append(audio=base64.b64encode(frame).decode())
            sent += FRAME
            await asyncio.sleep(max(0, begun + sent / (2 * RATE) - time.monotonic()))

    def stop(self):
        self.task.cancel()


async def until(connection, kind, log):
    async for event in connection:
        # What the client's own types do not know is no event of the API.
        EVENT.validate_python(event.model_dump())
        log.append(event)
        assert event.type != "error", event
        if event.type == kind:
            return event
    raise AssertionError(f"the connection ended before {kind}")


def texts(log, kind, field):
    return "".join(getattr(event, field) for event in log if event.type == kind)


def check_answer(log, done):
    assert done.response.status == "completed", done
    said = texts(log, "response.output_audio_transcript.delta", "delta")
    assert said == texts(log, "response.output_audio_transcript.done", "transcript"), said
    assert said == done.response.output[0].content[0].transcript, (said, done)
    sound = b"".join(
        base64.b64decode(event.delta) for event in log if event.type == "response.output_audio.delta"
    )
    samples = memoryview(sound).cast("h")
    assert sum(abs(sample) > 184 for sample in samples) > RATE // 4, len(samples)
    return said


async def spoken(client, recording):
    log = []
    async with client.realtime.connect(model="griot") as connection:
        await until(connection, "session.created", log)
        await connection.session.update(
            session={
                "type": "realtime",
                "instructions": "Answer from the documents.",
                "audio": {
                    "input": {"turn_detection": {"type": "semantic_vad"}},
                    "output": {"voice": "marin"},
                },
            }
        )
        await until(connection, "session.updated", log)
        microphone = Microphone(connection, recording)
        done = await until(connection, "response.done", log)
        microphone.stop()
    heard = texts(log, "conversation.item.input_audio_transcription.completed", "transcript")
    assert "add the figures" in heard.lower(), heard
    said = check_answer(log, done)
    order = [event.type for event in log]
    for before, after in [
        ("input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped"),
        ("input_audio_buffer.speech_stopped", "input_audio_buffer.committed"),
        ("input_audio_buffer.committed", "response.created"),
        ("response.created", "response.output_audio.delta"),
    ]:
        assert order.index(before) < order.index(after), (before, after, order)
    print("heard:", heard, "| said:", said)


async def written_and_pushed(client, recording):
    """Push-to-talk, and a question in writing."""
    log = []
    async with client.realtime.connect(model="griot") as connection:
        await connection.session.update(
            session={"type": "realtime", "audio": {"input": {"turn_detection": None}}}
        )
        await until(connection, "session.updated", log)
        for at in range(0, len(recording), FRAME * 5):
            piece = base64.b64encode(recording[at : at + FRAME * 5]).decode()
            await connection.input_audio_buffer.append(audio=piece)
        await connection.input_audio_buffer.commit()
        done = "conversation.item.input_audio_transcription.completed"
        heard = await until(connection, done, log)
        assert "add the figures" in heard.transcript.lower(), heard
        await connection.response.create()
        check_answer(log, await until(connection, "response.done", log))
        log.clear()
        await connection.conversation.item.create(
            item={
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": QUESTION}],
            }
        )
        await connection.response.create(response={"output_modalities": ["audio"]})
        check_answer(log, await until(connection, "response.done", log))


async def main():
    url = sys.argv[1] + "/v1"
    client = openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0)
    reply = await client.audio.speech.create(
        model="tts-1", voice="alloy", input=QUESTION, response_format="pcm"
    )
    await spoken(client, reply.content)
    await written_and_pushed(client, reply.content)
    print("ok")


asyncio.run(main())
