"""A server whose every fault can be called for: `tools/call` with the name of one of the functions below.

Its arguments are the eras that it speaks: `sessions`, which is all without any, and `stateless`; and what else it can:
`resources` to subscribe to, and `mirrored` arguments of a tool, which it lists only when asked for the second time.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time

ERAS = [word for word in sys.argv[1:] if word in ("sessions", "stateless")] or ["sessions"]
SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"

out_lock = threading.Lock()
waiting = {}
listening = {}
watched = set()
agreements = []
lists = 0
nagging = None


def write(text):
    with out_lock:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def send(message):
    write(json.dumps({"jsonrpc": "2.0", **message}))


def answer(request, result):
    send({"id": request["id"], "result": result})


def echo(request, line):
    answer(request, {"text": request["params"].get("arguments", {}).get("text", "")})


def raw(request, line):
    # What came, as text, and numbers and an order that no parser would write again.
    numbers = '{"z":1.0,"a":9007199254740993,"huge":123456789012345678901234567890,"m":1e2,"got":%s}'
    write('{"jsonrpc":"2.0","result":%s,"id":%s,"extra":[1.50]}' % (numbers % json.dumps(line), json.dumps(request["id"])))


def progress(request, line):
    token = request["params"]["_meta"]["progressToken"]
    for step in range(request["params"]["arguments"]["steps"]):
        send({"method": "notifications/progress", "params": {"progressToken": token, "progress": step}})
    waiting[token] = request
    if len(waiting) == request["params"]["arguments"]["parties"]:
        for other in waiting.values():
            answer(other, {})
        waiting.clear()


def ask(request, line):
    waiting["asked"] = request
    send({"id": "s-1", "method": "sampling/createMessage", "params": {}})


def hold(request, line):
    waiting["held"] = request
    send({"method": "notifications/message", "params": {"level": "info", "data": "held"}})


def release(request, line):
    answer(waiting.pop("held"), {"text": "released"})
    answer(request, {})


def silence(request, line):
    sys.stderr.write("silent\n")
    sys.stderr.flush()


def change(request, line):
    if listening:
        for id in listening:
            send({"method": "notifications/tools/list_changed", "params": {"_meta": {"x": 1.0, SUBSCRIPTION: id}}})
    else:
        send({"method": "notifications/tools/list_changed"})
    answer(request, {})


def end_subscription(request, line):
    # 2026-07-28 says it in two ways: a cancellation, and a result.
    id, _ = listening.popitem()
    if request["params"]["arguments"]["by"] == "cancellation":
        send({"method": "notifications/cancelled", "params": {"requestId": id}})
    else:
        send({"id": id, "result": {"resultType": "complete", "_meta": {SUBSCRIPTION: id}}})
    answer(request, {})


def die(request, line):
    os._exit(3)


def junk(request, line):
    write("this is no JSON")
    write('{"neither": "is this JSON-RPC"}')
    write("")
    answer(request, {})


def garbled(request, line):
    # An answer with a byte that is not UTF-8, or with a member that occurs twice.
    members = {"byte": b'"text":"for nobody\xff"', "member": b'"text":"for nobody"},"result":{'}
    member = members[request["params"]["arguments"]["fault"]]
    id = json.dumps(request["id"]).encode()
    with out_lock:
        sys.stdout.buffer.write(b'{"jsonrpc":"2.0","id":%s,"result":{%s}}\n' % (id, member))
        sys.stdout.buffer.flush()


def twice(request, line):
    answer(request, {})
    answer(request, {"text": "for nobody"})


def records(request, line):
    # Log lines that look a little like messages.
    write(json.dumps({"id": request["id"], "level": "info", "msg": "a record with an id"}))
    write("DEBUG " + json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": "a message in a record"}))
    answer(request, {})


def report(request, line):
    arguments = request["params"]["arguments"]
    for part in range(arguments["parts"]):
        params = {"level": "info", "data": {"part": part, "text": "x" * arguments["bytes"]}}
        send({"method": "notifications/message", "params": params})
    sys.stderr.write("reported all\n")
    sys.stderr.flush()
    answer(request, {})


def flood(request, line):
    for number in range(20_000):
        sys.stderr.write("flood %d %s\n" % (number, "x" * 200))
    sys.stderr.flush()
    answer(request, {})


def big(request, line):
    answer(request, {"text": "x" * request["params"]["arguments"]["bytes"]})


def stubborn(request, line):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    answer(request, {})
    while True:
        time.sleep(60)


def close_stdin(request, line):
    os.close(0)
    answer(request, {})
    while True:
        time.sleep(60)


def close_stdout(request, line):
    os.close(1)
    while True:
        time.sleep(60)


def grandchild(request, line):
    # It holds the pipes open and would outlive its parent.
    subprocess.Popen(["sleep", "600"])
    answer(request, {})


def input(request, line):
    # Asks two things in each of two rounds, and keeps count in the client's hands.
    params = request["params"]
    state = params.get("requestState", "0:é\"")
    round = int(state.split(":")[0])
    if params.get("inputResponses"):
        round += 1
    if round == 2:
        return answer(request, {"resultType": "complete", "rounds": round, "answers": params["inputResponses"]})
    answer(request, {"resultType": "input_required", "requestState": "%d:é\"" % round, "inputRequests": {
        str(question): {"method": "elicitation/create", "params": {"round": round, "question": question, "n": 1}}
        for question in range(2)
    }})


def nag(request, line):
    # Says nothing, and asks about this call after it was given up: beside the next one.
    global nagging
    nagging = request["id"]
    sys.stderr.write("silent\n")
    sys.stderr.flush()


def interrogate(request, line):
    # Asks and asks, without waiting for an answer.
    arguments = request["params"]["arguments"]
    for number in range(arguments["times"]):
        send({"id": "q-%d" % number, "method": "sampling/createMessage", "params": {"text": "x" * arguments["bytes"]}})
    waiting["interrogated"] = request


def touch(request, line):
    for uri in request["params"]["arguments"]["uris"]:
        if uri in watched:
            send({"method": "notifications/resources/updated", "params": {"uri": uri}})
    answer(request, {"watched": sorted(watched)})


def agree(request, line):
    for subscription in agreements:
        answer(subscription, {})
    agreements.clear()
    answer(request, {})


def subscribe(message):
    uri = message["params"]["uri"]
    if uri.startswith("refused:"):
        return send({"id": message["id"], "error": {"code": -32602, "message": "there is none"}})
    watched.add(uri)
    if uri.startswith("later:"):
        agreements.append(message)
        sys.stderr.write("asked for %s\n" % uri)
        sys.stderr.flush()
    else:
        answer(message, {})


def list_tools(message):
    global lists
    lists += 1
    sys.stderr.write("listed\n")
    sys.stderr.flush()
    if "mirrored" not in sys.argv:
        return answer(message, {"tools": []})
    if lists == 1:
        return send({"id": message["id"], "error": {"code": -32603, "message": "not yet"}})
    schema = {"type": "object", "properties": {"text": {"type": "string", "x-mcp-header": "Text"}}}
    answer(message, {"tools": [{"name": "echo", "inputSchema": schema}]})


def about(request, line):
    answer(request, {
        "pid": os.getpid(),
        "directory": os.getcwd(),
        "open_files": resource.getrlimit(resource.RLIMIT_NOFILE),
        "environment": sorted(os.environ),
        "given": os.environ.get("GIVEN"),
    })


def main():
    global nagging
    for line in iter(sys.stdin.readline, ""):
        message = json.loads(line)
        method = message.get("method")
        if method == "server/discover" and "stateless" in ERAS:
            answer(message, {
                "supportedVersions": ["2026-07-28"],
                "capabilities": {"tools": {"listChanged": True}},
                "resultType": "complete", "ttlMs": 0, "cacheScope": "private",
            })
        elif method == "subscriptions/listen" and "stateless" in ERAS:
            listening[message["id"]] = message
            send({"method": "notifications/subscriptions/acknowledged", "params": {
                "notifications": message["params"]["notifications"], "_meta": {SUBSCRIPTION: message["id"]},
            }})
        elif method == "initialize" and "sessions" not in ERAS:
            send({"id": message["id"], "error": {"code": -32022, "message": "only 2026-07-28"}})
        elif method == "initialize":
            answer(message, {
                "protocolVersion": message["params"]["protocolVersion"],
                "capabilities": {
                    "logging": {}, "tools": {"listChanged": True}, "x": {"n": 1.0},
                    **({"resources": {"subscribe": True}} if "resources" in sys.argv else {}),
                },
                "serverInfo": {"name": "child", "version": "1"},
            })
        elif method == "ping":
            answer(message, {})
        elif method == "tools/list":
            list_tools(message)
        elif method == "resources/subscribe" and "resources" in sys.argv:
            subscribe(message)
        elif method == "resources/unsubscribe" and "resources" in sys.argv:
            watched.discard(message["params"]["uri"])
            answer(message, {})
            sys.stderr.write("let go of %s\n" % message["params"]["uri"])
            sys.stderr.flush()
        elif method == "resources/read":
            send({"id": message["id"], "error": {"code": -32002, "message": "there is none"}})
        elif method == "tools/call":
            if nagging is not None:
                waiting["asked"] = message
                send({"id": "s-1", "method": "sampling/createMessage", "params": {"about": nagging}})
                nagging = None
                continue
            globals()[message["params"]["name"]](message, line.rstrip("\n"))
        elif method == "notifications/cancelled":
            listening.pop(message["params"]["requestId"], None)
            sys.stderr.write("cancelled %s\n" % json.dumps(message["params"]["requestId"]))
            sys.stderr.flush()
        elif method is None and str(message.get("id")).startswith("q-"):
            if "error" in message and "interrogated" in waiting:
                answer(waiting.pop("interrogated"), {"refused": message["id"]})
        elif method is None and message.get("id") == "s-1":
            answer(waiting.pop("asked"), {"answer": message.get("result") or message["error"]})
        elif method is not None and "id" in message:
            send({"id": message["id"], "error": {"code": -32601, "message": "unknown method"}})


main()
