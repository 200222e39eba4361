"""Drives a server with the official Ollama client, as a program written for Ollama would.

usage: ollama_client.py URL MODEL

Exits with an error at the first thing that is not as it would be with Ollama.
"""

import asyncio
import json
import math
import sys

import ollama

GREEDY = {"temperature": 0, "num_predict": 24}


def listing(client, model):
    listed = client.list().models
    assert [entry.model for entry in listed] == [model], listed
    assert listed[0].details.format == "gguf" and listed[0].size > 1_000_000, listed[0]


def showing(client, model):
    shown = client.show(model)
    assert shown.details.family == shown.modelinfo["general.architecture"], shown.details
    assert "completion" in shown.capabilities and shown.template, shown


def chat(client, model):
    reply = client.chat(model, [{"role": "user", "content": "What is 2 + 2?"}], options=GREEDY)
    assert "4" in reply.message.content, reply
    assert reply.done and reply.done_reason in ("stop", "length"), reply
    assert reply.prompt_eval_count > 10 and reply.eval_count > 0 and reply.total_duration > 0, reply


def chat_stream(client, model):
    parts = list(
        client.chat(
            model,
            [
                {"role": "system", "content": "Answer in Chinese."},
                {"role": "user", "content": "Good day!"},
            ],
            options=GREEDY,
            stream=True,
        )
    )
    text = "".join(part.message.content for part in parts)
    assert len(parts) > 2 and not text.isascii() and "\ufffd" not in text, text
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True], parts


def running(client, model):
    loaded = client.ps().models
    assert [entry.model for entry in loaded] == [model], loaded
    assert loaded[0].context_length > 0 and loaded[0].expires_at, loaded


def schema(client, model):
    wanted = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "capital": {"type": "boolean"}},
        "required": ["city", "capital"],
    }
    reply = client.chat(
        model,
        [{"role": "user", "content": "Tell me about Paris."}],
        format=wanted,
        options={"temperature": 0, "num_predict": 100},
    )
    value = json.loads(reply.message.content)
    assert list(value) == ["city", "capital"] and value["capital"] in (True, False), value


def generate(client, model):
    whole = client.generate(model, "Name a colour.", options=GREEDY, keep_alive="10m")
    assert whole.response and whole.done, whole
    parts = list(client.generate(model, "Name a colour.", options=GREEDY, stream=True))
    assert "".join(part.response for part in parts) == whole.response, parts


def embed(client, model):
    vectors = client.embed(model, ["one text", "another"]).embeddings
    assert len(vectors) == 2 and len(vectors[0]) == len(vectors[1]) > 100, len(vectors)
    assert math.isclose(sum(x * x for x in vectors[0]), 1, rel_tol=1e-3)
    assert len(client.embed(model, "one text").embeddings) == 1


def errors(client, model):
    for call, status in [
        (lambda: client.chat("no-such-model", [{"role": "user", "content": "x"}]), 404),
        (lambda: list(client.chat("no-such-model", [], stream=True)), 404),
        (lambda: client.generate(model, "x", options={"num_ctx": 8}), 400),
    ]:
        try:
            call()
        except ollama.ResponseError as error:
            assert error.status_code == status and error.error, error
        else:
            raise AssertionError("no error was raised")


async def asynchronously(url, model):
    client = ollama.AsyncClient(host=url)
    stream = await client.chat(model, [{"role": "user", "content": "Hi"}], options=GREEDY, stream=True)
    async for _ in stream:
        break  # hangs up in the middle
    reply = await client.chat(model, [{"role": "user", "content": "Hi"}], options=GREEDY)
    assert reply.message.content, reply


def main():
    url, model = sys.argv[1:]
    client = ollama.Client(host=url)
    checks = [listing, showing, chat, chat_stream, running, schema, generate, embed, errors]
    for check in checks:
        check(client, model)
        print(f"{check.__name__}: as expected")
    asyncio.run(asynchronously(url, model))
    print(f"{len(checks) + 1} checks passed")


if __name__ == "__main__":
    main()
