//! MCP on the wire: JSON-RPC frames, the SSE codec, protocol eras, session ids.
