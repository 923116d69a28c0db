"""A server that plays a node to campaignctl, and the environment that campaignctl runs in."""
import contextlib
import http.server
import json
import os
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    """Keeps quiet, and answers with JSON."""
    protocol_version = "HTTP/1.1"

    def answer(self, status, document):
        text = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if status == 200 else "application/problem+json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def listening(handler, tls=None, **state):
    """A server on a free port, whose handlers find `state` as its attributes, beside its `url`; `tls`: an SSLContext."""
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if tls:
        httpd.socket = tls.wrap_socket(httpd.socket, server_side=True, do_handshake_on_connect=False)
    httpd.daemon_threads = True
    httpd.url = f"{'https' if tls else 'http'}://127.0.0.1:{httpd.server_port}"
    for name, value in state.items():
        setattr(httpd, name, value)
    threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield httpd
    finally:
        httpd.shutdown()
        httpd.server_close()


def environment(home, **more):
    """Nobody's settings but those in `home`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CAMPAIGN_")}
    return {**kept, "HOME": str(home), "XDG_CONFIG_HOME": str(home / "xdg"), "TERM": "xterm-256color", **more}
