"""A receiver of webhooks beside a thousand customers: from an event sent to its alert received, and how long entitlements
take. usage: alerts_measure.py URL KEY CUSTOMERS"""
import http.client
import http.server
import json
import random
import sys
import threading
import time
import urllib.parse

url, key, customers = urllib.parse.urlparse(sys.argv[1]), sys.argv[2], int(sys.argv[3])
arrived, twice, lock = {}, [], threading.Lock()


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        now = time.monotonic()
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(204)
        self.send_header("content-length", "0")
        self.end_headers()
        data = body["data"]
        what = (data["customer"], data["name"], data["percent"])
        with lock:
            if what in arrived:
                twice.append(what)
            arrived[what] = now

    def log_message(self, *args):
        pass


receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=receiver.serve_forever, daemon=True).start()
connection = http.client.HTTPConnection(url.hostname, url.port, timeout=30)


def call(method, path, body=None, kind="application/json"):
    connection.request(method, path, body and json.dumps(body), {"authorization": "Bearer " + key, "content-type": kind})
    answer = connection.getresponse()
    text = answer.read()
    assert answer.status in (200, 201), (answer.status, text)
    return json.loads(text)


def event(customer, n):
    event.count += 1
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {"specversion": "1.0", "id": "e%d" % event.count, "source": "measure", "type": "usage", "subject": customer,
            "time": now, "data": {"n": n}}


event.count = 0


def send(events):
    call("POST", "/api/v1/events", events, "application/cloudevents-batch+json")


def figures(name, seconds):
    s = sorted(seconds)
    print("%s: %d, median %.1f ms, 99 %% %.1f ms, most %.1f ms"
          % (name, len(s), s[len(s) // 2] * 1e3, s[int(len(s) * 0.99)] * 1e3, s[-1] * 1e3), flush=True)
    return s[-1]


def wait_for(whats):
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with lock:
            if all(w in arrived for w in whats):
                return
        time.sleep(0.01)
    print(len(arrived), "arrived")
    sys.exit("not told: %s" % [w for w in whats if w not in arrived][:5])


call("POST", "/api/v1/webhooks", {"url": "http://127.0.0.1:%d/" % receiver.server_port, "events": ["alert.crossed"]})
names = ["c%04d" % i for i in range(customers)]
send([event(n, 10) for n in names])
order = random.Random(1).sample(names, min(200, customers))
delays = {"usage": [], "spend": []}
for name in order:  # one at a time: 10 + 90 calls are 100, and cost 10
    began = time.monotonic()
    send([event(name, 90)])
    whats = [(name, "calls", 100), (name, "budget", 100)]
    wait_for(whats)
    delays["usage"].append(arrived[whats[0]] - began)
    delays["spend"].append(arrived[whats[1]] - began)
worst = max(figures("event to webhook, usage", delays["usage"]), figures("event to webhook, spend", delays["spend"]))

rest = [n for n in names if n not in order]
began = time.monotonic()
for at in range(0, len(rest), 50):
    send([event(n, 95) for n in rest[at:at + 50]])
sent = time.monotonic()
whats = [(n, a, 100) for n in rest for a in ("calls", "budget")]
wait_for(whats)
if rest:
    print("%d alerts of %d customers at once: sent in %.0f ms, all told %.0f ms after the last"
          % (len(whats), len(rest), (sent - began) * 1e3, (max(arrived[w] for w in whats) - sent) * 1e3), flush=True)

times = []
for i in range(2000):
    began = time.monotonic()
    answer = call("GET", "/api/v1/entitlements?customer=%s&meter=calls" % names[i % customers])
    times.append(time.monotonic() - began)
    assert answer["usage"] in ("100", "105") and answer["has_access"] is True, answer
figures("entitlement", times)
time.sleep(0.5)
assert not twice, twice[:5]
print("most from event to webhook: %.0f ms" % (worst * 1e3))
sys.exit(worst >= 1.0)
