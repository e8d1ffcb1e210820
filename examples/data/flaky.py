"""A server on loopback that fails before it works: 503 twice, then 200, and again from the start.

    python3 examples/data/flaky.py 9001
"""

import itertools
import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

counter = itertools.count(1)


class Flaky(BaseHTTPRequestHandler):
    def do_GET(self):
        count = next(counter)
        good = count % 3 == 0
        body = json.dumps({"request": count, "good": good}).encode()
        self.send_response(200 if good else 503)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


HTTPServer(("127.0.0.1", int(sys.argv[1])), Flaky).serve_forever()
