"""Asks at a pace whether there is something new, until there is."""

import sys
import time

import requests

SERVER = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7275"
PACE = float(sys.argv[2]) if len(sys.argv) > 2 else 5  # seconds

while not (answer := requests.get(f"{SERVER}/messages", timeout=10).json()).get("new_messages"):
    print("nothing yet", flush=True)
    time.sleep(PACE)

for event in answer["events"]:
    print("new:", event["data"])
