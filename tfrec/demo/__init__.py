"""`tfrec demo`: the whole way, from real logs to recommendations over gRPC."""
