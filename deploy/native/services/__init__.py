"""The stack without Docker: what `deploy/native/stack` is made of.

settings -> fetch -> kafka, cassandra, clickhouse (one file a service) -> supervisor -> processes -> lifecycle -> commands.
"""
