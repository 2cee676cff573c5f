# An exporter for tests/acceptance/scrape: a counter that rises by a known amount whenever it is looked at, and a gauge.
# POST /freeze /run /reset /fail /mend /vanish /appear; GET /truth: what an exact meter has counted since the first look.
import decimal, http.server, random, sys

D = decimal.Decimal
decimal.getcontext().prec = 60
rng = random.Random(int(sys.argv[2]))


class State:
    value = D("1000.5")  # from before anyone looked
    truth = D(0)
    looks = 0
    rising = False
    failing = False
    level = 4
    gauge = True


def written(value):
    """The same number in the different ways in which exporters write it."""
    return [f"{value:f}", f"{value:e}", f"{value:E}"][State.looks % 3]


def page():
    if State.rising and State.looks > 0:
        rise = D(rng.randrange(1, 10**13)) / D(10**9)
        State.value += rise
        State.truth += rise
    State.looks += 1
    text = '# HELP tokens_total Tokens.\n# TYPE tokens_total counter\n'
    text += f'tokens_total{{team="a",model="m \\"x\\""}} {written(State.value)}\n'
    text += 'tokens_total{team="nobody"} 5\n'
    if State.gauge:
        text += f'# TYPE gpus gauge\ngpus{{team="a"}} {State.level}\n'
    return text.encode()


class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, body, status=200):
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/truth":
            self.answer(f"{State.truth:f}\n".encode())
        elif self.headers.get("Authorization") != "Bearer s3cret":
            self.answer(b"no\n", 401)
        elif State.failing:
            self.answer(b"broken\n", 503)
        else:
            self.answer(page())

    def do_POST(self):
        order = self.path
        if order in ("/run", "/freeze"):
            State.rising = order == "/run"
        elif order == "/reset":
            State.value = D(0)
        elif order in ("/fail", "/mend"):
            State.failing = order == "/fail"
        elif order in ("/vanish", "/appear"):
            State.gauge = order == "/appear"
        self.answer(b"ok\n")

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
with open(sys.argv[1], "w") as f:
    f.write(str(server.server_port))
server.serve_forever()
