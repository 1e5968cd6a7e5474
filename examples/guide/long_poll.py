"""Asks once; the server answers when there is something, or after 30 seconds."""

import sys

import requests

SERVER = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7275"

answer = requests.get(f"{SERVER}/messages", params={"wait": True, "timeout": 30}, timeout=60).json()
for event in answer["events"]:
    print("new:", event["data"])
print("go on after", answer["cursor"])
