//! What every role needs: configuration, tracing, health listener, shutdown.
