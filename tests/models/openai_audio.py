"""Drives a daemon's audio routes with the official OpenAI client, as a program written for OpenAI would.

usage: openai_audio.py URL

Exits with an error at the first thing that is not as it would be with OpenAI.
"""

import io
import sys
import wave

import openai

TEXT = "Rent is payable on the first day of each calendar month."


def speech(client):
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input=TEXT, response_format="wav"
    ) as reply:
        sound = reply.read()
    assert sound[:4] == b"RIFF", sound[:12]
    plain = client.audio.speech.create(
        model="tts-1", voice="alloy", input=TEXT, response_format="pcm"
    ).content
    assert len(plain) > 24000 * 2, len(plain)
    try:
        client.audio.speech.create(model="tts-1", voice="alloy", input=TEXT, response_format="mp3")
    except openai.BadRequestError as error:
        assert error.param == "response_format", error
    else:
        raise AssertionError("mp3 was not refused")
    # A file whose length is told, as recordings are.
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(24000)
        out.writeframes(plain)
    return file.getvalue()


def transcriptions(client, recording):
    def ask(**more):
        file = ("speech.wav", io.BytesIO(recording))
        return client.audio.transcriptions.create(model="whisper-1", file=file, **more)

    said = ask()
    assert "calendar month" in said.text.lower(), said
    assert "calendar month" in ask(response_format="text").lower()
    assert "-->" in ask(response_format="srt")
    assert ask(response_format="vtt").startswith("WEBVTT")
    verbose = ask(response_format="verbose_json", timestamp_granularities=["word", "segment"])
    assert verbose.language == "english" and verbose.segments and verbose.words, verbose
    assert verbose.segments[0].end <= float(verbose.duration) + 0.01, verbose
    events = list(ask(stream=True))
    assert events[-1].type == "transcript.text.done", events
    deltas = "".join(event.delta for event in events if event.type == "transcript.text.delta")
    assert deltas == events[-1].text, (deltas, events[-1].text)
    try:
        client.audio.transcriptions.create(model="whisper-1", file=("a.wav", b"hello"))
    except openai.BadRequestError as error:
        assert error.param == "file", error
    else:
        raise AssertionError("what is no sound was not refused")


def main():
    client = openai.OpenAI(base_url=sys.argv[1] + "/v1", api_key="none", max_retries=0)
    transcriptions(client, speech(client))
    print("ok")


main()
