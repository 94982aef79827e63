"""A small MCP server on stdin and stdout, as contrary as its arguments say.

--write-env NAME     writes the value of an environment variable into the file `NAME` of the working directory
--clingy             ignores SIGTERM and the end of stdin, and starts a child in a session of its own that does too
--exit CODE          writes to stderr and exits before it answers anything
--mute               reads and never answers
--deaf-while NAME    does not answer while there is a file `NAME` in the working directory
--babble             writes to stderr at its start, and answers more than it was asked
"""

import json
import os
import signal
import subprocess
import sys
import time

CLING = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(100000)"


def answer(request):
    if request["method"] == "initialize":
        return {
            "protocolVersion": request["params"]["protocolVersion"],
            "capabilities": {},
            "serverInfo": {"name": "contrary", "version": "1.2.3"},
        }
    if request["method"] == "tools/list":
        return {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]}
    return {}


def main(arguments):
    options = iter(arguments)
    clingy = mute = babble = False
    deaf_while = None
    for option in options:
        if option == "--write-env":
            name = next(options)
            with open(name, "w", encoding="utf-8") as file:
                file.write(os.environ[name])
        elif option == "--clingy":
            clingy = True
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            subprocess.Popen([sys.executable, "-c", CLING], start_new_session=True)
        elif option == "--exit":
            print("the reason stands here", file=sys.stderr, flush=True)
            sys.exit(int(next(options)))
        elif option == "--deaf-while":
            deaf_while = next(options)
        elif option == "--mute":
            mute = True
        elif option == "--babble":
            babble = True
            print("nobody asked, but", file=sys.stderr, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        deaf = deaf_while is not None and os.path.exists(deaf_while)
        if "id" in request and not mute and not deaf:
            reply = {"jsonrpc": "2.0", "id": request["id"], "result": answer(request)}
            print(json.dumps(reply), flush=True)
            if babble:
                print(json.dumps({"jsonrpc": "2.0", "id": "nobody's", "result": {}}), flush=True)
    if clingy:
        while True:
            time.sleep(1000)


main(sys.argv[1:])
