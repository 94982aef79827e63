//! Role: the streaming reverse proxy that MCP clients meet.
