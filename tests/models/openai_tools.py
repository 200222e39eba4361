"""Has a tool called through the official OpenAI client's realtime connection, and runs it, as a program written for
OpenAI would.

usage: openai_tools.py URL

Exits with an error at the first thing that is not as it would be with OpenAI.
"""

import asyncio
import json
import sys

import openai
import pydantic
from openai.types.realtime import RealtimeServerEvent

EVENT = pydantic.TypeAdapter(RealtimeServerEvent)

TOOLS = [
    {
        "type": "function",
        "name": "set_lamp",
        "description": "Turns the lamp of a room on or off.",
        "parameters": {
            "type": "object",
            "properties": {
                "room": {"type": "string", "description": "The room, for example: hall"},
                "state": {"type": "string", "enum": ["on", "off"]},
            },
            "required": ["room", "state"],
        },
    },
    {
        "type": "function",
        "name": "get_weather",
        "description": "Looks up today's weather of a town.",
        "parameters": {
            "type": "object",
            "properties": {"town": {"type": "string"}},
            "required": ["town"],
        },
    },
]


async def until(connection, kind, log):
    async for event in connection:
        # What the client's own types do not know is no event of the API.
        EVENT.validate_python(event.model_dump())
        log.append(event)
        assert event.type != "error", event
        if event.type == kind:
            return event
    raise AssertionError(f"the connection ended before {kind}")


async def ask(connection, text, log):
    await connection.conversation.item.create(
        item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    )
    return await answer(connection, log)


async def answer(connection, log):
    await connection.response.create()
    response = (await until(connection, "response.done", log)).response
    assert response.status == "completed", response
    (item,) = response.output
    return item


async def called(connection, text, name, log):
    log.clear()
    call = await ask(connection, text, log)
    assert call.type == "function_call" and call.name == name, (text, call)
    deltas = [event.delta for event in log if event.type == "response.function_call_arguments.delta"]
    assert "".join(deltas) == call.arguments, (deltas, call)
    arguments = json.loads(call.arguments)
    (schema,) = [tool["parameters"] for tool in TOOLS if tool["name"] == name]
    assert set(schema["required"]) <= set(arguments) <= set(schema["properties"]), arguments
    for field, value in arguments.items():
        assert isinstance(value, str), arguments
        assert value in schema["properties"][field].get("enum", [value]), arguments
    print(text, "->", call.name, call.arguments)
    return call, arguments


async def returned(connection, call, output, log):
    await connection.conversation.item.create(
        item={"type": "function_call_output", "call_id": call.call_id, "output": json.dumps(output)}
    )
    item = await answer(connection, log)
    said = item.content[0].text
    assert item.type == "message" and said, item
    print("said:", said)
    return said.lower()


async def main():
    client = openai.AsyncOpenAI(base_url=sys.argv[1] + "/v1", api_key="none", max_retries=0)
    log = []
    async with client.realtime.connect(model="griot") as connection:
        await connection.session.update(
            session={"type": "realtime", "output_modalities": ["text"], "tools": TOOLS}
        )
        await until(connection, "session.updated", log)
        text = "Turn on the lamp in the kitchen."
        call, arguments = await called(connection, text, "set_lamp", log)
        assert arguments["state"] == "on" and "kitchen" in arguments["room"].lower(), arguments
        said = await returned(connection, call, {"ok": True, "room": "kitchen", "lamp": "on"}, log)
        assert "lamp" in said or "kitchen" in said, said

        text = "What is the weather like in Lagos today?"
        call, arguments = await called(connection, text, "get_weather", log)
        assert "lagos" in arguments["town"].lower(), arguments
        said = await returned(connection, call, {"sky": "rain", "degrees": 27}, log)
        assert "rain" in said or "27" in said, said

        # What no tool is for is answered from the documents.
        item = await ask(connection, "What should I do when I add the figures?", log)
        assert item.type == "message" and "two" in item.content[0].text, item
        print("said:", item.content[0].text)
    print("ok")


asyncio.run(main())
