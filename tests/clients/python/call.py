"""The official Python SDK as a client of the gateway: takes the mcpServers JSON that people paste on stdin, and a tool
with its arguments on the command line; initialises, lists the tools, calls that one; prints what it saw as JSON."""

import asyncio
import json
import sys

import httpx2
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client


async def main(entry: dict, tool: str, arguments: dict) -> None:
    headers = entry.get("headers")
    async with httpx2.AsyncClient(headers=headers) as http:
        if entry["type"] == "sse":
            transport = sse_client(entry["url"], headers=headers)
        else:
            transport = streamable_http_client(entry["url"], http_client=http)
        async with Client(transport) as client:
            tools = (await client.list_tools()).tools
            result = await client.call_tool(tool, arguments)
            seen = {
                "server": client.server_info.name,
                "tools": [listed.name for listed in tools],
                "text": "".join(block.text for block in result.content),
            }
    print(json.dumps(seen))


if __name__ == "__main__":
    (server,) = json.load(sys.stdin)["mcpServers"].values()
    asyncio.run(main(server, sys.argv[1], json.loads(sys.argv[2])))
