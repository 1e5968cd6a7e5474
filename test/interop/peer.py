"""Reads topics with requests and websockets, as it is told on standard input.

Each line of input is a request, {"id", "client", "url", "topic", "after",
"count"}; each line of output an answer, {"id", "items"} or {"id", "error"}. An
item is what arrived, as it arrived: {"body"} in base64, and "text" for messages.
"""

import asyncio
import base64
import json
import sys
import urllib.parse

import requests
import websockets


def poll(request, hold):
    """Polls until there are enough events; a page is an item."""
    url = f"{request['url']}/v1/topics/{request['topic']}/events"
    after, missing, items = request["after"], request["count"], []
    with requests.Session() as session:
        while missing > 0:
            params = {"after": after, "limit": min(missing, 100)}
            if hold:
                params.update(wait=True, timeout=30)
            response = session.get(url, params=params, timeout=60)
            response.raise_for_status()
            page = response.json()
            if page["new_messages"] != len(page["events"]):
                raise ValueError(f"new_messages is {page['new_messages']}")
            after = page["cursor"]
            missing -= page["new_messages"]
            if page["events"]:
                items.append({"body": encode(response.content)})
    return items


async def socket(request, subprotocols):
    """Reads messages; with a subprotocol a message is a frame of events."""
    base = request["url"].replace("http", "ws", 1)
    query = urllib.parse.urlencode({"after": request["after"]})
    url = f"{base}/v1/topics/{request['topic']}/ws?{query}"
    missing, items = request["count"], []
    # A full queue would keep the client from reading the answer to its close.
    limits = {"max_size": None, "max_queue": None}
    async with websockets.connect(url, subprotocols=subprotocols, **limits) as ws:
        while missing > 0:
            message = await ws.recv()
            text = isinstance(message, str)
            missing -= len(json.loads(message).get("events", [])) if subprotocols else 1
            items.append({"text": text, "body": encode(message.encode() if text else message)})
    return items


def encode(body):
    return base64.b64encode(body).decode()


async def answer(request):
    try:
        client = request["client"]
        if client == "requests":
            items = await asyncio.to_thread(poll, request, False)
        elif client == "requests held":
            items = await asyncio.to_thread(poll, request, True)
        elif client == "websockets":
            items = await socket(request, None)
        elif client == "websockets framed":
            items = await socket(request, ["parley.v1"])
        else:
            raise ValueError(f"no client {client}")
        reply = {"id": request["id"], "items": items}
    except Exception as error:  # whatever it is, the test wants to know
        reply = {"id": request["id"], "error": f"{type(error).__name__}: {error}"}
    print(json.dumps(reply), flush=True)


async def run():
    tasks = set()
    while line := await asyncio.to_thread(sys.stdin.readline):
        task = asyncio.create_task(answer(json.loads(line)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


asyncio.run(run())
