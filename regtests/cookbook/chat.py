# chat.py - a chat's webhook and the name server that knows it: HTTPS by TCP and DNS by UDP, on free ports of loopback.
#
#   chat.py NAME CERT OUT PORTS    serves https://NAME/, with the certificate and key in CERT. Each POST is a line of OUT: path,
#                                  content type and body, with tabs between them. PORTS gets the ports, HTTPS and DNS.
#
# The name server answers every question for NAME with 127.0.0.1, and all others with NXDOMAIN. Ends by itself after 5 minutes.
import http.server
import os
import socket
import ssl
import struct
import sys
import threading

LIFETIME_S = 300

name, cert, out, ports = sys.argv[1:]


class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])) if "Content-Length" in self.headers else self.chunks()
        line = "\t".join([self.path, self.headers.get("Content-Type", ""), body.decode("utf-8", "replace")])
        with open(out, "a", encoding="utf-8") as f:
            f.write(line.replace("\n", "\\n") + "\n")
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def chunks(self):
        body = b""
        while (size := int(self.rfile.readline(), 16)):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, *args):
        pass


def question(packet):
    labels, at = [], 12
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode())
        at += 1 + packet[at]
    return ".".join(labels).lower(), packet[12:at + 5], struct.unpack(">H", packet[at + 1:at + 3])[0]


def answer(packet):
    asked, section, kind = question(packet)
    known = asked == name
    records = b""
    if known and kind == 1:
        records = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton("127.0.0.1")
    return packet[:2] + struct.pack(">HHHHH", 0x8580 if known else 0x8583, 1, 1 if records else 0, 0, 0) + section + records


def resolve(sock):
    while True:
        packet, client = sock.recvfrom(4096)
        sock.sendto(answer(packet), client)


threading.Timer(LIFETIME_S, os._exit, [1]).start()
dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
dns.bind(("127.0.0.1", 0))
threading.Thread(target=resolve, args=[dns], daemon=True).start()
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert)
server.socket = context.wrap_socket(server.socket, server_side=True)
with open(ports + ".new", "w") as f:
    print(server.server_port, dns.getsockname()[1], file=f)
os.rename(ports + ".new", ports)
server.serve_forever()
