"""Writes usage of a quarter for committed.yaml as NDJSON: hours that reservations and plans cover in full, in part and not at all."""
import json, sys
from datetime import datetime, timedelta

start = datetime(2026, 1, 1)
for hour in range(90 * 24):
    at = (start + timedelta(hours=hour)).isoformat() + "Z"
    events = [("reserved", "lease", {"gpu": "H100", "n": str(hour % 7)})] if hour % 3 else []
    events += [("reserved", "lease", {"gpu": "L40S", "n": "1.5"})] if hour % 5 == 1 else []
    events += [("reserved", "lease", {"gpu": "A100", "n": "0.25"})] if hour % 11 == 0 else []
    events += [("reserved", "call", {})] * (hour % 41 if hour % 2 else 0)
    events += [("prepaid", "lease", {"gpu": "H100", "n": "7"})] if hour % 24 == 5 and hour < 1600 else []
    events += [("prepaid", "lease", {"gpu": "L40S", "n": "40"})] if hour == 400 else []
    for number, (subject, kind, data) in enumerate(events):
        print(json.dumps({"specversion": "1.0", "id": "%d-%d" % (hour, number), "source": "test", "type": kind,
                          "subject": subject, "time": at, "data": data}))
